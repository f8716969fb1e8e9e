"""The tagger: entities by hand, settings, loss, learning, errors."""

import itertools

import numpy as np
import pytest
import spacy
import torch
from conftest import (
    LABELS,
    LORA,
    NAMES,
    PREFIX,
    assert_same_predictions,
    entities,
    fit,
    labelled,
    toy_examples,
    toy_text,
)
from spacy.tokens import Doc
from spacy.training import Example

from multibert_spacy.errors import ConfigError, DomainError
from multibert_spacy.types import Entity

TEXTS = [toy_text(domain, seed=i) for i in range(3) for domain in ("news", "sports", "travel")]
ADAPTERS = {
    "lora": LORA,
    "prefix": PREFIX,
    "projection": {**PREFIX, "projection": True},
}
RATES = {"lora": 0.01, "prefix": 0.1, "projection": 0.02}


def a_doc(nlp, text, domain):
    doc = nlp.make_doc(text)
    doc._.domain = domain
    return doc


def an_example(nlp, words, tags, domain="travel", *, spaces=None):
    reference = Doc(nlp.vocab, words=words, ents=tags)
    predicted = Doc(nlp.vocab, words=words)
    predicted._.domain = domain
    return Example(predicted, reference)


# set_annotations by hand


def test_set_annotations(nlp):
    tagger = nlp.get_pipe("multibert_ner")
    docs = [Doc(nlp.vocab, words=["علي", "از", "شیراز", "رفت"]), Doc(nlp.vocab, words=[])]
    predicted = [[Entity(0, 1, "PER", 0.25), Entity(2, 4, "LOC", 1.0)], []]
    tagger.set_annotations(docs, predicted)
    assert entities(docs[0]) == [("علي", "PER"), ("شیراز رفت", "LOC")]
    assert [word.ent_iob_ for word in docs[0]] == ["B", "O", "B", "I"]
    spans = docs[0].spans["multibert_ner"]
    assert [(span.start, span.end, span.label_) for span in spans] == [
        (0, 1, "PER"),
        (2, 4, "LOC"),
    ]
    assert list(spans.attrs["scores"]) == [0.25, 1.0]
    assert [word.norm_ for word in docs[0]] == ["علی", "از", "شیراز", "رفت"]
    assert docs[1].ents == ()
    assert list(docs[1].spans["multibert_ner"].attrs["scores"]) == []


def test_neighbouring_entities_stay_apart(nlp):
    doc = Doc(nlp.vocab, words=["تهران", "تبریز"])
    predicted = [[Entity(0, 1, "LOC", 0.5), Entity(1, 2, "LOC", 0.5)]]
    nlp.get_pipe("multibert_ner").set_annotations([doc], predicted)
    assert entities(doc) == [("تهران", "LOC"), ("تبریز", "LOC")]


def test_earlier_entities_stay(nlp):
    doc = Doc(nlp.vocab, words=["تهران", "تبریز"], ents=["B-OLD", "O"])
    nlp.get_pipe("multibert_ner").set_annotations([doc], [[Entity(1, 2, "LOC", 0.5)]])
    assert entities(doc) == [("تهران", "OLD"), ("تبریز", "LOC")]


def test_scores_survive_the_bytes_of_a_doc(nlp):
    doc = Doc(nlp.vocab, words=["تهران", "تبریز"])
    nlp.get_pipe("multibert_ner").set_annotations([doc], [[Entity(1, 2, "LOC", 0.5)]])
    doc = Doc(nlp.vocab).from_bytes(doc.to_bytes())
    spans = doc.spans["multibert_ner"]
    assert [(span.text, span.label_) for span in spans] == [("تبریز", "LOC")]
    assert list(spans.attrs["scores"]) == [0.5]


def test_predict_touches_no_doc(nlp):
    docs = [a_doc(nlp, text, "news") for text in TEXTS]
    before = [doc.to_bytes() for doc in docs]
    predicted = nlp.get_pipe("multibert_ner").predict(docs)
    assert [doc.to_bytes() for doc in docs] == before
    assert any(predicted)
    assert nlp.get_pipe("multibert_ner").predict([]) == []


