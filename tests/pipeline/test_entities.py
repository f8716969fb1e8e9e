"""What others wrote into a doc, and what becomes of our entities and scores afterwards."""

import json

import numpy as np
import pytest
import spacy
from conftest import NAMES, entities, toy_text
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.vocab import Vocab

from multibert_spacy.errors import ConfigError
from multibert_spacy.pipeline.entities import (
    barred_tags,
    check_min_score,
    foreign_words,
    write_entities,
)
from multibert_spacy.text.crf import legal_transitions
from multibert_spacy.text.spans import decode_entities
from multibert_spacy.text.words import tagged_words
from multibert_spacy.types import Entity

KEY = "multibert_ner"
TEXT = "هتل تبریز سفر سپاهان دریا"
FOUND = [("تبریز", "LOC"), ("سپاهان", "ORG")]


def travel(nlp, text=TEXT):
    doc = nlp.make_doc(text)
    doc._.domain = "travel"
    return doc


def scores(doc):
    return [ent._.score for ent in doc.ents]


def write(doc, *found, **settings):
    settings = {"min_score": 0.0, "overwrite": False, **settings}
    write_entities(doc, [Entity(*e) for e in found], KEY, **settings)
    return doc


def words(n=6, **kwargs):
    return Doc(Vocab(), words=list("abcdef")[:n], **kwargs)


@pytest.fixture
def scored():
    """«b c» and «e», with scores."""
    return write(words(), (1, 3, "PER", 0.75), (4, 5, "LOC", 0.5))


# Scores


def test_scores_of_entities(trained):
    doc = trained(travel(trained))
    assert entities(doc) == FOUND
    assert all(type(score) is float and 0 < score <= 1 for score in scores(doc))
    assert scores(doc) == pytest.approx(list(doc.spans[KEY].attrs["scores"]))
    assert doc[0:1]._.score is None


def test_scores_survive_merge_entities(trained):
    trained.add_pipe("merge_entities")
    doc = travel(trained, "هتل تبریز تبریز سفر سپاهان")
    doc.ents = [Span(doc, 1, 3, label="PER")]
    doc = trained(doc)
    assert [(ent.text, len(ent)) for ent in doc.ents] == [("تبریز تبریز", 1), ("سپاهان", 1)]
    preset, own = scores(doc)
    assert preset is None and 0 < own <= 1


def test_scores_survive_a_merge(scored):
    with scored.retokenize() as retokenizer:
        for ent in scored.ents:
            retokenizer.merge(ent)
    assert [(ent.text, ent.start) for ent in scored.ents] == [("b c", 1), ("e", 3)]
    assert scores(scored) == [0.75, 0.5]


def test_scores_survive_from_docs(scored):
    other = write(Doc(scored.vocab, words=["x"]), (0, 1, "ORG", 0.25))
    both = Doc.from_docs([scored, other])
    assert [ent.text for ent in both.ents] == ["b c", "e", "x"]
    assert scores(both) == [0.75, 0.5, 0.25]


def test_scores_survive_as_doc(scored):
    part = scored[3:6].as_doc(copy_user_data=True)
    assert [ent.text for ent in part.ents] == ["e"]
    assert scores(part) == [0.5]


def test_scores_survive_json(scored):
    data = json.loads(json.dumps(scored.to_json(underscore=["score"])))
    again = Doc(scored.vocab).from_json(data)
    assert [ent.text for ent in again.ents] == ["b c", "e"]
    assert scores(again) == [0.75, 0.5]


def test_scores_survive_a_docbin(scored):
    data = DocBin(docs=[scored], store_user_data=True).to_bytes()
    (again,) = DocBin().from_bytes(data).get_docs(Vocab())
    assert scores(again) == [0.75, 0.5]


def test_scores_survive_bytes_and_copies(scored):
    assert scores(Doc(Vocab()).from_bytes(scored.to_bytes())) == [0.75, 0.5]
    assert scores(scored.copy()) == [0.75, 0.5]


def test_scores_survive_other_processes(trained):
    docs = list(trained.pipe([travel(trained)] * 2, n_process=2, batch_size=1))
    assert [entities(doc) for doc in docs] == [FOUND] * 2
    assert all(score > 0 for doc in docs for score in scores(doc))


def test_no_stale_scores(scored):
    write(scored, (1, 2, "PER", 0.25))
    assert [(ent.text, ent._.score) for ent in scored.ents] == [("b", 0.25)]
    assert scored[1:3]._.score is None and scored[4:5]._.score is None
    assert list(scored.spans[KEY].attrs["scores"]) == [0.25]


