"""Cost of detection: who is timed on what. No times are asserted."""

import json

from conftest import NAMES, toy_examples
from spacy.tokens import DocBin
from typer.testing import CliRunner

from scripts.detector_cost import app, detectors_of, time_detectors, with_all_layers
from scripts.scoring.detection import make_groups


def toy_part(nlp, n=4):
    return [eg.reference for domain in NAMES for eg in toy_examples(nlp, domain, n)]


def test_all_layers_of_the_core(make_nlp):
    adapter = {"@misc": "multibert_spacy.LoRA.v1", "rank": 3, "alpha": 6}
    nlp = make_nlp(detector={"model": {"adapter": adapter, "layers": 1}})
    model = nlp.get_pipe("domain_detector").model
    core = model.listener.core
    whole = with_all_layers(model)
    assert (model.module.n_layers, whole.module.n_layers) == (1, None)
    assert whole.module.adapter.settings.rank == 3
    assert len(whole.module.adapter.sites) == core.n_layers * len(model.module.adapter.sites)
    assert whole.module.linear.out_features == len(NAMES)


def test_detectors_take_turns_on_the_same_groups(trained):
    asked = []

    def make(name):
        def detect(groups):
            asked.append((name, len(groups)))
            return ["travel"] * len(groups)

        return detect

    docs = toy_part(trained)
    groups = {size: make_groups(docs, size, limit_docs=4) for size in (1, 4)}
    report = time_detectors({"a": make("a"), "b": make("b")}, groups, rounds=2)
    assert asked == [("a", 12), ("a", 3), ("b", 12), ("b", 3)] * 3
    assert report["a"].keys() == {"1", "4"}


def test_the_shipped_detector_is_back_after_each_run(make_nlp, monkeypatch):
    nlp = make_nlp(detector={"model": {"layers": 1}})
    proc = nlp.get_pipe("domain_detector")
    shipped = proc.model
    docs = toy_part(nlp)
    monkeypatch.setattr("scripts.detector_cost.train_bow", lambda *args, **kwargs: nlp)
    detectors = detectors_of(nlp, docs, bow=None, config="")
    layers = shipped.listener.core.n_layers
    assert list(detectors) == [
        "ours, 1 layers",
        f"ours, {layers} layers",
        "bag of words",
        "tf-idf",
    ]
    answers = [detectors[name]([docs[:2]]) for name in detectors]
    assert all(len(own) == 1 and own[0] in NAMES for own in answers)
    assert proc.model is shipped


def test_command(trained, trained_folder, tmp_path):
    for part in ("train", "test"):
        (tmp_path / "toy" / part).mkdir(parents=True)
        doc_bin = DocBin(docs=toy_part(trained, 8), store_user_data=True)
        doc_bin.to_disk(tmp_path / "toy" / part / "toy.spacy")
    path = tmp_path / "cost.json"
    args = [trained_folder, "--corpus", tmp_path / "toy", "--metrics", path]
    args += ["--rounds", 1, "--per-domain", 1]
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output
    report = json.loads(path.read_text(encoding="utf8"))
    assert report["groups"] == 3
    assert report["detectors"].keys() == {"ours, 2 layers", "bag of words", "tf-idf"}
    assert report["detectors"]["tf-idf"].keys() == {"1", "2", "4", "8"}
