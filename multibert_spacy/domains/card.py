"""The card of a domain's folder: what it is, and how to use it without this package."""

from pathlib import Path

from spacy.language import Language

__all__ = ["write_card"]


def write_card(nlp: Language, name: str, folder: Path) -> None:
    """Placeholder."""
    (folder / "README.md").write_text(f"# {name}\n", encoding="utf8")
