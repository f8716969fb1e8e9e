"""What the paper says beside what we measure: sentences made of the numbers that are there.

A claim is contradicted only where the interval of a paired bootstrap, or else the two intervals,
say so; what points one way without such an interval is called open.
"""

from collections.abc import Callable, Iterator, Mapping
from statistics import mean
from typing import Any, NamedTuple

from .data import Metrics, percent, points, scores_of
from .detection import detectors
from .page import Missing, Section, Table, Text, sources

__all__ = ["Claim", "claims", "section"]


class Claim(NamedTuple):
    """The paper's claim, what we found, "agrees", "contradicts" or "open", and from what."""

    paper: str
    ours: str
    verdict: str
    sources: list[str]


def _verdict(low: float, high: float, *, expected: int) -> str:
    """low, high (float): Interval of a difference. expected (int): Its sign in the paper."""
    if low <= 0 <= high:
        return "open"
    return "agrees" if (low > 0) == (expected > 0) else "contradicts"


def _social(report: Mapping[str, Any]) -> Mapping[str, Any]:
    macro: Mapping[str, Any] = report["macro"]["social"]
    return macro


def _prefix_against_lora(metrics: Metrics) -> Iterator[Claim]:
    paper = "Prefix tuning beats LoRA."
    compared = metrics.read("compare_lora_prefix")
    if compared is not None:
        own = _social(compared)
        low, high = own["interval"]
        yield Claim(
            paper,
            f"LoRA minus prefix over the ten channels: {points(own['difference'])} points "
            f"({points(low)} to {points(high)}).",
            _verdict(-high, -low, expected=1),
            sources(compared),
        )
        return
    lora, prefix = metrics.read("parstwiner_lora"), metrics.read("parstwiner_prefix")
    if lora is not None and prefix is not None:
        yield Claim(
            paper,
            f"On ParsTwiNER's dev part LoRA has {percent(lora['best_dev_score'])}, the prefix "
            f"{percent(prefix['best_dev_score'])}, one run each, without an interval.",
            "open",
            sources(lora, prefix),
        )


def _adapters_against_general(metrics: Metrics) -> Iterator[Claim]:
    compared = metrics.read("compare_lora_general")
    if compared is None:
        return
    for name, entry in {
        "tweet": compared["per_domain"].get("tweet"),
        "the ten channels, macro": _social(compared),
    }.items():
        if entry is None or not entry["interval"]:
            continue
        low, high = entry["interval"]
        yield Claim(
            "Adapters for each domain beat one fine-tuned model for all (tweet: 83.1 to 75.4).",
            f"{name}: adapters {percent(entry['a'])}, general {percent(entry['b'])}, difference "
            f"{points(entry['difference'])} ({points(low)} to {points(high)}).",
            _verdict(low, high, expected=1),
            sources(compared),
        )


def _second_step(metrics: Metrics) -> Iterator[Claim]:
    runs = list(metrics.find("domains_*").values())
    if not runs:
        return
    gains = {run["domains"][0]: run["best_dev_score"] - run["dev"][0]["score"] for run in runs}
    none = sorted(domain for domain, gain in gains.items() if gain <= 0)
    said = f"It did nothing for {', '.join(none)}. " if none else ""
    yield Claim(
        "A second step on each domain, with the head frozen, lifts the score.",
        f"On dev, the best checkpoint of step two is {points(mean(gains.values()))} points above "
        f"the shared adapter in the mean of {len(gains)} domains. {said}The best of several "
        "checkpoints is never below the first one, so this flatters step two.",
        "open",
        sources(*runs),
    )


def _recipe(metrics: Metrics) -> Iterator[Claim]:
    recipe = metrics.read("recipe")
    if recipe is None:
        return
    paper = {
        "shared": "Tuning on the domain beats the shared adapter alone.",
        "head": "The head is best frozen in step two.",
        "scratch": "Starting from the shared adapter beats a new adapter.",
        "excluded": "A domain needs no part in step one: the adapter can come later.",
    }
    if "tuned" not in recipe["mean"]:
        return
    for name, claim in paper.items():
        if (mean_of := recipe["mean"].get(name)) is not None:
            tuned = recipe["mean"]["tuned"]
            targets = {d: own for d, own in recipe["targets"].items() if name in own}
            found = [own[name]["against_tuned"] for own in targets.values()]
            real = sum(own["p"] is not None and own["p"] < 0.05 for own in found)
            yield Claim(
                claim,
                f"{recipe['ways'][name]}: {percent(mean_of)}; tuned with the head frozen: "
                f"{percent(tuned)}, in the mean of {', '.join(targets)}. {real} of "
                f"{len(found)} differences real (p < 0.05).",
                "open",
                sources(recipe),
            )


