"""What mkdocs puts into a page when the site is built: all registered functions."""

import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spacy.language import Language

from docs.tools.docstrings import parse

__all__ = ["configuration", "on_page_markdown"]

ROOT = Path(__file__).resolve().parents[2]
MARK = "<!-- CONFIGURATION -->"
GROUPS = {
    "factories": ("Components", "factory"),
    "architectures": ("Networks", "@architectures"),
    "misc": ("Adapters and normal forms of words", "@misc"),
    "tokenizers": ("Tokenizer", "@tokenizers"),
    "readers": ("Readers of training data", "@readers"),
    "augmenters": ("Augmenters", "@augmenters"),
    "scorers": ("Scorers", "@scorers"),
    "callbacks": ("Callbacks", "@callbacks"),
}
"""Group of entry points -> heading, and the key that names one in a config."""
FROM_SPACY = {"nlp", "name"}
"""What spaCy hands a factory: no settings."""


def registered() -> Iterator[tuple[str, str, Any]]:
    """YIELDS (tuple): Group, name and function, of this checkout."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    for group in GROUPS:
        for name, value in project["entry-points"].get(f"spacy_{group}", {}).items():
            module, _, function = value.partition(":")
            yield group, name, getattr(importlib.import_module(module), function)


def _shown(value: Any) -> str:
    """RETURNS (str): A default as a config has it."""
    if value is inspect.Parameter.empty:
        return "required"
    if isinstance(value, dict):
        kinds = [own for key, own in value.items() if key.startswith("@")]
        return f"`{kinds[0]}`" if kinds else "a section"
    if isinstance(value, list) and len(value) > 2:
        return "<br>".join(f"`{own}`" for own in value)
    words = {None: "null", True: "true", False: "false"}
    known = value is None or isinstance(value, bool)
    return f"`{words[value] if known else repr(value).replace(chr(39), chr(34))}`"


def _section(group: str, name: str, function: Any) -> str:
    """RETURNS (str): Markdown of one function."""
    said = parse(function.__doc__)
    defaults = Language.get_factory_meta(name).default_config if group == "factories" else {}
    rows = []
    for key, parameter in inspect.signature(function).parameters.items():
        if key in FROM_SPACY and group == "factories":
            continue
        kind, meaning = said.args.get(key, ("", ""))
        default = _shown(defaults.get(key, parameter.default))
        rows.append(f"| `{key}` | {kind} | {default} | {meaning} |".replace(" | | ", " |  | "))
    head = ["| setting | type | default | what it does |", "| --- | --- | --- | --- |"]
    ends = [f"{word.capitalize()} {kind}: {text}" for word, kind, text in said.ends if text]
    call = f'`{GROUPS[group][1]} = "{name}"`'
    parts = [f"### {name.removeprefix('multibert_spacy.')}", call, said.text, *ends]
    return "\n\n".join(filter(None, [*parts, "\n".join([*head, *rows]) if rows else ""]))


def configuration() -> str:
    """RETURNS (str): Markdown: every registered function, from its signature and docstring."""
    parts: list[str] = []
    group_before = None
    for group, name, function in registered():
        if group != group_before:
            parts.append(f"## {GROUPS[group][0]}")
            group_before = group
        parts.append(_section(group, name, function))
    return "\n\n".join(parts)


def on_page_markdown(markdown: str, **about: Any) -> str:
    """Called by mkdocs for each page. RETURNS (str): The page with what its mark stands for, and
    with intervals, as (65.0-76.3), that no line is broken in.
    """
    if MARK in markdown:
        markdown = markdown.replace(MARK, configuration())
    return re.sub(r"(?<=\d)-(?=[\d.]+\) )", "\u2011", markdown)
