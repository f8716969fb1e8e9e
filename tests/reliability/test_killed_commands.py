"""Commands killed at any moment: the folder is the old pipeline or the new one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from conftest import toy_examples
from spacy.tokens import DocBin

from multibert_spacy import save_domain

SCRIPT = Path(__file__).with_name("killed_commands.py")
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def given(mixed_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What commands take: texts, and a domain's folder."""
    folder = tmp_path_factory.mktemp("given")
    nlp = spacy.load(mixed_folder)
    docs = [eg.reference for eg in toy_examples(nlp, "sports", 6)]
    DocBin(docs=docs).to_disk(folder / "train.spacy")
    save_domain(nlp, "travel", folder / "trips")
    return folder


def outcomes(change: str, old: Path, given: Path, folder: Path, how: str) -> list[str]:
    (folder / "work").mkdir()
    done = subprocess.run(
        [sys.executable, SCRIPT, change, old, given, folder / "work", how],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    "change, every",
    [
        ("remove", 20),
        ("rename", 20),
        *(pytest.param(change, 7, marks=SLOW) for change in ("remove", "rename")),
        *(pytest.param(change, 15, marks=SLOW) for change in ("add", "import")),
    ],
)
def test_killed_while_it_writes(
    mixed_folder: Path, given: Path, tmp_path: Path, change: str, every: int
) -> None:
    *found, last = outcomes(change, mixed_folder, given, tmp_path, str(every))
    assert set(found) == {"old", "new"}
    assert found[-4:] == ["new"] * 4
    assert len(found) >= 20
    assert last == "new ['model']"


@pytest.mark.parametrize(
    "change, n",
    [
        ("add", 3),
        ("import", 3),
        *(pytest.param(own, 20, marks=SLOW) for own in ("add", "remove", "rename", "import")),
    ],
)
def test_killed_at_any_moment(
    mixed_folder: Path, given: Path, tmp_path: Path, change: str, n: int
) -> None:
    *found, last = outcomes(change, mixed_folder, given, tmp_path, f"moments:{n}")
    assert set(found) <= {"old", "new"} and "old" in found
    assert len(found) >= n - 2
    assert last == "new ['model']"