def test_labels_are_those_of_the_head(nlp):
    seen = {
        domain: {
            ent.label_
            for doc in nlp.pipe([a_doc(nlp, t, domain) for t in TEXTS])
            for ent in doc.ents
        }
        for domain in NAMES
    }
    for domain in ("travel", "sports"):
        assert seen[domain] <= {"LOC", "ORG"}
    assert "POG" in seen["news"]


# Settings


def test_spans_key(trained_folder):
    nlp = spacy.load(trained_folder, config={"components.multibert_ner.spans_key": "names"})
    doc = nlp("هتل تبریز سفر")
    assert list(doc.spans) == ["names"]
    assert len(doc.spans["names"].attrs["scores"]) == 1


def test_normalizer(trained_folder):
    none = {"@misc": "multibert_spacy.NoNormalizer.v1"}
    plain = spacy.load(trained_folder, config={"components.multibert_ner.normalizer": none})
    normal = spacy.load(trained_folder)
    text = "هتل تبريز سفر"
    assert entities(normal(a_doc(normal, text, "travel"))) == [("تبريز", "LOC")]
    doc = plain(a_doc(plain, text, "travel"))
    assert entities(doc) != [("تبريز", "LOC")]
    assert [word.norm_ for word in doc] == ["هتل", "تبريز", "سفر"]


def test_default_domain(trained_folder):
    nlp = spacy.load(
        trained_folder,
        exclude=["domain_detector"],
        config={"components.multibert_ner.default_domain": "news"},
    )
    assert entities(nlp("ایران")) == [("ایران", "POG")]
    assert entities(nlp(a_doc(nlp, "ایران", "travel"))) == [("ایران", "LOC")]
    assert nlp("ایران")._.domain is None


def test_default_domain_is_saved(make_nlp, tmp_path):
    """Initialisation makes a domain, which is the default until the component says otherwise."""
    nlp = make_nlp(detector=False)
    nlp.get_pipe("multibert_ner").cfg["default_domain"] = "sports"
    nlp.to_disk(tmp_path / "a")
    other = spacy.load(tmp_path / "a")
    assert_same_predictions(other.pipe(TEXTS), nlp.pipe(TEXTS))


def windows(nlp, doc):
    """Pieces of the rows that go through the core."""
    core = nlp.get_pipe("transformer").core
    seen, forward = [], core.forward

    def spy(ids, lengths, *args, **kwargs):
        seen.extend(lengths.tolist())
        return forward(ids, lengths, *args, **kwargs)

    core.forward = spy
    nlp(doc)
    core.forward = forward
    return sorted(seen, reverse=True)


@pytest.mark.parametrize(
    "window, overlap, expected",
    [
        (512, 128, [502]),
        (502, 0, [502]),
        (501, 0, [501, 3]),
        (252, 0, [252, 252]),
        (252, 100, [252, 252, 202]),
        (9999, 128, [502]),
        (12, 0, [12] * 50),
    ],
)
def test_window_and_overlap(trained_folder, window, overlap, expected):
    """500 words of one piece each, and two special pieces in each window."""
    settings = {"window": window, "overlap": overlap}
    nlp = spacy.load(trained_folder, config={"components": {"multibert_ner": settings}})
    doc = Doc(nlp.vocab, words=["سفر"] * 500)
    doc._.domain = "travel"
    assert windows(nlp, doc) == expected


def test_a_window_is_never_longer_than_the_core_allows(trained_folder):
    nlp = spacy.load(trained_folder, config={"components.multibert_ner.window": 9999})
    doc = Doc(nlp.vocab, words=["سفر"] * 2000)
    doc._.domain = "travel"
    assert max(windows(nlp, doc)) == 512


def test_a_word_longer_than_a_window(trained):
    """One word of 3,000 pieces, between two others."""
    doc = Doc(trained.vocab, words=["هتل", "ژ" * 3000, "تبریز", "سفر"])
    doc._.domain = "travel"
    doc = trained(doc)
    assert doc.text == f"هتل {'ژ' * 3000} تبریز سفر "
    assert doc[2].ent_type_ == "LOC"


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"window": 2}, "window"),
        ({"window": 10, "overlap": 8}, "8 pieces with an overlap of 8"),
        ({"overlap": -1}, "-1"),
        ({"batch_pieces": 0}, "batch_pieces=0"),
    ],
)
def test_settings_are_checked(settings, words):
    with pytest.raises(ConfigError, match=words):
        spacy.blank("fa").add_pipe("multibert_ner", config=settings)


