"""The meanings of the labels, for `spacy.explain`.

The corpora's own meaning is given, since it is not always what an international reader of the
label expects: a country is a LOC where spaCy's English pipelines have GPE, a club is an ORG, and
ParsNER's MISC is no miscellaneous name but a number.

spaCy has one glossary for all pipelines, and five of the labels stand in it. Their entries are
continued, not replaced: another pipeline's `spacy.explain("MISC")` still says what it said.
"""

from spacy.glossary import GLOSSARY

__all__ = ["MEANINGS", "install_glossary"]

MEANINGS = {
    "PER": "also characters of films and games",
    "ORG": "also news agencies, clubs, and states where they act",
    "LOC": "also countries, provinces and cities",
    "FAC": "also universities, squares and sports grounds",
    "MISC": "numbers, dates, durations and money (head 'social', as ParsNER has it)",
    "PRO": "Products: newspapers, books, films, brands of goods, languages and religions",
    "EVE": "Events: wars, elections, tournaments, festivals, holidays",
    "NAT": "Nationalities and peoples",
    "POG": "Political groups: parties, factions, movements, dynasties",
}
"""Of each label that the trained heads have, what ARMAN, ParsTwiNER and ParsNER mark with it."""


def install_glossary() -> None:
    """Let `spacy.explain` know the labels. Entries that spaCy has go on with what the corpora
    add, so that calling it twice changes nothing.
    """
    for label, meaning in MEANINGS.items():
        known = GLOSSARY.get(label)
        if known is None:
            GLOSSARY[label] = meaning
        elif meaning not in known:
            GLOSSARY[label] = f"{known.rstrip('.')}; in Persian corpora: {meaning}"
