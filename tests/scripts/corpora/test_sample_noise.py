"""The noise of the sample corpus: literal cases, and what always holds."""

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.training import iob_to_biluo

from scripts.corpora.docbin import make_vocab
from scripts.corpora.sampling.noise import (
    Token,
    add_hashtags,
    add_tail,
    apply_noise,
    change_digits,
    drop_final_mark,
    split_zwnj,
    stretch,
    use_arabic_letters,
)
from scripts.corpora.sampling.tables import Profile

PLAIN = str.maketrans("يك٠١٢٣٤٥٦٧٨٩0123456789", "یک۰۱۲۳۴۵۶۷۸۹۰۱۲۳۴۵۶۷۸۹", "#_\u200c ")


def entities_of(tokens: list[Token]) -> list[tuple[str, str]]:
    """Label and joined text of every entity."""
    entities: list[tuple[str, str]] = []
    for token in tokens:
        if token.tag.startswith("B-"):
            entities.append((token.tag[2:], token.text))
        elif token.tag.startswith("I-"):
            label, text = entities.pop()
            assert label == token.tag[2:]
            entities.append((label, f"{text} {token.text}"))
    return entities


def assert_legal(tokens: list[Token]) -> None:
    previous = "O"
    for token in tokens:
        assert token.text and not any(c.isspace() for c in token.text)
        if token.tag.startswith("I-"):
            assert previous[2:] == token.tag[2:]
        previous = token.tag
    iob_to_biluo([token.tag for token in tokens])


def tokens_of(*rows: tuple[str, str, int]) -> list[Token]:
    last = len(rows) - 1
    return [Token(text, tag, i < last, slot) for i, (text, tag, slot) in enumerate(rows)]


KOREA = tokens_of(("کره", "B-LOC", 0), ("جنوبی", "I-LOC", 0), ("خوب", "O", -1), (".", "O", -1))


def test_arabic_letters_and_digits() -> None:
    tokens = tokens_of(("یکی", "B-PER", 0), ("۱۲", "O", -1))
    assert [t.text for t in use_arabic_letters(tokens)] == ["يكي", "۱۲"]
    assert [t.text for t in change_digits(tokens, "latin")] == ["یکی", "12"]
    assert [t.text for t in change_digits(tokens, "arabic")] == ["یکی", "١٢"]
    assert [t.tag for t in use_arabic_letters(tokens)] == ["B-PER", "O"]


def test_split_zwnj() -> None:
    tokens = tokens_of(("ال\u200cجی", "B-ORG", 0), ("می\u200cرود", "O", -1))
    spaced = split_zwnj(tokens, Random(0), p_space=1, p_drop=0)
    assert spaced == tokens_of(
        ("ال", "B-ORG", 0), ("جی", "I-ORG", 0), ("می", "O", -1), ("رود", "O", -1)
    )
    dropped = split_zwnj(tokens, Random(0), p_space=0, p_drop=1)
    assert [t.text for t in dropped] == ["ال\u200cجی", "میرود"]
    assert split_zwnj(tokens, Random(0), p_space=0, p_drop=0) == tokens


@pytest.mark.parametrize(
    ("word", "dropped"),
    [
        ("کتاب\u200cها", "کتابها"),
        ("نمی\u200cشود", "نمیشود"),
        ("بزرگ\u200cتر", "بزرگتر"),
        ("خانه\u200cها", "خانه\u200cها"),
        ("گریه\u200cام", "گریه\u200cام"),
    ],
)
def test_zwnj_is_dropped_only_where_people_do(word: str, dropped: str) -> None:
    assert split_zwnj([Token(word)], Random(0), p_space=0, p_drop=1)[0].text == dropped


def test_add_hashtags() -> None:
    tagged = add_hashtags(KOREA, Random(0), p=1)
    assert tagged == tokens_of(("#کره_جنوبی", "B-LOC", 0), ("خوب", "O", -1), (".", "O", -1))
    assert add_hashtags(KOREA, Random(0), p=0) == KOREA
    two = tokens_of(("رشت", "B-LOC", 0), ("یزد", "B-LOC", 1), ("بی\u200cبی", "O", 2))
    texts = [t.text for t in add_hashtags(two, Random(0), p=1)]
    assert texts == ["#رشت", "#یزد", "#بی_بی"]


def test_stretch_spares_names() -> None:
    tokens = tokens_of(("خوب", "B-PER", 0), ("سلام", "O", -1))
    for seed in range(5):
        name, word = stretch(tokens, Random(seed))
        assert name == tokens[0]
        assert re.fullmatch("سلا{3,5}م", word.text)
    assert stretch([Token("کتاب")], Random(0)) == [Token("کتاب")]


def test_ends() -> None:
    assert drop_final_mark(KOREA) == [*KOREA[:2], Token("خوب", space=False)]
    assert drop_final_mark(KOREA[:3]) == KOREA[:3]
    assert drop_final_mark([Token(".")]) == [Token(".")]
    glued = add_tail(KOREA, ["😍", "😍"], glued=True)
    assert "".join(t.text + " " * t.space for t in glued) == "کره جنوبی خوب .😍😍"
    spaced = add_tail(KOREA, ["@ali"])
    assert "".join(t.text + " " * t.space for t in spaced) == "کره جنوبی خوب . @ali"


words = st.text("ابیکهم۱۲", min_size=1, max_size=4)
surfaces = st.lists(
    st.lists(words, min_size=1, max_size=3).map("\u200c".join), min_size=1, max_size=3
)
segments = st.lists(st.tuples(st.sampled_from(["PER", "LOC", "O", ""]), surfaces), min_size=1)
chance = st.floats(0, 1)
profiles = st.builds(
    Profile,
    arabic=chance, zwnj_space=chance, zwnj_drop=chance, stretch=chance, hashtag=chance,
    emoji=chance, mention=chance, url=chance, no_final=chance, topic=chance,
    digits=st.sampled_from([(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]),
    topics=st.sampled_from([(), ("سفر",)]),
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(segments, profiles, st.integers(0, 1000))
def test_noise_keeps_entities(
    parts: list[tuple[str, list[str]]], profile: Profile, seed: int
) -> None:
    tokens = []
    for slot, (label, forms) in enumerate(parts):
        for i, form in enumerate(forms):
            tag = f"{'I' if i else 'B'}-{label}" if label not in ("O", "") else "O"
            tokens.append(Token(form, tag, True, slot if label else -1))
    tokens.append(Token(".", space=False))
    noisy = apply_noise(tokens, profile, Random(seed))
    assert_legal(noisy)
    plain = [(label, form.translate(PLAIN)) for label, form in entities_of(tokens)]
    assert [(label, form.translate(PLAIN)) for label, form in entities_of(noisy)] == plain
    assert noisy == apply_noise(tokens, profile, Random(seed))
    doc = Doc(
        make_vocab(),
        words=[t.text for t in noisy],
        spaces=[t.space for t in noisy],
        ents=[t.tag for t in noisy],
    )
    assert [ent.label_ for ent in doc.ents] == [label for label, _ in plain]
