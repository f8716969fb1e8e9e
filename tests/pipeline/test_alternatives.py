"""`alternatives`: what else an entity of a tagged doc may be."""

import pytest
import spacy
from conftest import toy_text
from spacy.tokens import Span

from multibert_spacy.errors import ConfigError, DomainError

TEXT = "هتل تبریز سفر سپاهان دریا"


def travel(nlp, text=TEXT):
    doc = nlp.make_doc(text)
    doc._.domain = "travel"
    return doc


def test_alternatives(trained):
    doc = trained(travel(trained))
    before = doc.to_bytes()
    found = trained.get_pipe("multibert_ner").alternatives(doc)
    assert doc.to_bytes() == before
    assert [[len(pair) for pair in readings] for readings in found] == [[2] * 3] * 2
    for ent, readings in zip(doc.ents, found, strict=True):
        (first, most), *_ = readings
        assert isinstance(first, Span) and type(most) is float
        assert (first.text, first.label_) == (ent.text, ent.label_)
        assert most > 0.5
        assert most == pytest.approx(ent._.score, abs=0.2)


@pytest.mark.parametrize("n", [1, 2, 8])
def test_alternatives_of_a_random_tagger(nlp, n):
    tagger = nlp.get_pipe("multibert_ner")
    doc = nlp(travel(nlp, toy_text("travel", n_words=30)))
    found = tagger.alternatives(doc, n=n)
    assert len(doc.ents) > 1
    assert len(found) == len(doc.ents)
    for ent, readings in zip(doc.ents, found, strict=True):
        assert 1 <= len(readings) <= n
        probabilities = [p for _, p in readings]
        assert probabilities == sorted(probabilities, reverse=True)
        assert all(0 < p <= 1 for p in probabilities)
        assert len({(span.start, span.end, span.label) for span, _ in readings}) == len(readings)
        for span, _ in readings:
            assert span.doc is doc
            assert span.start < ent.end and span.end > ent.start
            assert span.label_ in {"LOC", "ORG", ""}
            assert span.label_ or (span.start, span.end) == (ent.start, ent.end)
    more = tagger.alternatives(doc, n=n + 1)
    for few, many in zip(found, more, strict=True):
        assert few == many[: len(few)]


def test_that_there_is_no_entity_is_a_reading(nlp):
    doc = nlp(travel(nlp))
    for ent, readings in zip(
        doc.ents, nlp.get_pipe("multibert_ner").alternatives(doc, n=100), strict=True
    ):
        ((nothing, p),) = [pair for pair in readings if not pair[0].label]
        assert (nothing.start, nothing.end, nothing.label_) == (ent.start, ent.end, "")
        assert 0 < p < 1


def test_readings_leave_out_what_others_wrote(trained):
    doc = travel(trained)
    doc.set_ents([Span(doc, 2, 3, label="X")], blocked=[doc[0:1]])
    doc = trained(doc)
    found = trained.get_pipe("multibert_ner").alternatives(doc, n=50)
    assert [readings[0][0].text for readings in found] == ["تبریز", "سپاهان"]
    assert {(span.start, span.end) for span, _ in found[0]} == {(1, 2)}
    assert sum(p for _, p in found[0]) == pytest.approx(1)


def test_alternatives_of_merged_and_of_other_entities(trained):
    tagger = trained.get_pipe("multibert_ner")
    doc = trained(travel(trained))
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:1])
        retokenizer.merge(doc[3:5])
    assert [ent.text for ent in doc.ents] == ["تبریز", "سپاهان دریا"]
    assert [readings[0][0].text for readings in tagger.alternatives(doc)] == ["تبریز"]
    doc.ents = [Span(doc, 0, 1, label="X")]
    assert tagger.alternatives(doc) == []


def test_docs_without_entities(trained):
    tagger = trained.get_pipe("multibert_ner")
    for text in ("", "هتل"):
        assert tagger.alternatives(trained(travel(trained, text))) == []
        assert tagger.alternatives(trained.make_doc(text)) == []


@pytest.mark.parametrize("n", [0, -1, 1.5, "2"])
def test_how_many_is_checked(trained, n):
    with pytest.raises(ConfigError, match="at least 1"):
        trained.get_pipe("multibert_ner").alternatives(trained(travel(trained)), n=n)


def test_a_domain_is_needed(trained):
    doc = trained(travel(trained))
    doc._.domain = None
    with pytest.raises(DomainError, match="Unknown domain None"):
        trained.get_pipe("multibert_ner").alternatives(doc)


def test_the_factory_says_what_is_written():
    meta = spacy.blank("fa").get_factory_meta("multibert_ner")
    assert "span._.score" in meta.assigns
    assert (meta.default_config["min_score"], meta.default_config["overwrite_ents"]) == (
        0.0,
        False,
    )
