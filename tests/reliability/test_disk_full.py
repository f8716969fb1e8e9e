"""A disk that is full while a pipeline is saved: an error, and never half of it in its place.

The kernel's limit on the size of a file stands for the full disk: like one, it lets small files
through and stops a large one in its middle.
"""

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import spacy
from conftest import assert_same_predictions, toy_text

from multibert_spacy.errors import MultibertError
from scripts.record import save

TEXTS = [toy_text(domain, n_words=6, seed=1) for domain in ("news", "sports", "travel")]


@contextmanager
def full_after(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def files_of(folder: Path) -> dict[str, bytes]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def sizes_of(folder: Path) -> list[int]:
    """One byte less than each large file of a saved pipeline has."""
    return sorted({len(data) - 1 for data in files_of(folder).values() if len(data) > 2000})


@pytest.mark.parametrize("name", ["transformer", "domain_detector", "multibert_ner"])
def test_a_component_that_is_saved_anew_is_the_old_or_the_new_one(trained_folder, tmp_path, name):
    nlp = spacy.load(trained_folder)
    shutil.copytree(trained_folder, tmp_path / "kept")
    before = files_of(tmp_path / "kept" / name)
    sizes = sizes_of(tmp_path / "kept" / name)
    assert sizes
    for size in sizes:
        with full_after(size), pytest.raises(Exception, match="(?i)too large|file size|write"):
            nlp.get_pipe(name).to_disk(tmp_path / "kept" / name)
        after = files_of(tmp_path / "kept" / name)
        assert {file: after.get(file) for file in before} == before
        assert_same_predictions(spacy.load(tmp_path / "kept").pipe(TEXTS), nlp.pipe(TEXTS))
    nlp.get_pipe(name).to_disk(tmp_path / "kept" / name)
    assert files_of(tmp_path / "kept" / name) == before, "what the failures left is still there"


def test_half_a_new_pipeline_is_not_taken_for_a_whole_one(trained_folder, tmp_path):
    nlp = spacy.load(trained_folder)
    for size in sizes_of(trained_folder):
        with full_after(size), pytest.raises(Exception, match="(?i)too large|file size|write"):
            nlp.to_disk(tmp_path / str(size))
        with pytest.raises((MultibertError, OSError, ValueError)):
            spacy.load(tmp_path / str(size))


def test_a_record_is_the_old_or_the_new_one(tmp_path):
    path = tmp_path / "metrics" / "run.json"
    save({"run": "old"}, path)
    before = path.read_bytes()
    with full_after(1000), pytest.raises(OSError, match="too large"):
        save({"run": "new", "dev": list(range(1000))}, path)
    assert path.read_bytes() == before