def test_no_stale_scores_after_a_merge(scored):
    with scored.retokenize() as retokenizer:
        retokenizer.merge(scored[1:3])
    write(scored)
    assert scored.ents == ()
    assert not [key for key in scored.user_data if key[1] == "score"]


def test_the_span_group_follows_its_words():
    doc = write(words(), (1, 3, "PER", 0.75), (4, 6, "LOC", 0.5))
    group = doc.spans[KEY]
    with doc.retokenize() as retokenizer:
        for ent in doc.ents:
            retokenizer.merge(ent)
    forms = [doc, doc.copy(), Doc(doc.vocab).from_bytes(doc.to_bytes()), Doc.from_docs([doc])]
    forms.append(Doc(doc.vocab).from_json(doc.to_json()))
    for form in forms:
        spans = [(s.text, s.start, s.end, s.label_) for s in form.spans[KEY]]
        assert spans == [("b c", 1, 2, "PER"), ("e f", 3, 4, "LOC")]
    assert group[-1].text == "e f" and not group.has_overlap
    assert list(doc.copy().spans[KEY].attrs["scores"]) == [0.75, 0.5]
    with doc.retokenize() as retokenizer:
        retokenizer.split(doc[1], ["b", " ", "c"], [doc[0]] * 3)
    assert [(s.text, len(s)) for s in group] == [("b c", 3), ("e f", 1)]
    with pytest.raises(IndexError):
        group[2]


def test_a_merged_doc_whose_span_group_is_spacys_own(scored):
    """As read from bytes; its last span is behind the end of the doc."""
    doc = Doc(scored.vocab).from_bytes(scored.to_bytes())
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[1:3])
        retokenizer.merge(doc[3:6])
    assert entities(doc) == [("b c", "PER")]
    assert foreign_words(doc, KEY) is None
    write(doc, (1, 2, "ORG", 0.5))
    assert entities(doc) == [("b c", "ORG")]
    assert [span.text for span in doc.spans[KEY]] == ["b c"]


# min_score


def test_min_score_by_hand():
    doc = write(words(), (0, 1, "PER", 0.5), (2, 3, "LOC", 0.25), min_score=0.5)
    assert entities(doc) == [("a", "PER")]
    assert list(doc.spans[KEY].attrs["scores"]) == [0.5]
    assert doc[2:3]._.score is None


def test_min_score_is_a_setting(trained, trained_folder):
    doc = trained(travel(trained))
    between = sum(scores(doc)) / 2
    config = {"components.multibert_ner.min_score": between}
    nlp = spacy.load(trained_folder, config=config)
    kept = nlp(travel(nlp, doc.text))
    assert len(kept.ents) == 1
    assert scores(kept) == pytest.approx([s for s in scores(doc) if s >= between])
    assert nlp.get_pipe("multibert_ner").min_score == between
    assert trained.config["components"]["multibert_ner"]["min_score"] == 0.0


@pytest.mark.parametrize("value", [-0.1, 1.01])
def test_min_score_is_checked(value):
    with pytest.raises(ConfigError, match="min_score must be between 0"):
        spacy.blank("fa").add_pipe("multibert_ner", config={"min_score": value})


def test_min_score_is_a_number():
    with pytest.raises(ConfigError, match="got nan"):
        check_min_score(float("nan"))


# What others wrote


def test_presets_and_blocked_words_by_hand():
    doc = words(ents=["B-X", "I-X", "O", "O", "O", "O"])
    doc.set_ents([], blocked=[doc[3:4]], missing=[doc[5:6]], default="unmodified")
    assert foreign_words(doc, KEY).tolist() == [True, True, False, True, False, False]
    write(doc, (1, 2, "PER", 1.0), (2, 3, "LOC", 0.5), (3, 5, "LOC", 1.0))
    assert entities(doc) == [("a b", "X"), ("c", "LOC")]
    assert [word.ent_iob_ for word in doc] == ["B", "I", "B", "B", "O", "O"]
    assert [word.ent_type_ for word in doc] == ["X", "X", "LOC", "", "", ""]
    assert [span.text for span in doc.spans[KEY]] == ["c"]


