"""Plots: one style, PNG and SVG, the same bytes for the same numbers.

Matplotlib draws letters one by one from left to right, so Persian is shaped and set right to left
before it gets there. Its own font DejaVu Sans has the letters.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import arabic_reshaper
import matplotlib.pyplot as plt
import numpy as np
from bidi.algorithm import get_display
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

__all__ = ["dots", "heat_map", "label_map", "lines", "persian"]

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
ZWNJ = "\u200c"
PALE = (", masked", ", given")

Line = Mapping[float, float | None]
Interval = tuple[float, float, float]
"""Value, lower and upper end."""


def persian(text: str) -> str:
    """RETURNS (str): Text whose letters are shaped and stand in the order in which they are seen,
    from left to right.
    """
    return str(get_display(arabic_reshaper.reshape(text).replace(ZWNJ, "")))


@contextmanager
def _drawn(out: Path, name: str, **size: Any) -> Iterator[tuple[Figure, Axes]]:
    """A figure that is written to NAME.png and NAME.svg."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(layout="constrained", **size)
        yield figure, axes
        out.mkdir(parents=True, exist_ok=True)
        figure.savefig(out / f"{name}.png", metadata={"Software": None})
        figure.savefig(out / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)


def dots(
    out: Path,
    name: str,
    series: Mapping[str, Mapping[str, Interval | None]],
    *,
    label: str = "F1",
) -> None:
    """A row for each key, a dot with its interval for each system, all in percent.

    series (Mapping): System -> key -> value and interval.
    """
    keys = list(dict.fromkeys(key for own in series.values() for key in own))
    step = 0.8 / max(1, len(series))
    height = 1 + 0.16 * len(keys) * (len(series) + 1)
    with _drawn(out, name, figsize=(7, height)) as (_, axes):
        for i, (system, own) in enumerate(series.items()):
            known = [(k, own[key]) for k, key in enumerate(keys) if own.get(key) is not None]
            values = np.array([value for _, value in known], dtype=float) * 100
            if not len(values):
                continue
            errors = np.abs(values[:, 1:] - values[:, :1]).T
            places = [k - 0.4 + step * (i + 0.5) for k, _ in known]
            style = {"fmt": "o", "markersize": 4, "elinewidth": 1, "label": system}
            axes.errorbar(values[:, 0], places, xerr=errors, **style)
        axes.set_yticks(range(len(keys)), keys)
        axes.set_ylim(len(keys) - 0.5, -0.5)
        axes.set_xlabel(label)
        _legend(axes)


def _legend(axes: Axes) -> None:
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def lines(
    out: Path,
    name: str,
    series: Mapping[str, Line],
    *,
    x: str,
    y: str,
    log: bool = False,
    marks: Mapping[str, tuple[float, float]] | None = None,
) -> None:
    """A line for each series.

    series (Mapping): Name -> x -> y; one whose name ends as PALE has it is dashed, in the colour
        of the one without.
    x, y (str): What they are.
    log (bool): Whether x is on a scale of powers of two.
    marks (Mapping): Name -> a point that is pointed out.
    """
    colors: dict[str, str] = {}
    with _drawn(out, name, figsize=(6.5, 3.6)) as (_, axes):
        for label, own in series.items():
            known = sorted((at, value) for at, value in own.items() if value is not None)
            base = label.removesuffix(", raw")
            for ending in PALE:
                base = base.removesuffix(ending)
            color = colors.setdefault(base, f"C{len(colors)}")
            style = "--" if label.endswith(PALE) else "-"
            points = list(zip(*known, strict=True))
            axes.plot(*points, style, color=color, marker="o", markersize=4, label=label)
        for text, (at, value) in (marks or {}).items():
            right = at > max(x for own in series.values() for x in own) / 2
            axes.annotate(
                text,
                (at, value),
                xytext=(-8 if right else 8, -16),
                textcoords="offset points",
                ha="right" if right else "left",
                arrowprops={"arrowstyle": "->", "color": "#555"},
                color="#333",
            )
        if log:
            axes.set_xscale("log", base=2)
            ticks = sorted({at for own in series.values() for at in own})
            if len(ticks) <= 10:
                axes.set_xticks(ticks, [f"{at:g}" for at in ticks])
            else:
                axes.xaxis.set_major_formatter(lambda at, _: f"{at:g}")
            axes.minorticks_off()
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        _legend(axes)


def heat_map(
    out: Path, name: str, matrix: Mapping[str, Mapping[str, int]], *, x: str, y: str
) -> None:
    """Counts of rows by columns, coloured by their share of the row.

    matrix (Mapping): Row -> column -> count.
    """
    names = sorted({*matrix, *(key for row in matrix.values() for key in row)})
    rows = [row for row in names if row in matrix]
    counts = np.array([[matrix[row].get(column, 0) for column in names] for row in rows])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with _drawn(out, name, figsize=(6.2, 5.2)) as (figure, axes):
        axes.grid(False)
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for i, j in zip(*counts.nonzero(), strict=True):
            color = "white" if shares[i, j] > 0.5 else "black"
            axes.text(j, i, counts[i, j], ha="center", va="center", color=color, fontsize=7)
        axes.set_xticks(range(len(names)), names, rotation=60, ha="right")
        axes.set_yticks(range(len(rows)), rows)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        figure.colorbar(image, label="share of the row", shrink=0.8)


def label_map(
    out: Path,
    name: str,
    rows: Sequence[tuple[str, Mapping[str, str]]],
    colors: Mapping[str, str],
) -> None:
    """A label for each row and column, with its colour.

    rows (Sequence): Persian text, and column -> label.
    colors (Mapping): Label -> colour.
    """
    columns = list(rows[0][1])
    number = {label: i for i, label in enumerate(colors)}
    grid = [[number[labels[column]] for column in columns] for _, labels in rows]
    size = (1.5 + 0.6 * len(columns) + 3.5, 1 + 0.27 * len(rows))
    with _drawn(out, name, figsize=size) as (_, axes):
        axes.grid(False)
        cmap = ListedColormap(list(colors.values()))
        axes.imshow(grid, cmap=cmap, vmin=-0.5, vmax=len(colors) - 0.5, aspect="auto")
        for i, (_, labels) in enumerate(rows):
            for j, column in enumerate(columns):
                text = "" if labels[column] == "O" else labels[column]
                axes.text(j, i, text, ha="center", va="center", fontsize=7)
        axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right")
        axes.set_yticks(range(len(rows)), [persian(text) for text, _ in rows])
