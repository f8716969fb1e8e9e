"""Colours of the entity types, registered for displaCy (entry point `spacy_displacy_colors`)."""

__all__ = ["COLORS"]

COLORS = {
    "PER": "#f7b6d2",
    "ORG": "#9edae5",
    "LOC": "#98df8a",
    "FAC": "#dbdb8d",
    "PRO": "#ffbb78",
    "EVE": "#c5b0d5",
    "NAT": "#c49c94",
    "POG": "#aec7e8",
    "MISC": "#d9d9d9",
}
