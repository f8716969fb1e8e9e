"""Every `spacy` command on a pipeline of ours, its own config, and the configs of the stages."""

import shutil
from pathlib import Path

import pytest
import spacy
import srsly
from conftest import HEADS, labelled, toy_text
from spacy.cli import app
from spacy.tokens import DocBin
from typer.testing import CliRunner

from multibert_spacy.errors import CorpusError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def run(*args, code=0):
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def shipped(trained_folder, tmp_path_factory):
    """A pipeline as it is shipped: no path of the machine that built it, a fallback domain."""
    root = tmp_path_factory.mktemp("shipped")
    nlp = spacy.load(trained_folder, config={"components.domain_detector.fallback_domain": "news"})
    nlp.config["initialize"]["components"] = {}
    nlp._pipe_configs["transformer"]["model"]["name"] = ""
    for part in ("train", "dev"):
        nlp.config["corpora"][part] = {
            "@readers": "multibert_spacy.DomainCorpus.v1",
            "path": f"${{paths.{part}}}",
        }
    nlp.meta["name"] = "toy"
    nlp.to_disk(root / "fa_toy")
    for part, seed in (("train", 1), ("dev", 2)):
        docs = [eg.reference for eg in labelled(nlp, 60 if part == "train" else 8, seed)]
        DocBin(docs=docs, store_user_data=True).to_disk(root / f"{part}.spacy")
    texts = [{"text": toy_text(name, seed=i)} for name in HEADS for i in range(4)]
    srsly.write_jsonl(root / "texts.jsonl", texts)
    return root


@pytest.fixture(scope="module")
def data(shipped):
    return ["--paths.train", shipped / "train.spacy", "--paths.dev", shipped / "dev.spacy"]


@pytest.fixture
def own(shipped, data):
    """The pipeline's own config, and where its core comes from: the pipeline itself."""
    return [shipped / "fa_toy" / "config.cfg"], [
        *data,
        *("--components.transformer.model.name", shipped / "fa_toy"),
    ]


STAGES = {
    "pretrain": ["--vars.head", "social", "--vars.domains", '["sports", "travel"]'],
    "domain": ["--vars.domain", "sports"],
    "detector": ["--vars.group_size", "1"],
}


@pytest.fixture(params=["pretrain", "domain", "detector"])
def stage(request, data, shipped, toy_core, tmp_path):
    """One of our configs, with its paths."""
    args = [*data, *STAGES[request.param]]
    if request.param == "domain":
        nlp = spacy.load(shipped / "fa_toy")
        for name in ("news", "travel"):
            nlp.get_pipe("multibert_ner").model.module.remove_domain(name)
        nlp.to_disk(tmp_path / "pretrained")
        args += ["--paths.pretrained", tmp_path / "pretrained"]
    else:
        args += ["--paths.core", toy_core]
    return CONFIGS / f"{request.param}.cfg", args


# On the pipeline


def test_info(shipped):
    assert "multibert_ner" in run("info", shipped / "fa_toy")


def test_evaluate_and_benchmark_accuracy(shipped, tmp_path):
    for command in (["evaluate"], ["benchmark", "accuracy"]):
        output = tmp_path / "scores.json"
        run(*command, shipped / "fa_toy", shipped / "dev.spacy", "--output", output)
        assert srsly.read_json(output)["ents_f"] > 0.5


def test_benchmark_speed(shipped):
    args = ["--batches", 30, "--batch-size", 1, "--warmup", 1]
    run("benchmark", "speed", shipped / "fa_toy", shipped / "dev.spacy", *args)


def test_apply(shipped, tmp_path):
    run("apply", shipped / "fa_toy", shipped / "texts.jsonl", tmp_path / "out.spacy")
    docs = list(DocBin().from_disk(tmp_path / "out.spacy").get_docs(spacy.blank("fa").vocab))
    assert len(docs) == 12 and any(doc.ents for doc in docs)


