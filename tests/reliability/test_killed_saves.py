"""A save that is killed, and two at once: what is loaded then is one save, or an error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
import torch
from conftest import NAMES

SCRIPT = Path(__file__).with_name("killed_saves.py")


@pytest.fixture(scope="module")
def other_folder(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same core with other settings, other adapters, another detector and a domain less."""
    config = {"components": {"multibert_ner": {"window": 312}}}
    nlp = spacy.load(trained_folder, config=config)
    generator = torch.Generator().manual_seed(3)
    tagger = nlp.get_pipe("multibert_ner")
    tagger.model.add_domain("new", head="social", copy_from="sports")
    for model in (tagger.model, nlp.get_pipe("domain_detector").model):
        with torch.no_grad():
            for p in model.module.parameters():
                p.add_(torch.randn(p.shape, generator=generator) * 0.1)
        model.module.weights_changed()
    nlp.meta["version"] = "9.9.9"
    nlp.to_disk(tmp_path_factory.mktemp("other") / "fa_toy")
    return tmp_path_factory.getbasetemp() / "other0" / "fa_toy"


def run(mode: str, old: Path, new: Path, work: Path, how: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), mode, str(old), str(new), str(work), how],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def check_killed(found: list[str]) -> None:
    assert [line for line in found if line.startswith("mix")] == []
    assert found[-1].startswith("new")
    errors = [line for line in found if line.startswith("error")]
    assert errors, "none fell between two parts"
    for line in errors:
        assert "mix of two saves" in line or "killed" in line or "damaged" in line, line
    again = [line.split(", then ")[1] for line in found if ", then " in line]
    assert again and set(again) == {"new"}


def test_killed_at_each_rename(trained_folder, other_folder, tmp_path):
    check_killed(run("kill", trained_folder, other_folder, tmp_path, "renames"))


@pytest.mark.slow
def test_killed_at_each_step(trained_folder, other_folder, tmp_path):
    found = run("kill", trained_folder, other_folder, tmp_path, "all")
    check_killed(found)
    assert found[0].startswith("old")


def check_rivals(found: list[str]) -> None:
    """Who reports success is found there; two who do were one after the other."""
    for line in found:
        done, _, outcome = line.partition(": ")
        if done in ("old", "new"):
            assert outcome == done
        elif done == "old+new":
            assert outcome in ("old", "new")
        else:
            assert outcome.startswith(("old", "new", "error")), line


@pytest.mark.slow
def test_two_who_often_save_to_one_folder(trained_folder, other_folder, tmp_path):
    check_rivals(run("rivals", trained_folder, other_folder, tmp_path, "40"))


def test_domains_are_those_of_the_fixture(other_folder):
    assert sorted(spacy.load(other_folder).get_pipe("multibert_ner").domains) == sorted(
        [*NAMES, "new"]
    )