# Learning


@pytest.fixture(scope="module")
def overfitted(learn, tmp_path_factory):
    """Each kind of adapter, trained and saved."""
    known = {}

    def get(kind):
        if kind not in known:
            nlp = learn(adapter=ADAPTERS[kind], learn_rate=RATES[kind])
            folder = tmp_path_factory.mktemp(kind) / "saved"
            nlp.to_disk(folder)
            known[kind] = nlp, folder
        return known[kind]

    return get


@pytest.mark.parametrize("kind", list(ADAPTERS))
def test_overfitting_and_round_trip(overfitted, kind):
    nlp, folder = overfitted(kind)
    other = spacy.load(folder)
    for pipeline in (nlp, other):
        assert entities(pipeline("هتل تبریز سفر سپاهان دریا")) == [
            ("تبریز", "LOC"),
            ("سپاهان", "ORG"),
        ]
        assert entities(pipeline("گل تبریز لیگ سپاهان بازی")) == [
            ("تبریز", "ORG"),
            ("سپاهان", "ORG"),
        ]
        assert entities(pipeline("خبر ایران وزیر تبریز دولت")) == [
            ("ایران", "POG"),
            ("تبریز", "LOC"),
        ]
    assert_same_predictions(other.pipe(TEXTS), nlp.pipe(TEXTS))
    again = spacy.util.load_model_from_config(nlp.config, auto_fill=True)
    again.from_bytes(nlp.to_bytes())
    assert_same_predictions(again.pipe(TEXTS), nlp.pipe(TEXTS))


def test_overfitting_without_an_adapter(make_nlp, tmp_path):
    """Full fine-tuning of a trainable core."""
    none = {"@misc": "multibert_spacy.NoAdapter.v1"}
    nlp = make_nlp(adapter=none, detector=False, trainable=True, random_adapters=False)
    tagger = nlp.get_pipe("multibert_ner")
    tagger.train_only(["travel"], heads=True)
    examples = toy_examples(nlp, "travel", 4)
    fit(nlp, lambda _: examples, steps=40, learn_rate=0.005)
    nlp.to_disk(tmp_path / "a")
    for pipeline in (nlp, spacy.load(tmp_path / "a")):
        for eg in toy_examples(nlp, "travel", 4):
            assert entities(pipeline(eg.predicted)) == entities(eg.reference)


@pytest.mark.parametrize("kind", list(ADAPTERS))
@pytest.mark.parametrize("heads", [True, False])
def test_only_what_was_chosen_is_trained(make_nlp, kind, heads):
    """Bit by bit: the core, the other domains' adapters, the frozen head."""
    nlp = make_nlp(adapter=ADAPTERS[kind])
    tagger = nlp.get_pipe("multibert_ner")
    module = tagger.model.module
    tagger.train_only(["travel"], heads=heads)
    core = nlp.get_pipe("transformer").core.model

    def state():
        parts = {("core", k): v.clone() for k, v in core.state_dict().items()}
        for domain in NAMES:
            own = module.adapter_of(domain).state_dict()
            parts.update({(domain, k): v.clone() for k, v in own.items()})
        for name, head in module.heads.items():
            parts.update({(f"head {name}", k): v.clone() for k, v in head.state_dict().items()})
        return parts

    before = state()
    with nlp.select_pipes(disable="domain_detector"):
        fit(nlp, lambda step: toy_examples(nlp, "travel", 3, step), steps=5, learn_rate=0.01)
    after = state()
    changed = {
        part for part, key in before if not torch.equal(before[part, key], after[part, key])
    }
    assert changed == ({"travel", "head social"} if heads else {"travel"})


def test_domains_that_are_not_trained_get_no_gradient(make_nlp):
    """A batch of several domains trains the chosen one alone."""
    nlp = make_nlp(detector=False)
    tagger = nlp.get_pipe("multibert_ner")
    tagger.train_only(["news"], heads=False)
    before = {
        d: [p.clone() for p in tagger.model.module.adapter_of(d).parameters()] for d in NAMES
    }
    fit(nlp, lambda step: labelled(nlp, 2, step), steps=3, learn_rate=0.01)
    for domain in NAMES:
        own = tagger.model.module.adapter_of(domain).parameters()
        equal = [torch.equal(a, b) for a, b in zip(own, before[domain], strict=True)]
        assert all(equal) if domain != "news" else not any(equal)


