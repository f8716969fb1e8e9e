"""`remove` and `rename` killed at any moment: the folder is the old pipeline or the new one."""

import json
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
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("change", ["remove", "rename"])
@pytest.mark.parametrize("every", [200, pytest.param(7, marks=pytest.mark.slow)])
def test_a_killed_command_leaves_the_old_or_the_new(
    mixed_folder: Path, tmp_path: Path, change: str, every: int
) -> None:
    *found, last = outcomes(change, mixed_folder, tmp_path, every)
    assert set(found) == {"old", "new"}
    assert len(found) >= 10
    assert last == "new ['count', 'model']"
