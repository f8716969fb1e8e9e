"""A component learns from what says something to it, and what learns nothing does not move."""

import random

import numpy as np
import pytest
import torch
from conftest import LORA, NAMES, PREFIX, labelled, toy_doc, toy_examples
from spacy.tokens import Doc, Span
from spacy.training import Example
from thinc.api import Adam

from multibert_spacy.core.gradients import drop_gradients, has_gradient
from multibert_spacy.errors import DomainError, MultibertError

BOW = {
    "@architectures": "spacy.TextCatBOW.v3",
    "exclusive_classes": True,
    "ngram_size": 1,
    "no_output_layer": False,
    "length": 1024,
}
DETECTORS = {"lora": True, "bow": {"model": BOW}}


def optimizer():
    """Everything that goes on without a gradient."""
    return Adam(0.01, L2=0.1, use_averages=True)


def weights(nlp, name):
    """Bytes of every parameter of a component, whatever it is made of."""
    model, found = nlp.get_pipe(name).model, []
    for node in model.walk():
        for shim in node.shims:
            found.extend(p.detach().numpy().tobytes() for p in shim._model.parameters())
        found.extend(node.get_param(key).tobytes() for key in node.param_names)
    return found


def entity_examples(nlp, n=4):
    return [eg for name in sorted(NAMES) for eg in toy_examples(nlp, name, n)]


def domain_examples(nlp):
    """Only of domains: no word is annotated."""
    examples = []
    for eg in labelled(nlp, 4):
        reference = Doc(nlp.vocab, words=[word.text for word in eg.reference])
        reference.cats = eg.reference.cats
        examples.append(Example(eg.predicted, reference))
    return examples


def pos_examples(nlp):
    """Of neither."""
    words = ["هتل", "سفر"]
    doc = Doc(nlp.vocab, words=words, pos=["NOUN", "NOUN"])
    return [Example(Doc(nlp.vocab, words=words), doc)] * 3


@pytest.fixture(params=list(DETECTORS))
def learning(make_nlp, request):
    """A pipeline whose tagger has learnt before, with an optimizer that knows all its weights."""
    nlp = make_nlp(detector=DETECTORS[request.param])
    nlp.get_pipe("multibert_ner").train_only(NAMES, heads=True)
    sgd = optimizer()
    before = weights(nlp, "domain_detector"), weights(nlp, "multibert_ner")
    for step in range(2):
        nlp.update(labelled(nlp, 2, step), sgd=sgd)
    assert weights(nlp, "domain_detector") != before[0]
    assert weights(nlp, "multibert_ner") != before[1]
    return nlp, sgd


@pytest.mark.parametrize(
    "draw, detector_moves, tagger_moves",
    [
        (entity_examples, False, True),
        (domain_examples, True, False),
        (pos_examples, False, False),
    ],
)
@pytest.mark.parametrize("accumulate", [False, True])
def test_who_learns(learning, draw, detector_moves, tagger_moves, accumulate):
    nlp, sgd = learning
    before = weights(nlp, "domain_detector"), weights(nlp, "multibert_ner")
    losses = {}
    for _ in range(2):
        nlp.update(draw(nlp), sgd=False if accumulate else sgd, losses=losses)
        if accumulate:  # as `spacy train` does
            for _, proc in nlp.pipeline:
                if hasattr(proc, "finish_update"):
                    proc.finish_update(sgd)
    assert (weights(nlp, "domain_detector") != before[0]) is detector_moves
    assert (weights(nlp, "multibert_ner") != before[1]) is tagger_moves
    assert (losses["domain_detector"] > 0) is detector_moves
    assert (losses["multibert_ner"] > 0) is tagger_moves


def test_a_batch_of_both_kinds(make_nlp):
    """What says nothing changes nothing of what the others say."""
    one, two = make_nlp(random_adapters=False), make_nlp(random_adapters=False)
    state = one.to_bytes()
    two.from_bytes(state)
    for nlp in (one, two):
        nlp.get_pipe("multibert_ner").train_only(NAMES, heads=True)
    told = domain_examples(one)
    others = entity_examples(one, 1)
    for nlp, examples in ((one, told), (two, [*others, *told])):
        torch.manual_seed(0)
        nlp.get_pipe("domain_detector").update(examples, sgd=optimizer())
    assert weights(one, "domain_detector") == weights(two, "domain_detector")


