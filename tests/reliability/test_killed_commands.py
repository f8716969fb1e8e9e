"""`remove` and `rename` killed at any moment: the folder is the old pipeline or the new one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("killed_commands.py")


def outcomes(change: str, old: Path, work: Path, every: int) -> list[str]:
    done = subprocess.run(
        [sys.executable, SCRIPT, change, old, work, str(every)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("change", ["remove", "rename"])
@pytest.mark.parametrize("every", [20, pytest.param(7, marks=pytest.mark.slow)])
def test_a_killed_command_leaves_the_old_or_the_new(
    mixed_folder: Path, tmp_path: Path, change: str, every: int
) -> None:
    *found, last = outcomes(change, mixed_folder, tmp_path, every)
    assert set(found) == {"old", "new"}
    assert found[-4:] == ["new"] * 4
    assert len(found) >= 20
    assert last == "new ['count', 'model']"
