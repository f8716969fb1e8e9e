"""BIO tags: reading a publisher's tag, and making a sequence of tags legal."""

from collections import Counter
from collections.abc import Mapping, Sequence

from spacy.tokens import Doc

AT_START = "I at sentence start"
AFTER_O = "I after O"
AFTER_OTHER = "I after another type"


def doc_tags(doc: Doc) -> list[str]:
    """RETURNS (list[str]): The tag of each word of a gold doc, such as `B-PER`."""
    return [f"{w.ent_iob_}-{w.ent_type_}" if w.ent_type_ else "O" for w in doc]


def parse_tag(tag: str, types: Mapping[str, str]) -> str | None:
    """Translate one tag of a publisher into the project's names.

    tag (str): For example `B-pers`, `I-ORG` or `O`. The type's case does not matter.
    types (Mapping[str, str]): The publisher's types in lower case to the project's.
    RETURNS (str | None): For example `B-PER`; None if the corpus has no such tag.
    """
    if tag == "O":
        return tag
    prefix, dash, kind = tag.partition("-")
    if prefix not in ("B", "I") or not dash or kind.lower() not in types:
        return None
    return f"{prefix}-{types[kind.lower()]}"


def _fault(previous: str | None, tag: str) -> str | None:
    """The kind of illegal step from `previous` (None at the start) to `tag`, None if legal."""
    if not tag.startswith("I-"):
        return None
    if previous is None:
        return AT_START
    if previous == "O":
        return AFTER_O
    return None if previous[2:] == tag[2:] else AFTER_OTHER


def repair_bio(tags: Sequence[str]) -> tuple[tuple[str, ...], Counter[str]]:
    """Let every I- that continues nothing start an entity. The tokens covered stay the same.

    The alternatives, dropping the entity or joining it to a neighbour of another type, would
    lose or invent annotation.

    RETURNS (tuple[tuple[str, ...], Counter[str]]): Legal tags, and the repairs by kind.
    """
    repaired: list[str] = []
    kinds: Counter[str] = Counter()
    for tag in tags:
        fault = _fault(repaired[-1] if repaired else None, tag)
        if fault is not None:
            kinds[fault] += 1
            tag = f"B-{tag[2:]}"
        repaired.append(tag)
    return tuple(repaired), kinds