def test_categories_of_others(make_nlp):
    """Half-true ones, and two that are true beside each other, are none of the detector's."""
    nlp = make_nlp()
    detector = nlp.get_pipe("domain_detector")
    (eg,) = toy_examples(nlp, "news", 1)
    eg.reference.cats = {"angry": 1.0, "sad": 0.3}
    before = weights(nlp, "domain_detector")
    assert detector.update([eg], sgd=optimizer())["domain_detector"] == 0.0
    assert weights(nlp, "domain_detector") == before
    eg.reference.cats = {"angry": 1.0, "sad": 0.3, "news": 1.0, "sports": 0.0}
    assert detector.update([eg], sgd=optimizer())["domain_detector"] > 0.0
    eg.reference.cats = {"news": 1.0, "sports": 1.0}
    with pytest.raises(ValueError, match="E895"):
        detector.update([eg])


def test_the_loss_of_what_says_nothing(make_nlp):
    nlp = make_nlp()
    detector = nlp.get_pipe("domain_detector")
    (silent,) = toy_examples(nlp, "news", 1)
    told = next(iter(labelled(nlp, 1)))
    scores = np.full((2, 3), 1 / 3, dtype="f")
    loss, gradient = detector.get_loss([silent, told], scores)
    alone, own = detector.get_loss([told], scores[1:])
    assert loss == pytest.approx(alone)
    assert not gradient[0].any()
    assert gradient[1] == pytest.approx(own[0])
    assert detector.get_loss([silent], scores[:1])[0] == 0.0


def test_initialize_from_what_says_something(make_nlp):
    """A head's prior is that of the annotated texts, however many others there are."""
    nlp = make_nlp(random_adapters=False)
    tagger = nlp.get_pipe("multibert_ner")
    rng = random.Random(0)
    told = [Example(Doc(nlp.vocab, words=["x"]), toy_doc(nlp, "travel", rng)) for _ in range(3)]
    heads = []
    for examples in (told, [*pos_examples(nlp), *told]):
        tagger.initialize(lambda: examples, domain="new", head="new", labels=["LOC", "ORG"])  # noqa: B023
        heads.append(tagger.model.module.heads["new"].linear.bias.detach().clone())
        tagger.model.module.remove_domain("new")
    assert torch.equal(*heads)


# Momentum, decay, averages


@pytest.mark.parametrize("adapter", [LORA, PREFIX, {**PREFIX, "projection": True}])
def test_domains_that_take_turns(make_nlp, adapter):
    nlp = make_nlp(adapter=adapter, detector=False)
    tagger = nlp.get_pipe("multibert_ner")
    tagger.train_only(["travel", "news"], heads=True)
    module = tagger.model.module
    parts = {
        "travel": [*module.adapter_of("travel").parameters()],
        "news": [*module.adapter_of("news").parameters()],
        "sports": [*module.adapter_of("sports").parameters()],
        "social": [*module.heads["social"].parameters()],
        "formal": [*module.heads["formal"].parameters()],
    }
    sgd = optimizer()
    for step, domain in enumerate(["travel", "news", "travel", "travel", "news"]):
        before = {name: [p.detach().clone() for p in own] for name, own in parts.items()}
        nlp.update(toy_examples(nlp, domain, 3, step), sgd=sgd)
        moved = {
            name for name, own in parts.items() if not all(map(torch.equal, own, before[name]))
        }
        assert moved == {domain, {"travel": "social", "news": "formal"}[domain]}
        assert all(p.grad is None for p in module.parameters())