def test_predictions_follow_an_update(nlp):
    """No stale copy of the adapters is used."""
    tagger = nlp.get_pipe("multibert_ner")
    tagger.train_only(["news"], heads=False)
    before = [
        s
        for doc in nlp.pipe([a_doc(nlp, t, "news") for t in TEXTS])
        for s in doc.spans["multibert_ner"].attrs["scores"]
    ]
    fit(nlp, lambda step: toy_examples(nlp, "news", 3, step), steps=2, learn_rate=0.05)
    after = [
        s
        for doc in nlp.pipe([a_doc(nlp, t, "news") for t in TEXTS])
        for s in doc.spans["multibert_ner"].attrs["scores"]
    ]
    assert before != pytest.approx(after, abs=1e-3)


def test_long_examples_are_trained_in_windows(make_nlp):
    """The gradient of a doc cut into windows reaches each word once."""
    nlp = make_nlp(detector=False, window=12, overlap=4)
    tagger = nlp.get_pipe("multibert_ner")
    tagger.train_only(["travel"], heads=True)
    words = ["تبریز", "هتل", "سپاهان", "سفر", "دریا"] * 6
    tags = ["B-LOC", "O", "B-ORG", "O", "O"] * 6
    losses = [nlp.update([an_example(nlp, words, tags)], sgd=_sgd(nlp, 0.02)) for _ in range(60)]
    assert losses[-1]["multibert_ner"] < 0.1 < losses[0]["multibert_ner"]
    doc = nlp(an_example(nlp, words, tags).predicted)
    assert [word.ent_type_ for word in doc] == ["LOC", "", "ORG", "", ""] * 6


def _sgd(nlp, learn_rate, known={}):  # noqa: B006
    """One optimizer per pipeline."""
    if id(nlp) not in known:
        known[id(nlp)] = nlp.create_optimizer()
    known[id(nlp)].learn_rate = learn_rate
    return known[id(nlp)]


# Loss


def loss_of(nlp, example, logits):
    without_transitions(nlp)
    tagger = nlp.get_pipe("multibert_ner")
    return tagger.get_loss([example], [np.array(logits, dtype="f")])


def without_transitions(nlp):
    """All legal transitions alike, so that losses can be counted by hand."""
    with torch.no_grad():
        for head in nlp.get_pipe("multibert_ner").model.module.heads.values():
            head.transitions.zero_()


def test_loss_by_hand(nlp):
    """Tags of `social`: O, B-LOC, I-LOC, B-ORG, I-ORG. Weights of the legal sequences that start
    with O, B-LOC, B-ORG: 6, 7, 7; the gold one has 4.
    """
    example = an_example(nlp, ["هتل", "تبریز"], ["O", "B-LOC"])
    loss, (gradient,) = loss_of(nlp, example, [[0, 0, 0, 0, 0], [0, np.log(4), 0, 0, 0]])
    assert loss == pytest.approx(np.log(20 / 4) / 2)
    expected = [[-0.7, 0.35, 0, 0.35, 0], [0.15, -0.4, 0.05, 0.15, 0.05]]
    assert gradient == pytest.approx(np.array(expected) / 2, abs=1e-6)


def test_the_loss_is_a_mean_over_the_words_of_the_batch(nlp):
    """Of one word there are 3 legal sequences, of two 11, of three 41."""
    without_transitions(nlp)
    tagger = nlp.get_pipe("multibert_ner")
    short = an_example(nlp, ["هتل"], ["O"])
    long = an_example(nlp, ["هتل", "سفر", "دریا"], ["O"] * 3)
    zeros = [np.zeros((n, 5), dtype="f") for n in (1, 3)]
    loss, gradients = tagger.get_loss([short, long], zeros)
    assert loss == pytest.approx((np.log(3) + np.log(41)) / 4)
    assert gradients[0] == pytest.approx(np.array([[-2, 1, 0, 1, 0]]) / 12, abs=1e-6)
    assert gradients[1][0] == pytest.approx(np.array([-30, 15, 0, 15, 0]) / 41 / 4, abs=1e-6)
    assert gradients[1][2] == pytest.approx(np.array([-30, 11, 4, 11, 4]) / 41 / 4, abs=1e-6)


