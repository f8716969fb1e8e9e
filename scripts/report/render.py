"""Templates filled with tables: the page of the report, and parts of Markdown files."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import srsly
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..build.sources import SHIPPED, SHIPPED_HEADS, corpora_of, licence_of_weights
from ..domains import LABELS
from ..record import cite, f1, percent, points, span
from .tables import TABLES, Metrics

__all__ = ["PARTS", "filled", "page", "part", "verdict"]

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    "headline", "results", "speed", "domains", "heads", "labels", "commands", "cores", "grow",
)  # fmt: skip
"""Of Markdown files: each has a template, and in a file the marks NAME START and NAME END."""


def verdict(entry: Mapping[str, Any], expected: int) -> str:
    """Whether a measured difference is what is claimed.

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
        "cite": cite, "f1": f1, "percent": percent, "points": points, "span": span,
        "verdict": verdict,
    }  # fmt: skip
    environment.globals |= {
        "HEADS": SHIPPED_HEADS, "LABELS": LABELS, "SHIPPED": SHIPPED,
        "corpora_of": corpora_of, "licence_of_weights": licence_of_weights,
        "project_of": lambda folder: srsly.read_yaml(ROOT / folder / "project.yml"),
    }  # fmt: skip
    for corpus in ("persian", "sample"):
        own = Metrics(metrics, corpus)
        values[corpus] = {name: make(own) for name, make in TABLES.items()}
    values |= {"read": Metrics(metrics).read, "processors": Metrics(metrics).find("*", "speed")}
    return environment.get_template(template).render(**values)


def page(metrics: Path, plots: Sequence[str]) -> str:
    """RETURNS (str): The report in HTML. plots (Sequence[str]): Names of those that there are."""
    return _render("page.html.jinja", metrics, plots=plots)


def part(name: str, metrics: Path) -> str:
    """RETURNS (str): Markdown, from the files in a metrics folder that are there.
    name (str): One of PARTS.
    """
    return re.sub(r"\n{3,}", "\n\n", _render(f"{name}.md.jinja", metrics).strip())


def filled(text: str, metrics: Path) -> str:
    """RETURNS (str): A text with what is between the marks of each part brought up to date."""
    for name in PARTS:
        start, end = (f"<!-- {name.upper()} {e} (do not remove) -->" for e in ("START", "END"))
        if start in text:
            before, rest = text.split(start)
            text = f"{before}{start}\n\n{part(name, metrics)}\n\n{end}{rest.split(end)[1]}"
    return text