def test_find_threshold(shipped):
    args = ["domain_detector", "threshold", "domain_acc", "--n_trials", 2]
    output = run("find-threshold", shipped / "fa_toy", shipped / "dev.spacy", *args)
    assert "Best threshold" in output


def test_debug_profile(shipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where it writes Profile.prof
    run("debug", "profile", shipped / "fa_toy", shipped / "texts.jsonl")


def test_package(shipped, tmp_path):
    run("package", shipped / "fa_toy", tmp_path, "--build", "none")
    assert list(tmp_path.rglob("multibert_ner"))


def test_initialize_needs_nothing_of_the_builder_s(shipped):
    nlp = spacy.load(shipped / "fa_toy")
    nlp.initialize()
    assert nlp.get_pipe("multibert_ner").domains
    nlp.create_optimizer()


# On its own config


def test_own_config_without_a_core(own):
    with pytest.raises(ValueError, match=r"\[components.transformer.model\] name = "):
        run("debug", "data", *own[0], *own[1][:-2])


def test_own_config_without_a_corpus(own):
    args = own[1][-2:]
    with pytest.raises(CorpusError, match="--paths.train"):
        run("train", *own[0], *args)


def test_debug_config_and_data(own):
    run("debug", "config", *own[0], *own[1])
    assert "Pipeline can be initialized with data" in run("debug", "data", *own[0], *own[1])


@pytest.mark.parametrize("component", ["transformer", "domain_detector", "multibert_ner"])
def test_debug_model(own, component):
    output = run("debug", "model", *own[0], component, *own[1])
    assert "Initialized the model with the training corpus" in output
    assert "model looks good" in output


def test_train(own, tmp_path):
    budget = ["--training.max_steps", 2, "--training.eval_frequency", 1]
    run("train", *own[0], "--output", tmp_path, *own[1], *budget)
    nlp = spacy.load(tmp_path / "model-last")
    assert nlp("سفر به تبریز")._.domain in HEADS
    assert sorted(nlp.get_pipe("multibert_ner").domains) == sorted(HEADS)


def test_init_labels(own, tmp_path):
    run("init", "labels", *own[0], tmp_path, *own[1])
    assert set(srsly.read_json(tmp_path / "domain_detector.json")) == set(HEADS)
    assert set(srsly.read_json(tmp_path / "multibert_ner.json")) == {"LOC", "ORG", "POG"}


def test_assemble_sources(shipped, tmp_path):
    config = spacy.util.load_config(CONFIGS / "assemble.cfg")
    config["components"]["multibert_ner"] = {"source": str(shipped / "fa_toy")}
    config["initialize"]["components"] = {}
    config["paths"]["detector"] = str(shipped / "fa_toy")
    config["components"]["transformer"] = {"source": "${paths.detector}", "annotate": True}
    config.to_disk(tmp_path / "join.cfg", interpolate=False)
    run("assemble", tmp_path / "join.cfg", tmp_path / "joined")
    nlp = spacy.load(tmp_path / "joined")
    assert nlp("سپاهان در تبریز")._.trf_data is not None


# On the stages' configs


def test_stage_debug_config_and_data(stage):
    run("debug", "config", stage[0], *stage[1])
    output = run("debug", "data", stage[0], *stage[1])
    assert "Pipeline can be initialized with data" in output
    assert "Corpus is loadable" in output


def test_stage_debug_model(stage):
    component = "domain_detector" if "detector.cfg" in str(stage[0]) else "multibert_ner"
    output = run("debug", "model", stage[0], component, *stage[1])
    assert "Initialized the model with the training corpus" in output


def test_stage_train_and_go_on(stage, tmp_path):
    budget = ["--vars.max_steps", 2, "--vars.eval_frequency", 1]
    run("train", stage[0], "--output", tmp_path / "a", *stage[1], *budget)
    shutil.rmtree(tmp_path / "pretrained", ignore_errors=True)
    nlp = spacy.load(tmp_path / "a" / "model-last")
    nlp.resume_training()


def test_stage_init_labels(stage, tmp_path):
    run("init", "labels", stage[0], tmp_path / "labels", *stage[1])