def test_a_missing_tag_may_be_any(nlp):
    example = an_example(nlp, ["هتل", "تبریز"], ["O", "O"])
    example.reference.set_ents([], missing=[example.reference[1:2]])
    loss, (gradient,) = loss_of(nlp, example, np.zeros((2, 5)))
    assert loss == pytest.approx(np.log(11 / 3))
    assert gradient[0] == pytest.approx(np.array([-8, 4, 0, 4, 0]) / 11, abs=1e-6)
    assert gradient[1] == pytest.approx(np.array([-2, -2, 3, -2, 3]) / 33, abs=1e-6)


def test_words_that_do_not_fit_may_have_any_tag(nlp):
    predicted = Doc(nlp.vocab, words=["سفر", "به", "تبریزو", "ایران"], spaces=[True] * 3 + [False])
    predicted._.domain = "travel"
    reference = Doc(
        nlp.vocab,
        words=["سفر", "به", "تبریز", "و", "ایران"],
        spaces=[True, True, False, True, False],
        ents=["O", "O", "B-LOC", "O", "B-LOC"],
    )
    assert predicted.text == reference.text
    loss, (gradient,) = loss_of(nlp, Example(predicted, reference), np.zeros((4, 5)))
    assert loss == pytest.approx(np.log(153 / 3) / 3)  # of four words 153 legal sequences
    expected = np.array([41, 41 - 153, 15, 41, 15]) / 153 / 3
    assert gradient[3] == pytest.approx(expected, abs=1e-6)


def test_no_annotation_at_all(nlp):
    predicted = a_doc(nlp, "سفر به تبریز", "travel")
    example = Example(predicted, nlp.make_doc("سفر به تبریز"))
    loss, (gradient,) = loss_of(nlp, example, np.zeros((3, 5)))
    assert loss == 0.0
    assert not gradient.any()
    tagger = nlp.get_pipe("multibert_ner")
    tagger.train_only(["travel"], heads=True)
    before = [p.clone() for p in tagger.model.module.parameters()]
    with nlp.select_pipes(disable="domain_detector"):
        losses = nlp.update([example], sgd=False)
    assert losses["multibert_ner"] == 0.0
    assert all(map(torch.equal, tagger.model.module.parameters(), before))


def test_an_unknown_label(nlp):
    example = an_example(nlp, ["ایران"], ["B-POG"])
    with pytest.raises(DomainError, match="'POG'.*'travel'.*LOC, ORG"):
        nlp.get_pipe("multibert_ner").update([example])
    example.predicted._.domain = "news"
    loss = nlp.get_pipe("multibert_ner").update([example])
    assert loss["multibert_ner"] > 0


def test_a_loss_that_is_not_finite(nlp):
    example = an_example(nlp, ["هتل", "تبریز"], ["O", "B-LOC"])
    with pytest.raises(ConfigError, match="'multibert_ner' is nan.*learning rate"):
        loss_of(nlp, example, [[0] * 5, [np.nan] * 5])


def test_an_exploded_adapter(make_nlp):
    nlp = make_nlp(detector=False)
    tagger = nlp.get_pipe("multibert_ner")
    with torch.no_grad():
        next(tagger.model.module.adapter_of("travel").parameters()).fill_(np.nan)
    with pytest.raises(ConfigError, match="learning rate"):
        nlp.update(toy_examples(nlp, "travel", 2), sgd=nlp.create_optimizer())


def test_losses_add_up(nlp):
    tagger = nlp.get_pipe("multibert_ner")
    example = an_example(nlp, ["هتل", "تبریز"], ["O", "B-LOC"])
    one = tagger.update([example])["multibert_ner"]
    losses = {"other": 1.0}
    tagger.update([example], losses=losses)
    tagger.update([example], losses=losses)
    assert losses == {"other": 1.0, "multibert_ner": pytest.approx(2 * one, rel=1e-4)}


