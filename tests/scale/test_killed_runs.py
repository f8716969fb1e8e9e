"""Runs that end at any moment, and go on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from multibert_spacy.scale import apply
from tests.scale.texts import read_jsonl, read_output, toy_rows, write_jsonl

pytest.importorskip("pyarrow")


class Killed(BaseException):
    """As good as kill -9: nothing of ours catches it, and nothing more is written."""


def kill_at(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    """Let the n-th change of the file system be the last: half of what it is has happened."""
    left = [n]

    def counted(name: str) -> Any:
        method = getattr(LocalFileSystem, name)

        def change(self: Any, *args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            if left[0] == 0 and name == "open" and "w" in args[1]:
                with method(self, *args, **kwargs) as file:
                    file.write(b"half a li")
                raise Killed
            return method(self, *args, **kwargs)

        return change

    for name in ("mv", "rm", "makedirs", "open"):
        monkeypatch.setattr(LocalFileSystem, name, counted(name))


@pytest.mark.parametrize("grouped", [False, True], ids=["neighbours", "anywhere"])
def test_a_run_goes_on_from_wherever_it_was_killed(
    trained_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    grouped: bool,
) -> None:
    from multibert_spacy.scale import worker

    nlp = worker.spacy.load(trained_folder)
    monkeypatch.setattr(worker.spacy, "load", lambda name: nlp)
    rows: list[Any] = [*toy_rows(12), {"text": None}]
    path = write_jsonl(tmp_path / "in.jsonl", rows)
    settings = {"part_size": 4, "group_by": "thread" if grouped else None, "format": "jsonl"}
    whole = apply(trained_folder, path, tmp_path / "whole", **settings)
    assert whole["parts"] == 3
    expected = read_output(tmp_path / "whole")
    n, ended = 0, False
    while not ended:
        n += 1
        out = tmp_path / f"out{n}"
        with monkeypatch.context() as patch:
            kill_at(patch, n)
            try:
                apply(trained_folder, path, out, **settings)
                ended = True
            except Killed:
                assert not (out / "_SUCCESS").exists() or list(out.glob("_parts/*")) == []
        before = len(list(out.glob("part-*")))
        counts = apply(trained_folder, path, out, **settings, resume=True)
        assert read_output(out) == expected
        assert {**counts, "done_before": 0} == whole
        assert counts["done_before"] in (before, 0)
        assert len(read_jsonl(out / "errors.jsonl")) == 1
        assert sorted(own.name[:5] for own in out.iterdir()) == sorted(
            ["_SUCC", "_plan", "error", *["part-"] * whole["parts"]]
        )
    assert n > 20


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
def test_the_workers_of_a_killed_command_end_with_it(trained_folder: Path, tmp_path: Path) -> None:
    rows = toy_rows(1600)
    path = write_jsonl(tmp_path / "in.jsonl", rows)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "spacy", "multibert", "apply", str(trained_folder), str(path)]
    command += [str(out), "--workers", "2", "--part-size", "40", "--resume"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(out.glob("part-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [int(pid) for pid in children]
    assert process.poll() is None and len(workers) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "_SUCCESS").exists()
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, workers))
    done = len(list(out.glob("part-*")))
    counts = apply(trained_folder, path, out, part_size=40, resume=True)
    assert counts["done_before"] == done > 0
    assert [row["id"] for row in read_output(out)] == [row["id"] for row in rows]
    assert json.loads((out / "_SUCCESS").read_text()) == counts