def _setting(metrics: Metrics) -> Iterator[Claim]:
    sweep = metrics.read("sweep")
    if sweep is None:
        return
    paper = {"prefix": "A prefix of 22 is best.", "lora": "LoRA with r = 3, alpha = 1 is best."}
    for kind, claim in paper.items():
        tried = [run for run in sweep["runs"] if run["kind"] == kind and run["search"]]
        if not tried:
            continue
        best = max(tried, key=lambda run: run["dev_f1"])
        knee = sweep["curves"].get(kind, {}).get("knee")
        said = f" The knee of the curve is {knee['setting']}." if knee else ""
        yield Claim(
            claim,
            f"With this core and {sweep['budget']['epochs']:g} epochs the best of {len(tried)} "
            f"is {best['setting']} (dev {best['dev_f1']:.1f}).{said} One seed, no interval.",
            "open",
            sources(sweep),
        )


def _leak(metrics: Metrics) -> Iterator[Claim]:
    leak = metrics.read("arman_leak")
    if leak is None:
        return
    honest = max(fold["same_tokens"] for fold in leak["folds"].values())
    scores = [metrics.read("leak_joined"), metrics.read("leak_honest")]
    said = ""
    if scores[0] is not None and scores[1] is not None:
        joined, fold = (scores_of(own)["per_domain"]["news"]["f"] for own in scores if own)
        said = f" The same model scores {percent(joined)} on them and {percent(fold)} on fold 1."
    yield Claim(
        "Published scores near 99 on ARMAN.",
        f"With the folds joined, {percent(leak['joined']['same_tokens'])} % of the test sentences "
        f"are also in train (within a fold at most {percent(honest, 2)} %).{said}",
        "contradicts",
        sources(leak, *scores),
    )


def _floor(metrics: Metrics) -> Iterator[Claim]:
    compared = metrics.read("compare_lora_crf")
    if compared is None:
        return
    entries = {
        d: own for d, own in compared["per_domain"].items() if own["difference"] is not None
    }
    below = {d: own for d, own in entries.items() if own["difference"] < 0}
    real = [d for d, own in below.items() if own["p"] < 0.05]
    said = ", ".join(
        f"{d} ({percent(own['a'])} to {percent(own['b'])}, p {own['p']:.3f})"
        for d, own in below.items()
    )
    yield Claim(
        "A pre-trained transformer is above a CRF in every domain.",
        f"Below a CRF with words, affixes and shapes: {said or 'none'}.",
        "contradicts" if real else "open" if below else "agrees",
        sources(compared),
    )


def _detection(metrics: Metrics) -> Iterator[Claim]:
    found, reports = detectors(metrics)
    if not {"ours", "tf-idf"} <= found.keys():
        return
    cells = [
        f"{size}: {percent(found['ours']['raw'][size]['accuracy'])} to "
        f"{percent(found['tf-idf']['raw'][size]['accuracy'])}"
        for size in ("1", "8")
    ]
    masked = [percent(found[name]["masked"]["8"]["accuracy"]) for name in ("ours", "tf-idf")]
    yield Claim(
        "Finding the domain takes an adapter on the core (the paper's design).",
        f"Ours to tf-idf with logistic regression, by texts in a group: {'; '.join(cells)}; "
        f"masked, 8: {masked[0]} to {masked[1]}. Most of the task is words, not context.",
        "open",
        sources(*reports),
    )


def _names(metrics: Metrics) -> Iterator[Claim]:
    report = metrics.read("masked_names")
    if report is None:
        return
    macro = report["difference"]["macro"]["all"]
    yield Claim(
        "The adapters read the context of a name.",
        f"With invented names in place of all names the macro F1 falls from "
        f"{percent(macro['b'])} to {percent(macro['a'])}: part of the score is memory of names.",
        "open",
        sources(report),
    )


MAKERS: tuple[Callable[[Metrics], Iterator[Claim]], ...] = (
    _prefix_against_lora,
    _adapters_against_general,
    _second_step,
    _recipe,
    _setting,
    _leak,
    _floor,
    _detection,
    _names,
)


def claims(metrics: Metrics) -> list[Claim]:
    """RETURNS (list[Claim]): Of all numbers that are there."""
    return [claim for make in MAKERS for claim in make(metrics)]


def section(metrics: Metrics) -> Section:
    """RETURNS (Section): The claims that we contradict first."""
    found = claims(metrics)
    if not found:
        missing = Missing(
            "anything to hold against the paper", "python -m spacy project run paper"
        )
        return Section("What contradicts the paper", [missing])
    order = ("contradicts", "open", "agrees")
    rows = [
        [claim.paper, claim.ours, claim.verdict]
        for verdict in order
        for claim in found
        if claim.verdict == verdict
    ]
    lines = list(dict.fromkeys(line for claim in found for line in claim.sources))
    title = "Claims of the paper, or common in the field, and our numbers"
    return Section(
        "What contradicts the paper",
        [
            Text(
                "Contradicts or agrees: the 95 % interval of a difference leaves out zero, or the "
                "matter is a count. Open: it does not, or there is one run without an interval."
            ),
            Table(title, ["claim", "what we measure", "verdict"], rows, lines),
        ],
    )
