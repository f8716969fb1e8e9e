"""Templates filled with tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .tables import TABLES, Metrics, f1, percent, points, span

__all__ = ["END", "START", "page", "results", "verdict", "with_results"]

START, END = "<!-- RESULTS START (do not remove) -->", "<!-- RESULTS END (do not remove) -->"


def verdict(entry: Mapping[str, Any], expected: int) -> str:
    """Whether a measured difference is what is claimed.

    entry (Mapping): A difference with its interval.
    expected (int): Sign of the difference that is claimed.
    RETURNS (str): "open" where the interval has zero in it.
    """
    low, high = entry["interval"]
    if low <= 0 <= high:
        return "open"
    return "agrees" if (low > 0) == (expected > 0) else "contradicts"


def _render(template: str, metrics: Path, **values: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=template.endswith(".html.jinja"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "f1": f1, "percent": percent, "points": points, "span": span, "verdict": verdict,
    }  # fmt: skip
    for corpus in ("persian", "sample"):
        own = Metrics(metrics, corpus)
        values[corpus] = {name: make(own) for name, make in TABLES.items()}
    read = Metrics(metrics).read
    return environment.get_template(template).render(read=read, **values)


def page(metrics: Path, plots: Sequence[str]) -> str:
    """RETURNS (str): The report in HTML. plots (Sequence[str]): Names of those that there are."""
    return _render("page.html.jinja", metrics, plots=plots)


def results(metrics: Path) -> str:
    """RETURNS (str): Markdown, from the files in a metrics folder that are there."""
    return _render("results.md.jinja", metrics).strip()


def with_results(text: str, metrics: Path) -> str:
    """RETURNS (str): A text with what is between START and END brought up to date."""
    before, rest = text.split(START)
    return f"{before}{START}\n\n{results(metrics)}\n\n{END}{rest.split(END)[1]}"