@pytest.mark.parametrize("text", ["", " ", "\u064b"])
def test_update_of_nothing(nlp, text):
    nlp.get_pipe("multibert_ner").train_only(["travel"], heads=True)
    reference = nlp.make_doc(text)
    reference.set_ents([])
    losses = nlp.get_pipe("multibert_ner").update([Example(a_doc(nlp, text, "travel"), reference)])
    assert losses["multibert_ner"] == pytest.approx(0, abs=1e-6)


def test_update_of_an_unknown_domain(nlp):
    example = an_example(nlp, ["هتل"], ["O"], domain="sprots")
    with pytest.raises(DomainError, match="'sprots'.*news, sports, travel"):
        nlp.get_pipe("multibert_ner").update([example])


def test_the_default_domain_is_trained(make_nlp):
    nlp = make_nlp(detector=False)
    nlp.get_pipe("multibert_ner").cfg["default_domain"] = "travel"
    nlp.get_pipe("multibert_ner").train_only(["travel"], heads=True)
    example = an_example(nlp, ["هتل", "تبریز"], ["O", "B-LOC"], domain=None)
    losses = [nlp.update([example], sgd=_sgd(nlp, 0.02)) for _ in range(15)]
    assert losses[-1]["multibert_ner"] < losses[0]["multibert_ner"] / 2


def test_the_component_applies_an_optimizer_of_its_own(make_nlp):
    """`update` of the component, apart from `nlp.update`."""
    nlp = make_nlp(detector=False)
    tagger = nlp.get_pipe("multibert_ner")
    tagger.train_only(["travel"], heads=True)
    examples = toy_examples(nlp, "travel", 2)
    before = [p.clone() for p in tagger.model.module.adapter_of("travel").parameters()]
    tagger.update(examples)
    assert all(map(torch.equal, tagger.model.module.adapter_of("travel").parameters(), before))
    tagger.update(examples, sgd=_sgd(nlp, 0.01))
    assert not any(map(torch.equal, tagger.model.module.adapter_of("travel").parameters(), before))


def test_accumulated_gradients_are_applied_together(make_nlp):
    nlp = make_nlp(detector=False)
    tagger = nlp.get_pipe("multibert_ner")
    tagger.train_only(["travel"], heads=True)
    before = [p.clone() for p in tagger.model.module.parameters()]
    examples = toy_examples(nlp, "travel", 2)
    nlp.update(examples, sgd=False)
    assert all(map(torch.equal, tagger.model.module.parameters(), before))
    nlp.update(examples, sgd=_sgd(nlp, 0.01))
    assert not all(map(torch.equal, tagger.model.module.parameters(), before))


# Errors through the handler


def test_a_failing_doc_goes_alone(trained):
    pairs = [("هتل تبریز", "travel"), ("گل", "sprots"), ("", "travel"), ("سفر سپاهان", "travel")]

    def docs():
        return [a_doc(trained, text, domain) for text, domain in pairs]

    with pytest.raises(DomainError, match="sprots"):
        list(trained.pipe(docs()))

    seen = []
    trained.set_error_handler(lambda name, proc, docs, e: seen.append((name, docs, e)))
    for batch_size in (1, 2, 64):
        seen.clear()
        done = list(trained.pipe(docs(), batch_size=batch_size))
        assert [(doc.text, entities(doc)) for doc in done] == [
            ("هتل تبریز", [("تبریز", "LOC")]),
            ("", []),
            ("سفر سپاهان", [("سپاهان", "ORG")]),
        ]
        ((name, failed, error),) = seen
        assert name == "multibert_ner"
        assert [doc.text for doc in failed] == ["گل"]
        assert isinstance(error, DomainError)


def test_a_stream_without_end(trained):
    """Docs come out before the stream is read to its end."""
    stream = ("هتل تبریز" for _ in itertools.count())
    docs = list(itertools.islice(trained.pipe(stream, batch_size=4), 10))
    assert [entities(doc) for doc in docs] == [[("تبریز", "LOC")]] * 10


# Scores


def test_score(trained):
    examples = labelled(trained, 5, 77)
    scores = trained.evaluate(examples)
    assert scores["ents_f"] == 1.0
    assert scores["ents_macro_f"] == 1.0
    assert {name: own["f"] for name, own in scores["ents_per_domain"].items()} == {
        "news": 1.0,
        "sports": 1.0,
        "travel": 1.0,
    }
    assert set(scores["ents_per_type"]) == set(LABELS["formal"])
