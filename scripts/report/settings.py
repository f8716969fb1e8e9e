"""Table 2 (sizes), Figure 3 (settings of the adapters) and the table of the recipe."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import draw
from .data import Metrics, f1, percent, points
from .page import Figure, Missing, Part, Section, Table, sources

__all__ = ["section"]


def _millions(n: float) -> str:
    return f"{n / 1e6:,.2f}"


def _sizes(sizes: dict[str, Any] | None) -> list[Part]:
    if sizes is None:
        return [Missing("sizes", "python -m spacy project run sizes")]
    rows = []
    for core in sizes["cores"].values():
        for name, own in core["systems"].items():
            rows.append(
                [
                    core["title"],
                    name,
                    _millions(own["parameters"]),
                    _millions(own["parameters_for_domains"]),
                    percent(own["trained_share"], 2),
                    f"{own['megabytes_per_further_domain']:,.2f}",
                    own["of"],
                ]
            )
    title = (
        f"Table 2. {sizes['n_domains']} domains: parameters in millions of what one domain runs "
        "on and of all domains together, the share of them that is trained for a domain, and "
        "megabytes on disk for a further domain in fp16"
    )
    columns = ["core", "system", "one domain", "all domains", "trained, %", "MB", "from"]
    return [Table(title, columns, rows, sources(sizes))]


def _sweep(metrics: Metrics, out: Path) -> list[Part]:
    sweep = metrics.read("sweep")
    if sweep is None:
        command = "python -m spacy project run sweep . --vars.corpus persian"
        return [Missing("Figure 3: prefix length, LoRA rank and alpha", command)]
    runs = sweep["runs"]
    origin = sources(sweep)
    budget = sweep["budget"]
    said = (
        f"Dev F1 on {', '.join(budget['domains'])} after {budget['epochs']:g} epochs "
        "(a proxy budget: one head, one adapter, no second step)"
    )
    parts: list[Part] = []
    prefix = {r["length"]: r["dev_f1"] for r in runs if r["kind"] == "prefix" and r["search"]}
    if prefix:
        draw.lines(
            out, "sweep_prefix", {"prefix": prefix}, x="virtual tokens", y="dev F1", log=False
        )
        parts.append(Figure("sweep_prefix", f"Figure 3. {said}, by length of the prefix.", origin))
    lora: dict[str, dict[float, float | None]] = {}
    for run in sorted(runs, key=lambda run: run.get("rank") or 0):
        if run["kind"] == "lora" and run["search"]:
            lora.setdefault(f"rank {run['rank']}", {})[run["alpha"]] = run["dev_f1"]
    if lora:
        draw.lines(out, "sweep_lora", lora, x="alpha", y="dev F1", log=True)
        parts.append(Figure("sweep_lora", f"Figure 3. {said}, by rank and alpha.", origin))
    curves: dict[str, dict[float, float | None]] = {}
    for kind, curve in sweep["curves"].items():
        curves[kind] = {100 * point["share"]: point["dev_f1"] for point in curve["points"]}
    if curves:
        knees = {
            f"knee, {kind}": (100 * knee["share"], knee["dev_f1"])
            for kind, curve in sweep["curves"].items()
            if (knee := curve["knee"])
        }
        x = "added parameters, % of the core"
        draw.lines(out, "sweep_size", curves, x=x, y="dev F1", log=True, marks=knees)
        caption = (
            f"{said}, by added parameters. The knee is the smallest adapter within "
            f"{sweep['tolerance']:g} points of the best one of its kind."
        )
        parts.append(Figure("sweep_size", caption, origin))
    rows = [
        [
            run["setting"],
            f"{run['parameters']:,}",
            percent(run["share"], 2),
            f"{run['dev_f1']:.1f}",
            f"{run['minutes']:.1f}",
            "dev" if run["search"] else "dev, curve",
        ]
        for run in runs
    ]
    columns = ["setting", "parameters", "% of the core", "dev F1", "minutes", "split"]
    parts.append(Table("All runs of the sweep", columns, rows, origin))
    return parts


def _recipe(metrics: Metrics) -> list[Part]:
    recipe = metrics.read("recipe")
    if recipe is None:
        command = "python -m spacy project run recipe . --vars.corpus persian"
        return [Missing("the recipe", command)]
    domains = list(recipe["targets"])
    rows = []
    for name, title in recipe["ways"].items():
        cells = [_recipe_cell(recipe["targets"][domain].get(name)) for domain in domains]
        mean = recipe["mean"].get(name)
        rows.append([title, *cells, percent(mean)])
    table = Table(
        "Does the paper's recipe help? F1 with its 95 % interval, and in brackets the difference "
        "to the adapter that was tuned with its head frozen",
        ["adapter", *domains, "mean"],
        rows,
        sources(recipe),
    )
    return [table]


def _recipe_cell(own: Mapping[str, Any] | None) -> str:
    if own is None:
        return "–"
    against = own.get("against_tuned")
    if against is None or against["difference"] is None:
        return f1(own)
    return f"{f1(own)} [{points(against['difference'])}, p {against['p']:.3f}]"


def section(metrics: Metrics, root: Metrics, out: Path) -> list[Section]:
    """metrics, root (Metrics): Of a corpus; of none, as metrics/sizes.json.
    RETURNS (list[Section]): Sizes, settings, recipe.
    """
    return [
        Section("Table 2: sizes", _sizes(root.read("sizes"))),
        Section("Figure 3: how large an adapter", _sweep(metrics, out)),
        Section("The recipe", _recipe(metrics)),
    ]