def test_a_core_that_is_trained_stands_still_when_nothing_is_said(make_nlp):
    nlp = make_nlp(trainable=True)
    nlp.get_pipe("multibert_ner").train_only(NAMES, heads=True)
    sgd = optimizer()

    def core():
        return [p.detach().clone() for p in nlp.get_pipe("transformer").core.model.parameters()]

    first = core()
    for step in range(3):
        nlp.update(labelled(nlp, 2, step), sgd=sgd)
    assert not all(map(torch.equal, core(), first))
    nlp.update(pos_examples(nlp), sgd=sgd)  # the core is stepped before the others
    still = core()
    for _ in range(2):
        nlp.update(pos_examples(nlp), sgd=sgd)
    assert all(map(torch.equal, core(), still))


# Updates that fail


@pytest.mark.parametrize("accumulate", [False, True])
def test_a_bad_batch_is_not_learnt(learning, accumulate):
    """Its label is unknown to the tagger, which comes to it when the detector has read it."""
    nlp, sgd = learning
    bad = labelled(nlp, 1)
    bad[0].reference.set_ents([Span(bad[0].reference, 0, 1, label="NEVER")])
    with pytest.raises(DomainError, match="NEVER"):
        nlp.update(bad, sgd=False if accumulate else sgd)
    before = weights(nlp, "domain_detector"), weights(nlp, "multibert_ner")
    for name in ("domain_detector", "multibert_ner"):
        nlp.get_pipe(name).finish_update(sgd)
        assert not has_gradient(nlp.get_pipe(name).model)
    assert (weights(nlp, "domain_detector"), weights(nlp, "multibert_ner")) == before


def test_a_bad_batch_does_not_enter_the_next_one(make_nlp):
    nlp = make_nlp(random_adapters=False)
    nlp.get_pipe("multibert_ner").train_only(NAMES, heads=True)
    bad, good = labelled(nlp, 1, 7), labelled(nlp, 1)
    bad[0].reference.set_ents([Span(bad[0].reference, 0, 1, label="NEVER")])
    gradients = []
    for batch in (None, bad):
        if batch is not None:
            with pytest.raises(DomainError, match="NEVER"):
                nlp.update(batch, sgd=False)
        torch.manual_seed(0)
        nlp.update(good, sgd=False)
        module = nlp.get_pipe("domain_detector").model.module
        gradients.append([p.grad.clone() for p in module.parameters() if p.grad is not None])
        drop_gradients(nlp.get_pipe("domain_detector").model)
    assert gradients[0]
    assert all(map(torch.equal, *gradients))


@pytest.mark.parametrize("name", ["domain_detector", "multibert_ner"])
@pytest.mark.parametrize("trainable", [False, True])
def test_an_update_that_fails_half_way(make_nlp, monkeypatch, name, trainable):
    """After the first of several passes was taken back."""
    nlp = make_nlp(trainable=trainable)
    nlp.get_pipe("multibert_ner").train_only(NAMES, heads=True)
    component = nlp.get_pipe(name)
    batches = type(component.model.module).batches
    monkeypatch.setattr(
        type(component.model.module),
        "batches",
        lambda *args, **kwargs: [[i] for batch in batches(*args, **kwargs) for i in batch],
    )
    backward, calls = torch.autograd.backward, []

    def fragile(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2:
            raise MultibertError("half-way")
        return backward(*args, **kwargs)

    monkeypatch.setattr(torch.autograd, "backward", fragile)
    before = weights(nlp, name)
    with pytest.raises(MultibertError, match="half-way"):
        component.update(labelled(nlp, 1), sgd=optimizer())
    assert all(p.grad is None for p in component.model.module.parameters())
    core = nlp.get_pipe("transformer").core.model
    assert all(p.grad is None for p in core.parameters())
    assert weights(nlp, name) == before
    component.finish_update(optimizer())
    assert weights(nlp, name) == before


def test_gradients_of_a_model_of_thinc_s(make_nlp):
    nlp = make_nlp(detector={"model": BOW})
    model = nlp.get_pipe("domain_detector").model
    assert not has_gradient(model)
    nlp.get_pipe("domain_detector").update(labelled(nlp, 1))
    assert has_gradient(model)
    drop_gradients(model)
    assert not has_gradient(model)
