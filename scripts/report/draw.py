"""Plots: one style, PNG and SVG, the same bytes for the same numbers.

Matplotlib draws letters one by one from left to right, so Persian is shaped and set right to left
before it gets there. Its own font DejaVu Sans has the letters.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import arabic_reshaper
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from bidi.algorithm import get_display
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from sklearn.metrics import ConfusionMatrixDisplay

from multibert_spacy.colors import COLORS

from .tables import SIZES, Metrics, detectors

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "svg.fonttype": "path",
    "svg.hashsalt": "multibert_spacy",
    "figure.dpi": 150,
}
DASHED = (", masked", ", given")


def persian(text: str) -> str:
    """RETURNS (str): Text whose letters are shaped and stand in the order in which they are seen,
    from left to right.
    """
    return str(get_display(arabic_reshaper.reshape(text).replace("\u200c", "")))


@contextmanager
def _drawn(out: Path, name: str, width: float = 6.5, height: float = 3.6) -> Iterator[Axes]:
    """Axes that are written to NAME.png and NAME.svg."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(layout="constrained", figsize=(width, height))
        yield axes
        out.mkdir(parents=True, exist_ok=True)
        figure.savefig(out / f"{name}.png", metadata={"Software": None})
        figure.savefig(out / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)


def _legend(axes: Axes) -> None:
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _lines(out: Path, name: str, series: Mapping[str, Any], x: str, y: str, log: bool) -> None:
    """series (Mapping): Name -> x -> y."""
    frame = pd.DataFrame(series).sort_index()
    with _drawn(out, name) as axes:
        for i, column in enumerate(frame):
            own = frame[column].dropna()
            style = "--" if column.endswith(DASHED) else "-"
            axes.plot(own.index, own, style, color=f"C{i}", marker="o", markersize=4, label=column)
        if log:
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter(lambda at, _: f"{at:g}")
            axes.minorticks_off()
        axes.set(xlabel=x, ylabel=y)
        _legend(axes)


def domains(m: Metrics, out: Path) -> None:
    """A dot with its interval for each system and domain."""
    systems = {title: own for title, (own, _) in m.systems().items()}
    if not systems:
        return
    keys = list(dict.fromkeys(key for own in systems.values() for key in own["per_domain"]))
    step = 0.8 / len(systems)
    with _drawn(out, "domains", 7, 1 + 0.16 * len(keys) * (len(systems) + 1)) as axes:
        for i, (title, scores) in enumerate(systems.items()):
            known = {
                k: (own["f"], *own["f_interval"])
                for k, key in enumerate(keys)
                if (own := scores["per_domain"].get(key)) and own["f_interval"]
            }
            values = 100 * np.array(list(known.values()))
            errors = np.abs(values[:, 1:] - values[:, :1]).T
            places = [k - 0.4 + step * (i + 0.5) for k in known]
            axes.errorbar(
                values[:, 0], places, xerr=errors, fmt="o", markersize=4, elinewidth=1, label=title
            )
        axes.set_yticks(range(len(keys)), keys)
        axes.set_ylim(len(keys) - 0.5, -0.5)
        axes.set_xlabel("test F1, 95 % interval")
        _legend(axes)


def detection(m: Metrics, out: Path) -> None:
    """Accuracy by size of the group, and the confusion matrices of ours."""
    found, _ = detectors(m)
    series = {
        f"{title}, {how}": {int(size): 100 * own[how][size]["accuracy"] for size in SIZES}
        for title, own in found.items()
        for how in ("raw", "masked")
    }
    if series:
        _lines(out, "detection", series, "texts in a group", "accuracy, %", True)
    for how in ("raw", "masked"):
        if "adapter on the core" not in found:
            continue
        _confusion(out, f"confusion_{how}", found["adapter on the core"][how]["confusion"])
    if outside := m.read("detection"):
        shipped = outside["detectors"]["mixture"]["outside"]["8"]
        _confusion(out, "confusion_outside", shipped["confusion"])


def _confusion(out: Path, name: str, counted: Mapping[str, Mapping[str, int]]) -> None:
    """counted (Mapping): Truth -> answer -> number."""
    frame = pd.DataFrame(counted).T.fillna(0)
    names = sorted({*frame.index, *frame.columns})
    counts = frame.reindex(index=names, columns=names, fill_value=0).to_numpy(dtype=int)
    with _drawn(out, name, 6.2, 5.6) as axes:
        axes.grid(False)
        shown = ConfusionMatrixDisplay(counts, display_labels=names)
        shown.plot(ax=axes, cmap="Blues", xticks_rotation=60, colorbar=False)
        axes.set(xlabel="answer", ylabel="truth")


def sweep(m: Metrics, out: Path) -> None:
    """Figure 3: dev F1 by length of the prefix, by rank and alpha, and by added parameters."""
    report = m.read("sweep")
    if report is None:
        return
    runs = [run for run in report["runs"] if run["search"]]
    prefix = {run["length"]: run["dev_f1"] for run in runs if run["kind"] == "prefix"}
    _lines(out, "sweep_prefix", {"prefix": prefix}, "virtual tokens", "dev F1", False)
    lora: dict[str, dict[int, float]] = {}
    for run in runs:
        if run["kind"] == "lora":
            lora.setdefault(f"rank {run['rank']}", {})[run["alpha"]] = run["dev_f1"]
    _lines(out, "sweep_lora", lora, "alpha", "dev F1", True)
    curves = {
        kind: {100 * point["share"]: point["dev_f1"] for point in curve["points"]}
        for kind, curve in report["curves"].items()
    }
    _lines(out, "sweep_size", curves, "added parameters, % of the core", "dev F1", True)


def ambiguity(m: Metrics, out: Path) -> None:
    """Figure 4: the label of one word under every domain."""
    report = m.read("ambiguity")
    if report is None:
        return
    rows = report["own"]["sentences"]
    frame = pd.DataFrame([row["labels"] for row in rows])
    colors = {"O": "#f4f4f4", **COLORS}
    number = {label: i for i, label in enumerate(colors)}
    width, height = 5 + 0.6 * frame.shape[1], 1 + 0.27 * len(frame)
    with _drawn(out, "ambiguity", width, height) as axes:
        axes.grid(False)
        cmap = ListedColormap(list(colors.values()))
        grid = frame.map(number.__getitem__)
        axes.imshow(grid, cmap=cmap, vmin=-0.5, vmax=len(colors) - 0.5, aspect="auto")
        for (i, j), label in np.ndenumerate(frame.to_numpy()):
            axes.text(j, i, "" if label == "O" else label, ha="center", va="center", fontsize=7)
        axes.set_xticks(range(frame.shape[1]), frame.columns, rotation=60, ha="right")
        names = [persian(f"{row['word']}: {row['text']}") for row in rows]
        axes.set_yticks(range(len(rows)), names)


def draw_all(m: Metrics, out: Path) -> list[str]:
    """RETURNS (list[str]): Names of the plots that were made, of what has been measured; those of
    before are gone.
    """
    for old in (*out.glob("*.png"), *out.glob("*.svg")):
        old.unlink()
    for draw in (domains, detection, sweep, ambiguity):
        draw(m, out)
    return sorted(path.stem for path in out.glob("*.svg"))
