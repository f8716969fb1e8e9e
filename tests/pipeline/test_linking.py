"""What a component says when its pipeline lacks something: one message, with what to add."""

import pickle
import warnings

import pytest
import spacy
from conftest import HEADS, TOKENIZER, labelled, toy_text
from spacy.tokens import Doc

from multibert_spacy.errors import AdapterError, ConfigError, CoreError, DomainError

OURS = "multibert_spacy.PersianTokenizer.v1"
NAMES = ["transformer", "domain_detector", "multibert_ner"]
ATTACHED = "سپاهان،تبریز😀"
"""One word for spaCy's own Persian tokenizer."""


def joined(source, names=NAMES, **config):
    nlp = spacy.blank("fa", config=config)
    for name in names:
        nlp.add_pipe(name, source=source)
    return nlp


def said(run):
    """Messages about the tokenizer."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run()
    return [str(w.message) for w in caught if "PersianTokenizer" in str(w.message)]


# A core


@pytest.mark.parametrize("name", ["multibert_ner", "domain_detector"])
def test_a_blank_pipeline_without_a_transformer(name):
    nlp = spacy.blank("fa")
    nlp.add_pipe(name)
    for use in (lambda: nlp("سفر"), lambda: list(nlp.pipe(["سفر"])), nlp.initialize):
        with pytest.raises(CoreError, match='add_pipe."frozen_transformer"'):
            use()


@pytest.mark.parametrize("name", ["multibert_ner", "domain_detector"])
def test_a_transformer_without_a_name_is_no_roberta(name):
    nlp = spacy.blank("fa")
    nlp.add_pipe("frozen_transformer", name="transformer")
    assert nlp.config["components"]["transformer"]["model"]["name"] == ""
    nlp.add_pipe(name)
    for use in (lambda: nlp("سفر"), nlp.initialize, nlp.get_pipe("transformer").initialize):
        with pytest.raises(ConfigError, match=r"\[components.transformer.model\] name = "):
            use() if use.__name__ != "initialize" or use == nlp.initialize else use(lambda: [])


def test_a_core_that_is_not_there():
    nlp = spacy.blank("fa")
    nlp.add_pipe("frozen_transformer", config={"model": {"name": "/no/such/core"}})
    with pytest.raises(CoreError, match="/no/such/core.*frozen_transformer.model"):
        nlp.initialize()


@pytest.mark.parametrize("name", ["multibert_ner", "domain_detector"])
def test_a_transformer_but_no_domains(bert_folder, name):
    nlp = spacy.blank("fa")
    nlp.add_pipe("frozen_transformer", config={"model": {"name": str(bert_folder)}})
    nlp.add_pipe(name)
    with pytest.raises(CoreError, match="initialize or load"):
        nlp("سفر")
    nlp.get_pipe("frozen_transformer").initialize(lambda: [])
    with pytest.raises((ConfigError, DomainError), match=f"'{name}'.*(no domain|none) yet"):
        nlp("سفر")


@pytest.mark.parametrize("name", ["multibert_ner", "domain_detector"])
def test_sourced_without_the_transformer(trained, name):
    """It does not go on with the core of the pipeline that it comes from."""
    nlp = joined(trained, [name], nlp={"tokenizer": TOKENIZER})
    doc = nlp.make_doc("سفر تبریز")
    doc._.domain = "news" if name == "multibert_ner" else None
    with pytest.raises(CoreError, match=r'add_pipe."transformer", source='):
        nlp(doc)
    nlp.add_pipe("transformer", source=trained, first=True)
    nlp(doc)


def test_a_disabled_transformer_is_still_there(trained):
    with trained.select_pipes(disable=["transformer", "domain_detector"]):
        trained._link_components()
    assert trained("سفر تبریز").ents is not None


def test_another_core_is_still_refused_after_the_loss(trained, make_nlp):
    nlp = joined(trained, ["multibert_ner"], nlp={"tokenizer": TOKENIZER})
    other = make_nlp()
    nlp.add_pipe("transformer", source=other, first=True)
    doc = nlp.make_doc("سفر تبریز")
    doc._.domain = "news"
    with pytest.raises(AdapterError, match="another core"):
        nlp(doc)


# A domain


def test_sourced_without_a_detector(trained):
    nlp = joined(trained, ["transformer", "multibert_ner"], nlp={"tokenizer": TOKENIZER})
    with pytest.raises(DomainError, match="'domain_detector' in front") as error:
        nlp("سفر تبریز")
    for way in ("doc._.domain", "as_tuples=True", "default_domain", *HEADS):
        assert way in str(error.value)
    ((doc, _),) = nlp.pipe([("سفر تبریز", {"domain": "news"})], as_tuples=True)
    assert doc._.domain == "news"


# A tokenizer


def test_a_lost_tokenizer_is_said_once(trained):
    nlp = joined(trained)
    (message,) = said(lambda: [nlp(ATTACHED), list(nlp.pipe([ATTACHED] * 3))])
    assert f'@tokenizers = "{OURS}"' in message and "[nlp.tokenizer]" in message
    assert "spacy.blank('fa'" in message and "filterwarnings" in message
    assert said(lambda: nlp(ATTACHED)) == []


def test_a_lost_tokenizer_is_said_though_the_words_are_the_same(trained):
    assert len(said(lambda: joined(trained)("سفر به تبریز"))) == 1


@pytest.mark.parametrize("name", ["multibert_ner", "domain_detector"])
def test_each_component_says_it(trained, name):
    nlp = joined(trained, ["transformer", name])

    def use():
        doc = nlp.make_doc(ATTACHED)
        doc._.domain = "news" if name == "multibert_ner" else None
        nlp(doc)

    assert len(said(use)) == 1


def test_a_new_pipeline_says_it_where_the_words_differ(nlp):
    """`spacy.blank("fa")`, with components of its own: most texts have the same words."""
    assert said(lambda: nlp("سفر به تبریز")) == []
    (message,) = said(lambda: nlp(ATTACHED))
    assert repr(ATTACHED)[1:4] in message


def test_ours_says_nothing(trained):
    nlp = joined(trained, nlp={"tokenizer": TOKENIZER})
    assert said(lambda: [nlp(ATTACHED), trained(ATTACHED)]) == []


def test_words_that_are_given_are_fine(trained):
    nlp = joined(trained)
    docs = [Doc(nlp.vocab, words=words) for words in (["سپاهان", "،", "تبریز"], ["مرا،", "به"])]
    assert said(lambda: list(nlp.pipe(docs))) == []


def test_it_can_be_silenced(trained):
    nlp = joined(trained)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*PersianTokenizer")
        nlp(ATTACHED)


# What linking keeps


def test_a_linked_component_can_be_pickled_and_renamed(trained):
    state = vars(trained.get_pipe("multibert_ner"))
    pickle.dumps({key: value for key, value in state.items() if isinstance(value, str)})
    assert not [value for value in state.values() if value is trained]
    trained.rename_pipe("multibert_ner", "names")
    assert trained.get_pipe("names").name == "names"
    trained(toy_text("news"))


def test_a_pipeline_can_be_forgotten(trained_folder):
    import gc
    import weakref

    nlp = spacy.load(trained_folder)
    nlp("سفر")
    gone = weakref.ref(nlp)
    del nlp
    gc.collect()
    assert gone() is None


# nlp.initialize() on a trained pipeline


def test_initialize_keeps_core_and_domains_and_starts_anew(trained, tmp_path):
    core = trained.get_pipe("transformer").fingerprint()
    trained.config["initialize"]["components"] = {}
    before = trained.get_pipe("multibert_ner").labels
    trained.initialize()
    assert trained.get_pipe("transformer").fingerprint() == core
    tagger, detector = trained.get_pipe("multibert_ner"), trained.get_pipe("domain_detector")
    assert sorted(tagger.domains) == sorted(HEADS) and set(tagger.labels) == set(before)
    assert sorted(detector.labels) == sorted(HEADS)
    assert trained("سپاهان در تبریز").ents == ()
    sgd = trained.initialize(lambda: labelled(trained, 2))
    sgd.learn_rate = 0.01
    losses = [trained.update(labelled(trained, 4), sgd=sgd) for _ in range(15)]
    assert losses[-1]["multibert_ner"] < losses[0]["multibert_ner"]
    trained.to_disk(tmp_path / "a")
    spacy.load(tmp_path / "a")("سپاهان در تبریز")
