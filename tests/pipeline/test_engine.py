"""`engine = "openvino"`: the same pipeline, another way to run the core."""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import spacy
from conftest import LORA, PREFIX, assert_same_predictions, entities, fit, labelled, toy_text
from spacy.util import load_config, load_model_from_config

from multibert_spacy.engines.torch_engine import TorchEngine
from multibert_spacy.errors import ConfigError
from scripts.corpora.sampling.generate import make_texts

pytest.importorskip("openvino")
pytest.importorskip("nncf")

from multibert_spacy.engines import openvino_graph as graphs

ROOT = Path(__file__).parents[2]
DOMAINS = ["news", "sports", "travel"]
TEXTS = [toy_text(DOMAINS[i % 3], n_words=3 + i, seed=i) for i in range(13)]
OPENVINO = {"components.transformer.engine": "openvino"}
INT8 = {**OPENVINO, "components.transformer.precision": "int8"}
GRAPHS = [f"{name}/graph/float/graph.json" for name in ("domain_detector", "multibert_ner")]


def tag(nlp, texts=TEXTS, **settings):
    """Every other text has its domain given, the rest are detected; without a detector all."""
    detector = "domain_detector" in nlp.pipe_names
    contexts = [
        {"domain": DOMAINS[i % 3]} if i % 2 or not detector else {} for i in range(len(texts))
    ]
    pairs = zip(texts, contexts, strict=True)
    return [doc for doc, _ in nlp.pipe(pairs, as_tuples=True, **settings)]


def there(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("graph.json"))


@pytest.mark.parametrize("detector", [True, False])
@pytest.mark.parametrize("adapter", [LORA, PREFIX], ids=["lora", "prefix"])
def test_the_same_entities(make_nlp, tmp_path, adapter, detector):
    nlp = make_nlp(adapter=adapter, detector=detector)
    nlp.to_disk(tmp_path)
    expected = tag(nlp)
    assert sum(len(doc.ents) for doc in expected) > 10
    other = spacy.load(tmp_path, config=OPENVINO)
    assert not there(tmp_path)
    assert_same_predictions(tag(other), expected)
    assert_same_predictions(tag(other, batch_size=1), expected)
    assert there(tmp_path) == (GRAPHS if detector else GRAPHS[1:])
    assert_same_predictions(tag(spacy.load(tmp_path)), expected)


def test_the_first_layers_of_the_detector(make_nlp, tmp_path):
    model = {"adapter": LORA, "layers": 1}
    nlp = make_nlp(detector={"model": model})
    nlp.to_disk(tmp_path)
    assert_same_predictions(tag(spacy.load(tmp_path, config=OPENVINO)), tag(nlp))
    key = json.loads((tmp_path / GRAPHS[0]).read_text())["key"]
    assert key["layers"] == 1


def test_int8(trained_folder, tmp_path):
    nlp = spacy.load(trained_folder)
    nlp.to_disk(tmp_path)
    expected = [entities(doc) for doc in tag(nlp)]
    other = spacy.load(tmp_path, config=INT8)
    assert [entities(doc) for doc in tag(other)] == expected
    assert there(tmp_path) == [name.replace("float", "int8") for name in GRAPHS]


def test_graphs_are_made_once_and_never_for_loading(make_nlp, tmp_path, monkeypatch):
    make_nlp().to_disk(tmp_path)
    expected = tag(spacy.load(tmp_path, config=OPENVINO))

    def make(*args, **kwargs):
        raise AssertionError("a graph was made")

    monkeypatch.setattr(graphs, "make_graph", make)
    nlp = spacy.load(tmp_path, config=OPENVINO)
    assert_same_predictions(tag(nlp), expected)
    nlp.to_disk(tmp_path)
    assert_same_predictions(tag(spacy.load(tmp_path)), expected)
    assert there(tmp_path) == GRAPHS
    other = spacy.load(tmp_path, config={"components.transformer.engine": "torch"})
    for name in GRAPHS:
        (tmp_path / name).write_text("damaged")
    assert_same_predictions(tag(other), expected)
    spacy.load(tmp_path, config=OPENVINO)


def test_the_engine_is_saved_the_graph_is_not(make_nlp, tmp_path):
    nlp = make_nlp(detector=False)
    nlp.to_disk(tmp_path / "a")
    other = spacy.load(tmp_path / "a", config=OPENVINO)
    expected = tag(other)
    other.to_disk(tmp_path / "b")
    assert there(tmp_path / "b") == []
    third = spacy.load(tmp_path / "b")
    assert third.get_pipe("transformer").engine == "openvino"
    assert_same_predictions(tag(third), expected)
    assert there(tmp_path / "b") == GRAPHS[1:]


def test_bytes(make_nlp, tmp_path):
    nlp = make_nlp()
    nlp.to_disk(tmp_path)
    one = spacy.load(tmp_path, config=OPENVINO)
    expected = tag(one)
    assert b"graph.bin" not in one.to_bytes()
    other = spacy.load(tmp_path, config=OPENVINO)
    other.from_bytes(one.to_bytes())
    assert_same_predictions(tag(other), expected)