def test_presets_keep_their_ids():
    doc = words()
    doc.ents = [Span(doc, 0, 2, label="X", kb_id="Q1", span_id="rule")]
    write(doc, (3, 4, "PER", 1.0))
    assert [(ent.kb_id_, ent.ent_id_) for ent in doc.ents] == [("Q1", "rule"), ("", "")]


def test_overwriting_by_hand():
    doc = words(ents=["B-X", "I-X", "O", "O", "O", "O"])
    doc.set_ents([], blocked=[doc[3:4]], default="unmodified")
    write(doc, (1, 2, "PER", 1.0), overwrite=True)
    assert entities(doc) == [("b", "PER")]
    assert [word.ent_iob_ for word in doc] == ["O", "B", "O", "O", "O", "O"]


def test_our_own_entities_are_nobodys(scored):
    assert foreign_words(scored, KEY) is None
    write(scored, (0, 1, "ORG", 0.5))
    assert entities(scored) == [("a", "ORG")]


def test_entities_that_a_user_changed_are_the_users(scored):
    """One with another label, one with other borders, one new, one deleted."""
    doc = write(words(), (0, 1, "PER", 1.0), (2, 4, "LOC", 1.0), (5, 6, "ORG", 1.0))
    doc.ents = [Span(doc, 0, 1, "ORG"), Span(doc, 2, 3, "LOC"), Span(doc, 4, 5, "ORG")]
    assert foreign_words(doc, KEY).tolist() == [True, False, True, False, True, False]
    write(doc, (3, 4, "PER", 0.5), (5, 6, "ORG", 0.5))
    assert entities(doc) == [("a", "ORG"), ("c", "LOC"), ("d", "PER"), ("e", "ORG"), ("f", "ORG")]
    assert scores(doc) == [None, None, 0.5, None, 0.5]


def test_our_entities_are_known_in_another_form(scored):
    data = DocBin(docs=[scored], store_user_data=True).to_bytes()
    (again,) = DocBin().from_bytes(data).get_docs(Vocab())
    merged = scored.copy()
    with merged.retokenize() as retokenizer:
        retokenizer.merge(merged[1:3])
    for doc in (again, merged, Doc(scored.vocab).from_json(scored.to_json())):
        assert len(doc.ents) == 2
        assert foreign_words(doc, KEY) is None


def test_an_entity_ruler_in_front(trained):
    ruler = trained.add_pipe("entity_ruler", first=True)
    ruler.add_patterns([{"label": "HOTEL", "pattern": "هتل تبریز", "id": "h"}])
    for _ in range(2):
        doc = trained(travel(trained))
        assert entities(doc) == [("هتل تبریز", "HOTEL"), ("سپاهان", "ORG")]
        assert doc.ents[0].ent_id_ == "h"
        assert scores(doc)[0] is None and scores(doc)[1] > 0.5
        assert [span.text for span in doc.spans[KEY]] == ["سپاهان"]


@pytest.mark.parametrize("overwrite, label", [(False, "LOC"), (True, "HOTEL")])
def test_an_entity_ruler_behind(trained, overwrite, label):
    ruler = trained.add_pipe("entity_ruler", config={"overwrite_ents": overwrite})
    ruler.add_patterns([{"label": "HOTEL", "pattern": "تبریز"}])
    doc = trained(travel(trained))
    assert entities(doc) == [("تبریز", label), ("سپاهان", "ORG")]


def test_overwrite_ents_is_a_setting(trained_folder):
    nlp = spacy.load(trained_folder, config={"components.multibert_ner.overwrite_ents": True})
    nlp.add_pipe("entity_ruler", first=True).add_patterns([{"label": "X", "pattern": "هتل تبریز"}])
    doc = nlp(travel(nlp))
    assert entities(doc) == FOUND
    assert None not in scores(doc)


def test_blocked_words(trained):
    doc = travel(trained)
    doc.set_ents([], blocked=[doc[1:2]])
    doc = trained(doc)
    assert entities(doc) == FOUND[1:]
    assert (doc[1].ent_iob_, doc[1].ent_type_) == ("B", "")
    assert entities(trained(doc)) == FOUND[1:]


def test_words_that_are_o_or_missing_are_tagged(trained):
    doc = travel(trained)
    doc.set_ents([], missing=[doc[1:2]])
    assert entities(trained(doc)) == FOUND
    assert "" not in {word.ent_iob_ for word in doc}


