"""Training that is killed, or fed with next to nothing."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import spacy
from conftest import toy_doc, toy_examples
from safetensors.torch import load_file
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.training.loop import create_evaluation_callback

from scripts.build import runs
from scripts.build.toy_core import build_toy_core

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> runs.Run:
    """A run that is complete."""
    folder = tmp_path / "out" / "pretrain" / "social"
    folder.mkdir(parents=True)
    settings = {"vars.epochs": 2, "vars.learn_rate": 0.01, "paths.core": "core"}
    run = runs.Run("pretrain/social", "pretrain", Path("sample"), ["travel"], settings)
    (folder / "done.json").write_text(json.dumps({"run": run.name, **run.asked()}))

    def trained(*args: object, **kwargs: object) -> None:
        raise AssertionError("a finished run was repeated")

    monkeypatch.setattr(runs, "spacy_train", trained)
    return run


@pytest.mark.parametrize(
    "change, said",
    [
        ({"vars.epochs": 3}, "epochs was 2, not 3"),
        ({"vars.learn_rate": 0.02}, "overrides was"),
        ({"paths.core": "other"}, None),
    ],
)
def test_a_finished_run_with_other_settings_is_said(done, tmp_path, capsys, change, said):
    done.settings |= change
    best = tmp_path / "out" / "pretrain" / "social" / "model-best"
    assert runs.train(done, tmp_path / "out") == best
    out = " ".join(capsys.readouterr().out.split())
    assert ("to train anew" in out) == (said is not None)
    assert said is None or said in out


# Next to nothing


def test_one_example_is_enough(trained):
    """Its loss falls, and the other domains stay as they are."""
    tagger = trained.get_pipe("multibert_ner")
    tagger.start_domain("hotels", copy_from="travel", freeze_head=True)
    examples = toy_examples(trained, "travel", 1)
    examples[0].predicted._.domain = "hotels"
    sgd = trained.create_optimizer()
    losses = []
    with trained.select_pipes(enable=["transformer", "multibert_ner"]):
        for _ in range(4):
            losses.append(trained.update(examples, sgd=sgd)["multibert_ner"])
    assert losses[-1] < losses[0]


def test_a_domain_without_entities(trained):
    """It trains, towards no entity; its score is 0 at every evaluation, so that the first
    checkpoint is kept.
    """

    def examples(nlp):
        for words in (["هتل", "سفر"], ["دریا"]):
            reference, predicted = (Doc(nlp.vocab, words=words) for _ in range(2))
            reference.set_ents([], default="outside")
            reference._.domain = predicted._.domain = "travel"
            yield Example(predicted, reference)

    with trained.select_pipes(enable=["transformer", "multibert_ner"]):
        losses = trained.update(list(examples(trained)), sgd=trained.create_optimizer())
        evaluate = create_evaluation_callback(trained, examples, {"ents_f": 1.0})
        score, scores = evaluate()
    assert losses["multibert_ner"] >= 0
    assert score == 0
    assert scores["ents_per_domain"]["travel"]["f"] is None


# Killed


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again(tmp_path: Path):
    """kill -9 at random moments: what is there in the end is what one run makes."""
    nlp, rng = spacy.blank("fa"), random.Random(0)
    for split in ("train", "dev"):
        for domain in ("news", "sports", "travel"):
            docs = [toy_doc(nlp, domain, rng) for _ in range(30)]
            path = tmp_path / "corpus" / split / f"{domain}.spacy"
            path.parent.mkdir(parents=True, exist_ok=True)
            DocBin(docs=docs, store_user_data=True).to_disk(path)
    build_toy_core(tmp_path / "core")
    run = tmp_path / "run.cfg"
    run.write_text("[pretrain]\nvars.epochs = 3\nvars.batch_words = 32\n")

    def start(out: Path) -> subprocess.Popen:
        command = [sys.executable, "-m", "scripts.build.train", "pretrain", str(run)]
        command += ["--domains", "sports,travel", "--paths.core", str(tmp_path / "core")]
        command += ["--corpus", str(tmp_path / "corpus"), "--out", str(out)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)

    began = time.monotonic()
    assert start(tmp_path / "whole").wait() == 0
    seconds = time.monotonic() - began
    kills = 0
    for _ in range(4):
        process = start(tmp_path / "killed")
        try:
            process.wait(timeout=rng.uniform(0.3, 0.95) * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
        folder = tmp_path / "killed" / "pretrain" / "social"
        assert folder.exists() == (folder / "done.json").exists()
    assert kills > 0
    assert start(tmp_path / "killed").wait() == 0
    name = Path(
        "pretrain/social/model-best/multibert_ner/domains/social/adapter_model.safetensors"
    )
    whole, killed = (load_file(tmp_path / part / name) for part in ("whole", "killed"))
    assert whole.keys() == killed.keys()
    assert all((whole[key] == killed[key]).all() for key in whole)
    assert not list((tmp_path / "killed").rglob("*.draft"))
    records = [
        json.loads((tmp_path / part / "pretrain" / "social" / "done.json").read_text("utf8"))
        for part in ("whole", "killed")
    ]
    assert records[0]["dev"] == records[1]["dev"]
