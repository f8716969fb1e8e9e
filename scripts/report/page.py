"""What a page is made of, and the page itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..record import cite

__all__ = ["Figure", "Missing", "Section", "Table", "Text", "render", "sources"]


def sources(*reports: dict[str, Any] | None) -> list[str]:
    """RETURNS (list[str]): Command, commit, seed and split of each report that is there."""
    return list(dict.fromkeys(cite(report) for report in reports if report is not None))


@dataclass(frozen=True)
class Table:
    """title (str): What its figures are.
    columns (Sequence[str]): Their heads; the first is of the rows.
    rows (Sequence[Sequence[str]]): Cells.
    sources (Sequence[str]): Where the figures are from.
    persian (Sequence[int]): Columns in Persian.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    sources: Sequence[str]
    persian: Sequence[int] = ()


@dataclass(frozen=True)
class Figure:
    """name (str): Of the files, NAME.png and NAME.svg. caption (str): What it shows.
    sources (Sequence[str]): Where the figures are from.
    """

    name: str
    caption: str
    sources: Sequence[str]


@dataclass(frozen=True)
class Missing:
    """What has not been measured yet. command (str): Which measures it."""

    what: str
    command: str


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


Part = Table | Figure | Missing | Text


@dataclass
class Section:
    """title (str): Its head. parts (list): In their order."""

    title: str
    parts: list[Part] = field(default_factory=list)


def render(title: str, sections: Sequence[Section]) -> str:
    """RETURNS (str): The page in HTML."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda part: type(part).__name__
    return environment.get_template("page.html.jinja").render(title=title, sections=sections)