def test_a_doc_that_comes_again_is_tagged_anew(trained):
    doc = trained(travel(trained, "ایران"))
    assert entities(doc) == [("ایران", "LOC")]
    doc._.domain = "news"
    assert entities(trained(doc)) == [("ایران", "POG")]
    assert len(scores(doc)) == 1 and scores(doc)[0] > 0.5


def test_as_spacys_ner_treats_them(trained):
    """An untrained `ner` keeps the same presets and the same blocked words."""
    other = spacy.blank("fa")
    other.add_pipe("ner").add_label("LOC")
    other.initialize()
    kept = []
    for nlp in (trained, other):
        doc = travel(nlp, " ".join(["هتل تبریز سفر"] * 4))
        presets = [Span(doc, 1, 3, label="X", kb_id="Q"), Span(doc, 3, 4, label="LOC")]
        doc.set_ents(presets, blocked=[doc[7:9]], missing=[doc[10:12]])
        doc = nlp(doc)
        kept.append([(doc[i].ent_iob_, doc[i].ent_type_) for i in (1, 2, 3, 7, 8)])
        assert [ent.kb_id_ for ent in doc.ents if ent.label_ == "X"] == ["Q"]
        assert "" not in {word.ent_iob_ for word in doc}
    assert kept[0] == kept[1]


@pytest.mark.parametrize("text", [TEXT, toy_text("travel", n_words=40)])
def test_neighbours_of_presets_are_read_as_those_of_o(nlp, text):
    """Whatever a random tagger would say, nothing is inside or across what others wrote."""
    for start in range(0, len(nlp.make_doc(text)) - 1, 2):
        doc = travel(nlp, text)
        doc.ents = [Span(doc, start, start + 2, label="X")]
        doc = nlp(doc)
        assert [(e.start, e.end) for e in doc.ents if e.label_ == "X"] == [(start, start + 2)]
        assert len(doc.spans[KEY]) == len(doc.ents) - 1


def test_presets_do_not_disturb_training(trained):
    """The gold entities are what is learnt."""
    tagger = trained.get_pipe("multibert_ner")
    tagger.train_only(NAMES, heads=True)
    losses = []
    for preset in (False, True):
        predicted = travel(trained)
        if preset:
            predicted.set_ents([Span(predicted, 0, 2, label="X")], blocked=[predicted[3:4]])
        reference = travel(trained)
        reference.ents = [Span(reference, 1, 2, label="LOC")]
        losses.append(tagger.update([Example(predicted, reference)])["multibert_ner"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


# The chain


@st.composite
def docs_with_foreign_words(draw):
    text = draw(
        st.lists(st.sampled_from(["a", "b", " ", "https://a.ir/b"]), min_size=1, max_size=8)
    )
    foreign = np.array(draw(st.lists(st.booleans(), min_size=len(text), max_size=len(text))))
    return text, foreign, draw(st.integers(0, 2**31))


@given(docs_with_foreign_words())
def test_no_entity_has_a_foreign_word_in_it(case):
    """Bridged ones, such as white space, among them."""
    text, foreign, seed = case
    rng = np.random.default_rng(seed)
    seen = np.flatnonzero([word.isalpha() for word in text])
    own = tagged_words(Doc(Vocab(), words=text), seen)
    barred = barred_tags(own, foreign, 5)
    logits = own.spread(rng.normal(0, 9, size=(len(seen), 5)).astype("f"))
    moves = rng.normal(0, 2, size=(5, 5)).astype("f")
    (found,) = decode_entities([logits], ["PER", "LOC"], moves, [barred])
    for e in own.place(found):
        assert not foreign[e.start : e.end].any()
        assert 0 < e.score <= 1
    assert legal_transitions(5)[0, 2] == 0
    if not foreign.any():
        (free,) = decode_entities([logits], ["PER", "LOC"], moves)
        assert [e[:3] for e in free] == [e[:3] for e in found]


def test_a_blocked_white_space_parts_a_name():
    """Both words are PER, and would be one."""
    doc = Doc(Vocab(), words=["a", " ", "b"])
    logits = np.array([[0, 9, 0], [0, 0, 9]], dtype="f")
    own = tagged_words(doc, np.array([0, 2]))
    for foreign, expected in (([0, 0, 0], [(0, 3)]), ([0, 1, 0], [(0, 1)])):
        barred = barred_tags(own, np.array(foreign, dtype=bool), 3)
        (found,) = decode_entities([logits], ["PER"], np.zeros((3, 3), "f"), [barred])
        assert [e[:2] for e in own.place(found)] == expected
