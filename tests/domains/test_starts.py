"""Which adapter a new domain starts as, and what its head takes over."""

from collections import Counter

import pytest
import torch
from conftest import toy_examples
from spacy.tokens import Span

from multibert_spacy.domains.starts import Start, choose_start, new_head
from multibert_spacy.domains.training import own_tagger
from multibert_spacy.networks.tagger import Head


def choose(nlp, domain, labels=None, **settings):
    tagger = nlp.get_pipe("multibert_ner")
    examples = toy_examples(nlp, domain, 12, seed=7)
    for eg in examples if labels else ():
        ents = [Span(eg.reference, e.start, e.end, labels[e.label_]) for e in eg.reference.ents]
        eg.reference.ents = ents
    settings = {"own_labels": bool(labels), "mix": False, **settings}
    bench = own_tagger(tagger, core_dropout=0.0)
    found = choose_start(tagger, bench, examples, tagger.domains, **settings)
    assert bench.domains == ()
    return found


@pytest.mark.parametrize("domain", ["travel", "sports", "news"])
def test_the_domain_that_the_texts_are_of_wins(trained, domain):
    found = choose(trained, domain)
    assert (found.name, found.domain, found.f) == (domain, domain, 1.0)


def test_labels_of_other_names_count_as_what_they_cover(trained):
    found = choose(trained, "news", {"LOC": "PLACE", "ORG": "CLUB", "POG": "STATE"})
    assert (found.name, found.f) == ("news", 1.0)
    assert {label: set(own) for label, own in found.cover.items()} == {
        "LOC": {"PLACE"},
        "ORG": {"CLUB"},
        "POG": {"STATE"},
    }


def test_equal_domains_are_tried_once(trained, monkeypatch):
    tagger = trained.get_pipe("multibert_ner")
    tagger.model.add_domain("twin", head="social", copy_from="sports")
    tagged = []
    predict = type(tagger).predict

    def count(self, docs):
        docs = list(docs)
        tagged.extend(doc._.domain for doc in docs)
        return predict(self, docs)

    monkeypatch.setattr(type(tagger), "predict", count)
    choose(trained, "sports")
    assert set(tagged) == {"travel", "sports", "news"}


def test_the_mean_is_taken_only_if_it_is_better(trained):
    assert choose(trained, "sports", mix=True).name == "sports"


def test_few_are_left_when_there_are_many(trained, monkeypatch):
    monkeypatch.setattr("multibert_spacy.domains.starts.ALL_WORDS", 100)
    monkeypatch.setattr("multibert_spacy.domains.starts.FEWEST_WORDS", 30)
    monkeypatch.setattr("multibert_spacy.domains.starts.FINALISTS", 1)
    assert choose(trained, "news").name == "news"


def test_a_new_head_takes_over_what_is_known_of_its_labels():
    torch.manual_seed(0)
    old = Head(["PER", "MISC"], 6)
    for p in old.parameters():
        torch.nn.init.normal_(p)
    cover = {"PER": Counter(PERSON=9, DATE=1), "MISC": Counter(DATE=4, MONEY=1)}
    start = Start("a", "a", None, 0.5, cover, Counter(PERSON=10, DATE=8, MONEY=9))
    head = new_head(["DATE", "MONEY", "PERSON"], [], 6, start, old)
    b_per, i_per, b_misc, i_misc = 1, 2, 3, 4
    rows = {0: 0, 1: b_misc, 2: i_misc, 5: b_per, 6: i_per}
    for new, known in rows.items():
        assert torch.equal(head.linear.weight[new], old.linear.weight[known])
        assert head.linear.bias[new] == old.linear.bias[known]
        assert head.transitions[new, 5] == old.transitions[known, b_per]
    assert not head.linear.weight[[3, 4]].any(), "a ninth of MONEY is too little"


def test_without_a_start_a_head_knows_the_texts_alone(nlp):
    references = [eg.reference for eg in toy_examples(nlp, "sports", 5)]
    head = new_head(["ORG"], references, 6, None, None)
    assert not head.linear.weight.any()
    assert head.linear.bias.exp().sum().item() == pytest.approx(1.0)
