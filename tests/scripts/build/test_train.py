"""Training stages: budget in epochs, resuming, records."""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import srsly
from conftest import write_toy_corpus
from thinc.api import Config

from multibert_spacy.errors import ConfigError
from scripts.build import runs, train
from scripts.build.toy_core import build_toy_core
from scripts.domains import HEADS


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_toy_corpus(tmp_path / "corpus", ("train", "dev"))
    build_toy_core(tmp_path / "core")
    return tmp_path / "corpus"


ROOT = Path(__file__).resolve().parents[3]
RUN = """
[pretrain]
vars.epochs = 2
vars.evaluations = 1
vars.batch_words = 32

[pretrain.formal]
vars.epochs = 9

[tune]
vars.epochs = 1
vars.evaluations = 1
vars.batch_words = 32
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "run.cfg"
    path.write_text(RUN, encoding="utf8")
    return path


def command(name: str, run: Path, root: Path, *options: str) -> None:
    """One of the commands, as it is typed."""
    folders = ["--corpus", str(root / "corpus"), "--out", str(root / "out")]
    core = [] if name == "tune" else ["--paths.core", str(root / "core")]
    train.app([name, str(run), *folders, *core, *options], standalone_mode=False)


def record(root: Path, name: str = "pretrain/social") -> dict[str, Any]:
    found: dict[str, Any] = srsly.read_json(root / "out" / name / "done.json")
    return found


def test_two_steps_are_recorded_and_not_repeated(
    run: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "HEADS", {"social": ["sports", "travel"]})
    command("pretrain", run, tmp_path, "--system.seed", "3")
    command("tune", run, tmp_path)
    done = record(tmp_path)
    assert done["domains"] == ["sports", "travel"]
    assert (done["epochs"], done["seed"]) == (2, 3)
    assert done["split"] == "train, scored on dev"
    assert done["dev"][-1]["step"] == done["steps"]
    assert sorted(p.name for p in (tmp_path / "out" / "adapters").iterdir()) == [
        "sports",
        "travel",
    ]
    assert not list((tmp_path / "out").rglob("*.draft"))
    assert not list((tmp_path / "out" / "tune").rglob("model.safetensors"))

    def trained_again(*args: object, **kwargs: object) -> None:
        raise AssertionError("a finished run was repeated")

    monkeypatch.setattr(runs, "spacy_train", trained_again)
    command("pretrain", run, tmp_path, "--system.seed", "3")
    command("tune", run, tmp_path)

    train.share(tmp_path / "out", domains="travel")
    best = tmp_path / "out" / "pretrain" / "social" / "model-best" / "multibert_ner" / "domains"
    own = tmp_path / "out" / "adapters" / "travel"
    for name in ("adapter_model.safetensors", "head.safetensors"):
        assert (own / name).read_bytes() == (best / "social" / name).read_bytes()
    assert json.loads((own / "multibert.json").read_text("utf8"))["domain"] == "travel"


def test_joint_goes_on_from_what_the_heads_have(run: Path, corpus: Path, tmp_path: Path) -> None:
    command("pretrain", run, tmp_path, "--domains", "news,travel")
    train.share(tmp_path / "out", domains="news,travel")
    own = 'vars.max_steps = 2\nvars.domains = ["news", "travel"]\n'
    run.write_text(f"{RUN}\n[joint]\n{own}", "utf8")
    start = ["--paths.start", str(tmp_path / "out" / "adapters")]
    command("joint", run, tmp_path, *start)
    found = record(tmp_path, "joint")
    assert (found["domains"], found["steps"]) == (["news", "travel"], 2)
    domains = tmp_path / "out" / "joint" / "model-best" / "multibert_ner" / "domains"
    assert sorted(path.name for path in domains.iterdir()) == ["news", "travel"]
    weights = [path.read_bytes() for path in domains.glob("*/adapter_model.safetensors")]
    assert len(weights) == 2 and weights[0] == weights[1]  # each folder has all of its files


def test_a_half_finished_run_is_started_anew(run: Path, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "pretrain" / ".social.draft" / "model-best").mkdir(parents=True)
    (out / "pretrain" / ".social.draft" / "model-best" / "rest").write_text("half")
    command("pretrain", run, tmp_path, "--domains", "travel", "--vars.epochs", "1")
    assert not (out / "pretrain" / "social" / "model-best" / "rest").exists()
    assert (out / "pretrain" / "social" / "done.json").exists()


def test_a_checkpoint_that_no_run_made_is_kept(run: Path, corpus: Path, tmp_path: Path) -> None:
    """As an average of two."""
    best = tmp_path / "out" / "pretrain" / "social" / "model-best"
    best.mkdir(parents=True)
    (best / "meta.json").write_text("average")
    with pytest.raises(ConfigError, match="choose another folder"):
        command("pretrain", run, tmp_path, "--domains", "travel")
    assert (best / "meta.json").read_text() == "average"


def test_a_run_that_does_not_improve_stops_early(run: Path, corpus: Path, tmp_path: Path) -> None:
    """Ten scorings were asked for; with a rate of 0 the first three bring nothing."""
    budget = ("--vars.epochs", "20", "--vars.evaluations", "10", "--vars.learn_rate", "0.0")
    command("pretrain", run, tmp_path, "--domains", "travel", *budget)
    done = record(tmp_path)
    per_scoring = done["dev"][1]["step"]
    assert done["steps"] == 10 * per_scoring
    assert [row["step"] for row in done["dev"]] == [i * per_scoring for i in range(4)]


def test_a_run_config_has_its_heads_own_settings(run: Path, tmp_path: Path) -> None:
    assert runs.run_settings(run, "pretrain", "social")["vars.epochs"] == 2
    assert runs.run_settings(run, "pretrain", "formal") == {
        "vars.epochs": 9,
        "vars.evaluations": 1,
        "vars.batch_words": 32,
    }
    with pytest.raises(ConfigError, match=r"no section \[refit\]; it has: pretrain, tune"):
        runs.run_settings(run, "refit")
    with pytest.raises(ConfigError, match="There are: run"):
        runs.run_settings(tmp_path / "walk.cfg", "tune")


STAGES = {"joint": "joint", "tune": "domain", "special": "domain", "detector": "detector"}
STAGES["detector_paper"] = "detector_paper"


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "runs").glob("*.cfg")), ids=str)
def test_the_run_configs_fit_their_stages(path: Path) -> None:
    """Every setting is one that the stage's config has."""
    for section in Config().from_disk(path, interpolate=False):
        stage = STAGES.get(section) or STAGES.get(section.rpartition("_")[2], "pretrain")
        stage = Config().from_disk(ROOT / "configs" / f"{stage}.cfg", interpolate=False)
        for head in HEADS:
            for name in runs.run_settings(path, section, head):
                own: Any = stage
                for key in name.split("."):
                    assert key in own, (section, name)
                    own = own[key]


def test_what_is_neither_flag_nor_setting_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="--rank"):
        command("pretrain", run, tmp_path, "--rank", "8")


def test_an_error_on_purpose_ends_the_command_with_a_message(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pretrain" / "social" / "model-best").mkdir(parents=True)
    (tmp_path / "pretrain" / "formal" / "model-best").mkdir(parents=True)
    args = ["scripts.build.train", "pretrain", str(run), "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", args)
    monkeypatch.delitem(sys.modules, "scripts.build.train")
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("scripts.build.train", run_name="__main__")
    assert stopped.value.code == 1
    assert "choose another folder" in " ".join(capsys.readouterr().err.split())
