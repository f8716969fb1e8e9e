"""Three engines, the same rows."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from multibert_spacy.errors import ConfigError, CorpusError, EngineError
from multibert_spacy.scale import apply
from multibert_spacy.scale.engines import local, spark
from multibert_spacy.scale.extras import need
from multibert_spacy.scale.worker import reason_of
from tests.scale.texts import read_output, toy_rows, write_jsonl

pytest.importorskip("pyarrow")

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra ray")
needs_spark = pytest.mark.skipif(
    find_spec("pyspark") is None or shutil.which("java") is None,
    reason="needs the extra spark, and Java",
)
ENGINES = [
    "local",
    pytest.param("ray", marks=[pytest.mark.ray, needs_ray]),
    pytest.param("spark", marks=[pytest.mark.spark, needs_spark]),
]


@pytest.mark.parametrize("engine", ENGINES)
def test_two_workers_write_the_rows_of_one(
    trained_folder: Path, tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what one of them cannot do is an error of one line, with which the run ends."""
    rows: list[Any] = [*toy_rows(60), {"text": None}]
    path = write_jsonl(tmp_path / "in.jsonl", rows)
    one = apply(trained_folder, path, tmp_path / "one", part_size=10)
    told: list[int] = []
    two = apply(
        *(trained_folder, path, tmp_path / "two"),
        engine=engine,
        workers=2,
        part_size=10,
        progress=lambda done, total: told.append(done),
    )
    assert two == one
    assert read_output(tmp_path / "two") == read_output(tmp_path / "one")
    errors = [(tmp_path / name / "errors.jsonl").read_text() for name in ("one", "two")]
    assert errors[0] == errors[1]
    assert sorted(told) == told and told[-1] == 61
    assert find_leftovers(tmp_path / "two") == set()


def test_what_went_wrong_elsewhere_is_one_line() -> None:
    root = "Traceback (most recent call last):\n  x\nOSError: no disk\n\nThe above exception"
    assert reason_of(RuntimeError(f"in a worker:\n{root}")) == "OSError: no disk"
    outer = RuntimeError("Some task failed")
    outer.__cause__ = RuntimeError(f"{root}\na.b.MultibertError: another")
    assert reason_of(outer) == "OSError: no disk"
    assert reason_of(RuntimeError("the end\nof it")) == "of it"


def find_leftovers(folder: Path) -> set[str]:
    names = {own.name for own in folder.iterdir() if not own.name.startswith("part-")}
    return names - {"_SUCCESS", "_plan.json", "errors.jsonl"}


def test_a_file_that_is_lost_on_the_way(
    trained_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers' errors are the package's own, and what was done by then stays done."""
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_jsonl(tmp_path / "in" / f"{name}.jsonl", toy_rows(8))
    (tmp_path / "in" / "b.csv").write_text("text\nx\n", "utf8")
    out = tmp_path / "out"
    run = local.run

    def spoil(*args: Any) -> Any:
        (tmp_path / "in" / "b.csv").write_text("body\nx\n", "utf8")
        return run(*args)

    monkeypatch.setitem(sys.modules["multibert_spacy.scale.run"].ENGINES, "local", spoil)
    with pytest.raises(CorpusError, match=r"b\.csv has no column 'text'"):
        apply(trained_folder, tmp_path / "in", out, workers=2)
    assert not (out / "_SUCCESS").exists()


def test_a_worker_that_dies(trained_folder: Path, tmp_path: Path) -> None:
    """The plan's pipeline is taken away: no worker can start; the error says so in one line."""
    rows = toy_rows(8)
    path = write_jsonl(tmp_path / "in.jsonl", rows)
    code = (
        "import os, sys\n"
        "from multibert_spacy.scale import apply\n"
        "from multibert_spacy.errors import EngineError\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        apply(*sys.argv[1:4], workers=2)\n"
        "    except EngineError as e:\n"
        "        sys.exit(str(e))\n"
        "else:\n"
        "    os._exit(9)\n"
    )
    (tmp_path / "main.py").write_text(code)
    command = [sys.executable, tmp_path / "main.py", trained_folder, path, tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("Continue with fewer --workers and --resume")


def test_threads_of_workers_are_the_users_if_they_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with local._threads(5):
        assert os.environ["OMP_NUM_THREADS"] == "3"
    monkeypatch.delenv("OMP_NUM_THREADS")
    with local._threads(5):
        assert os.environ["OMP_NUM_THREADS"] == "5"
    assert "OMP_NUM_THREADS" not in os.environ


def test_without_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="needs Java 17 or later, and there is none: apt-get"):
        spark._check_java()


def test_a_library_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r'pip install "multibert-spacy\[ray\]"$'):
        need("no_such_library", "ray")
    told = r'"multibert-spacy\[apply\]", or write JSON: --format jsonl'
    with pytest.raises(ConfigError, match=told):
        need("no_such_library", "apply", instead="write JSON: --format jsonl")


@needs_ray
@pytest.mark.ray
def test_what_fails_in_ray_is_one_line(
    trained_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", toy_rows(4))
    plan = sys.modules["multibert_spacy.scale.run"]
    monkeypatch.setattr(plan, "_absolute", lambda name: str(name).replace("fa_toy", "gone"))
    with pytest.raises(EngineError, match=r"^Ray: [^\n]*gone[^\n]*$"):
        apply(trained_folder, path, tmp_path / "out", engine="ray")