def test_a_folder_of_domains_gets_no_graph(make_nlp, tmp_path):
    """Shipped adapters are read by `initialize`; they are no pipeline's folder."""
    make_nlp().to_disk(tmp_path)
    nlp = spacy.load(tmp_path, config=OPENVINO, exclude=["domain_detector", "multibert_ner"])
    model = {"adapter": LORA}
    nlp.add_pipe("domain_detector", config={"model": model})
    nlp.add_pipe("multibert_ner", config={"model": model})
    components = nlp.config["initialize"]["components"]
    components["domain_detector"] = {"folder": str(tmp_path / "domain_detector")}
    components["multibert_ner"] = {"adapters": str(tmp_path / "multibert_ner" / "domains")}
    with nlp.select_pipes(disable=["transformer"]):
        nlp.initialize()
    assert_same_predictions(tag(nlp), tag(spacy.load(tmp_path)))
    assert not there(tmp_path)


def test_domains_come_and_go(make_nlp, tmp_path, monkeypatch):
    nlp = make_nlp(detector=False)
    nlp.to_disk(tmp_path)
    other = spacy.load(tmp_path, config=OPENVINO)
    before = tag(other)
    monkeypatch.setattr(graphs, "make_graph", None)
    folder = tmp_path / "multibert_ner" / "domains" / "news"
    for own in (nlp, other):
        own.get_pipe("multibert_ner").model.read_domain(folder, "tweet")
        own.get_pipe("multibert_ner").model.module.remove_domain("sports")
    texts = [(text, {"domain": name}) for text in TEXTS for name in ("tweet", "travel")]
    got, expected = ([doc for doc, _ in own.pipe(texts, as_tuples=True)] for own in (other, nlp))
    assert_same_predictions(got, expected)
    own = [doc for doc in before if doc._.domain == "news"]
    assert_same_predictions([d for d in tag(spacy.load(tmp_path)) if d._.domain == "news"], own)


def test_training_is_torch_and_changes_what_is_predicted(make_nlp, tmp_path):
    make_nlp().to_disk(tmp_path)
    nlp = spacy.load(tmp_path, config=OPENVINO)
    before = [entities(doc) for doc in tag(nlp)]
    nlp.get_pipe("multibert_ner").train_only(DOMAINS, heads=True)
    fit(nlp, lambda step: labelled(nlp, 2, step), steps=3, learn_rate=0.05)
    after = tag(nlp)
    assert [entities(doc) for doc in after] != before
    nlp.to_disk(tmp_path / "trained")
    torch = {"components.transformer.engine": "torch"}
    assert_same_predictions(after, tag(spacy.load(tmp_path / "trained", config=torch)))


def test_after_a_fork_it_refuses(make_nlp, tmp_path):
    """Its threads do not survive one: an error, where the child would wait for ever."""
    make_nlp().to_disk(tmp_path)
    nlp = spacy.load(tmp_path, config=OPENVINO)
    expected = tag(nlp)
    with pytest.raises(ValueError, match="spawn"):
        tag(nlp, n_process=2, batch_size=8)
    assert_same_predictions(tag(nlp), expected)


def test_torch_is_the_default(nlp):
    assert nlp.get_pipe("transformer").engine == "torch"
    tag(nlp)
    assert isinstance(nlp.get_pipe("multibert_ner").model.module._view._engine, TorchEngine)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"engine": "onnx"}, "engine must be one of torch, openvino"),
        ({"precision": "int8"}, 'needs engine = "openvino"'),
        ({"engine": "openvino", "trainable": True}, "needs engine"),
    ],
)
def test_settings_that_make_no_sense(make_nlp, tmp_path, settings, message):
    make_nlp(detector=False).to_disk(tmp_path)
    config = {f"components.transformer.{name}": value for name, value in settings.items()}
    with pytest.raises(ConfigError, match=message):
        spacy.load(tmp_path, config=config)


def test_the_extra_is_not_imported_for_torch():
    code = (
        "import spacy, sys; spacy.blank('fa').add_pipe('multibert_ner');"
        "sys.exit(any(name.split('.')[0] in ('openvino', 'nncf') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The shipped adapters on the embedded core, assembled."""
    core, adapters = ROOT / "assets" / "core", ROOT / "assets" / "adapters"
    if not core.is_dir():
        pytest.skip("needs assets/core: spacy project run core")
    paths = {"core": core, "detector": adapters / "detector", "adapters": adapters / "domains"}
    overrides = {f"paths.{name}": str(path) for name, path in paths.items()}
    config = load_config(ROOT / "configs" / "pretrained.cfg", overrides=overrides)
    nlp = load_model_from_config(config, auto_fill=True)
    nlp.initialize()
    folder = tmp_path_factory.mktemp("shipped") / "fa_multibert"
    nlp.to_disk(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("precision, agreement", [("fp32", 1.0), ("bf16", 0.97), ("int8", 0.95)])
def test_the_shipped_pipeline(shipped, precision, agreement):
    """Some entities are so uncertain that rounding decides them, but only a few."""
    settings = {"components.transformer.precision": "fp32"}
    exact = spacy.load(shipped, config=settings)
    other = spacy.load(shipped, config={**OPENVINO, "components.transformer.precision": precision})
    domains = sorted(exact.get_pipe("multibert_ner").domains)
    by_domain = defaultdict(list)
    for text in make_texts(7, scale=0.3)["train"]:
        by_domain[text.domain].append(" ".join(token.text for token in text.tokens))
    pairs = [(by_domain[name][i], {"domain": name}) for i in range(8) for name in domains]
    expected, got = (
        {
            (i, ent.start_char, ent.end_char, ent.label_)
            for i, (doc, _) in enumerate(nlp.pipe(pairs, as_tuples=True))
            for ent in doc.ents
        }
        for nlp in (exact, other)
    )
    assert len(expected) > 50
    assert len(expected & got) / len(expected | got) >= agreement
