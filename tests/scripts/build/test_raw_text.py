"""Raw text: words joined as a writer would, spans compared by character."""

import pytest
import spacy
from spacy.tokens import Doc, Span

from scripts.build.scoring.raw_text import join_words, on_common_words, raw_examples

NLP = spacy.blank("fa")


@pytest.mark.parametrize(
    "words, text",
    [
        (["او", "رفت", "."], "او رفت."),
        (["گفت", ":", "«", "بیا", "»", "،", "باشه"], "گفت: «بیا»، باشه"),
        (["(", "تهران", ")"], "(تهران)"),
        (["گفت", '"', "نه", '"', "و", "رفت"], 'گفت "نه" و رفت'),
        (["۵", "٪", "...", "؟!"], "۵٪...؟!"),
        (["#تهران", "😀"], "#تهران 😀"),
        ([], ""),
    ],
)
def test_words_are_joined(words, text):
    joined, starts = join_words(words)
    assert joined == text
    assert [joined[i : i + len(w)] for i, w in zip(starts, words, strict=True)] == words


def on(words, spans, domain="travel"):
    doc = Doc(NLP.vocab, words=words)
    doc.set_ents([Span(doc, a, b, label=label) for a, b, label in spans])
    doc._.domain = domain
    return doc


def test_the_finest_common_words():
    gold = on(["در", "تهران", "(", "ایران", ")"], [(1, 2, "LOC"), (3, 4, "ORG")])
    text, starts = join_words([word.text for word in gold])
    assert text == "در تهران (ایران)"
    answer = Doc(NLP.vocab, words=["در", "تهران", "(ایران)"], spaces=[True, True, False])
    answer.set_ents([Span(answer, 1, 2, label="LOC"), Span(answer, 2, 3, label="ORG")])
    eg = on_common_words(answer, gold, starts)
    assert [w.text for w in eg.predicted] == ["در", " ", "تهران", " ", "(", "ایران", ")"]
    assert [w.text for w in eg.reference] == [w.text for w in eg.predicted]
    assert [(e.text, e.label_) for e in eg.reference.ents] == [("تهران", "LOC"), ("ایران", "ORG")]
    assert [(e.text, e.label_) for e in eg.predicted.ents] == [
        ("تهران", "LOC"),
        ("(ایران)", "ORG"),
    ]
    assert eg.reference._.domain == "travel"


def test_emoji_that_a_corpus_leaves_on_a_name_are_no_part_of_it():
    gold = on(
        ["🔹رضا", "کیانی", "♥️", "سپاهان👇", "😀"], [(0, 2, "PER"), (3, 4, "ORG"), (4, 5, "MISC")]
    )
    text, starts = join_words([word.text for word in gold])
    answer = Doc(
        NLP.vocab,
        words=["🔹", "رضا", "کیانی", "♥️", "سپاهان", "👇", "😀"],
        spaces=[False, True, True, True, False, True, False],
    )
    assert answer.text == text
    answer.set_ents([Span(answer, 1, 3, label="PER"), Span(answer, 4, 6, label="ORG")])
    eg = on_common_words(answer, gold, starts)
    assert [(e.text, e.label_) for e in eg.reference.ents] == [
        ("رضا کیانی", "PER"),
        ("سپاهان", "ORG"),
        ("😀", "MISC"),
    ]
    assert [(e.text, e.label_) for e in eg.predicted.ents] == [
        ("رضا کیانی", "PER"),
        ("سپاهان", "ORG"),
    ]


def test_a_whole_pipeline(make_nlp):
    nlp = make_nlp()
    gold = [on(["تبریز", "،", "سپاهان", "."], [(0, 1, "LOC")]), on(["گل"], [], "sports")]
    given = list(raw_examples(nlp, gold))
    detected = list(raw_examples(nlp, gold, threads=[1, 1]))
    for examples in (given, detected):
        assert [eg.reference._.domain for eg in examples] == ["travel", "sports"]
        assert examples[0].predicted.text == "تبریز، سپاهان."
    assert [eg.predicted._.domain for eg in given] == ["travel", "sports"]
    # a thread has one domain
    assert len({eg.predicted._.domain for eg in detected}) == 1
