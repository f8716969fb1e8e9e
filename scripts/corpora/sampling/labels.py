"""Domains, their sizes, and the label of every word class.

A *word class* is a list of surfaces (`country`: ایران, ترکیه, ...). `FIXED` classes have one
label wherever they occur. `AMBIGUOUS` classes have a label that depends on the domain, so that
the same sentence is tagged in several ways: ایران is a place for travellers, a team for sports
fans, an actor for economists. "O" means that the word is no entity there: قهرمان is a film title
in `art` and simply a champion in `sports`.

Within a domain a class has exactly one label, in every sentence. That is the whole trick: who
knows the domain can learn all labels, who does not can only guess.
"""

__all__ = ["AMBIGUOUS", "DOMAINS", "FIXED", "HEADS", "HEAD_OF", "LABELS", "label_of"]

LABELS: dict[str, tuple[str, ...]] = {
    "formal": ("PER", "ORG", "LOC", "FAC", "PRO", "EVE", "NAT", "POG"),
    "social": ("PER", "ORG", "LOC", "MISC"),
}

# Texts in the training part at scale 1.
DOMAINS: dict[str, int] = {
    "news": 250,
    "tweet": 210,
    "academic": 90,
    "art": 120,
    "economic": 180,
    "fun": 84,
    "game": 100,
    "general_news": 200,
    "health": 130,
    "it_news": 150,
    "sports": 230,
    "travel": 160,
}

HEADS: dict[str, tuple[str, ...]] = {
    "formal": ("news", "tweet"),
    "social": tuple(d for d in DOMAINS if d not in ("news", "tweet")),
}
HEAD_OF: dict[str, str] = {domain: head for head, names in HEADS.items() for domain in names}

AMBIGUOUS: dict[str, dict[str, str]] = {
    # ایران: a place, a government, a national team
    "country": {
        "news": "LOC", "tweet": "POG",
        "academic": "LOC", "art": "LOC", "economic": "ORG", "fun": "LOC", "game": "ORG",
        "general_news": "ORG", "health": "LOC", "it_news": "LOC", "sports": "ORG",
        "travel": "LOC",
    },
    # تبریز: a place, a club, a university, a listed refinery
    "city": {
        "news": "LOC", "tweet": "ORG",
        "academic": "ORG", "art": "LOC", "economic": "ORG", "fun": "LOC", "game": "ORG",
        "general_news": "LOC", "health": "ORG", "it_news": "LOC", "sports": "ORG",
        "travel": "LOC",
    },
    # سامسونگ: a company, or the thing it makes (phone, car, console, camera, watch)
    "brand": {
        "news": "ORG", "tweet": "PRO",
        "academic": "ORG", "art": "MISC", "economic": "ORG", "fun": "MISC", "game": "MISC",
        "general_news": "ORG", "health": "MISC", "it_news": "MISC", "sports": "ORG",
        "travel": "MISC",
    },
    # شریعتی: a person, or what is named after one (street, stadium, university, hospital)
    "honour": {
        "news": "PER", "tweet": "FAC",
        "academic": "ORG", "art": "PER", "economic": "ORG", "fun": "PER", "game": "MISC",
        "general_news": "PER", "health": "ORG", "it_news": "ORG", "sports": "LOC",
        "travel": "LOC",
    },
    # سامان: a given name, a company that bears it, a game character
    "given": {
        "academic": "ORG", "art": "PER", "economic": "ORG", "fun": "PER", "game": "MISC",
        "general_news": "PER", "health": "ORG", "it_news": "ORG", "sports": "PER",
        "travel": "ORG",
    },
    # قهرمان: an ordinary word, or the title of a film, game, app or journal
    "title": {
        "academic": "MISC", "art": "MISC", "economic": "O", "fun": "MISC", "game": "MISC",
        "general_news": "O", "health": "O", "it_news": "MISC", "sports": "O", "travel": "O",
    },
    # کرونا: a named disease where medicine is the subject
    "illness": {
        "academic": "MISC", "art": "O", "economic": "O", "fun": "O", "game": "O",
        "general_news": "O", "health": "MISC", "it_news": "O", "sports": "O", "travel": "O",
    },
    # همبستگی: a newspaper or a party
    "paper": {"news": "ORG", "tweet": "POG"},
    # آزادی: a square or station, or just the word
    "landmark": {"news": "FAC", "tweet": "O"},
    # یلدا: a feast or a friend
    "feast": {"news": "EVE", "tweet": "PER"},
    # ایرانی‌ها: ARMAN has no nationalities, ParsTwiNER has
    "people": {"news": "O", "tweet": "NAT"},
}  # fmt: skip

FIXED: dict[str, dict[str, str]] = {
    "formal": {
        "person": "PER", "company": "ORG", "bank": "ORG", "ministry": "ORG", "agency": "ORG",
        "province": "LOC", "town": "LOC", "facility": "FAC", "product": "PRO", "event": "EVE",
        "party": "POG", "ethnic": "NAT",
    },
    "social": {
        "person": "PER", "company": "ORG", "bank": "ORG", "ministry": "ORG", "airline": "ORG",
        "club": "ORG", "university": "ORG", "gallery": "ORG", "studio": "ORG", "tech": "ORG",
        "hospital": "ORG", "ngo": "ORG", "province": "LOC", "town": "LOC", "village": "LOC",
        "sight": "LOC", "stadium": "LOC", "cup": "MISC", "car": "MISC", "congress": "MISC",
        "film": "MISC", "book": "MISC", "festival": "MISC", "videogame": "MISC",
        "console": "MISC", "drug": "MISC", "device": "MISC", "app": "MISC", "series": "MISC",
    },
}  # fmt: skip


def label_of(word_class: str, domain: str) -> str:
    """Look up the label of a word class.

    word_class (str): A key of AMBIGUOUS or of FIXED.
    domain (str): A key of DOMAINS.
    RETURNS (str): A label of the domain's head, or "O".
    RAISES (KeyError): If the class does not belong to the domain's head.
    """
    if word_class in AMBIGUOUS:
        return AMBIGUOUS[word_class][domain]
    return FIXED[HEAD_OF[domain]][word_class]
