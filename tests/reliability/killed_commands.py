"""Run by `test_killed_commands.py` in an interpreter of its own, since it forks:

    python killed_commands.py add|remove|rename|import OLD GIVEN WORK HOW

Runs `python -m spacy multibert` on a copy of the pipeline OLD, in place, and dies by `kill -9`: at
each HOW-th event of the file system while the pipeline is written and at the last ten, or with HOW
= "moments:N" at N moments of the whole command, drawn by the time that it computes. GIVEN has the
texts and the domain's folder that commands take. Prints what loading the folder then gives, and at
last what stands beside it once a command has ended well.
"""

import json
import os
import random
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import spacy
import torch
from killed_saves import ALL, at_events, in_child, look, outcome
from spacy.cli._util import app
from typer.testing import CliRunner

import multibert_spacy.cli  # noqa: F401  (spaCy imports it through its entry point)
from multibert_spacy.domains import output
from multibert_spacy.serialization import drafts

COMMANDS = {
    "add": "add {model} trips {given}/train.spacy {model} --steps 3 --start sports",
    "remove": "remove {model} news {model}",
    "rename": "rename {model} news press {model}",
    "import": "import {model} {given}/trips trips {model}",
}


class Killed:
    """A command that may die on the way, on a copy of a pipeline."""

    def __init__(self, change: str, old: Path, given: Path, work: Path) -> None:
        self.args = COMMANDS[change].format(model=work / "model", given=given).split()
        self.old, self.work, self.model = old, work, work / "model"
        self.saves = {"old": look(spacy.load(old))}
        self.renew()
        self.run(lambda: None)  # what is imported on the way would be events as well
        self.saves["new"] = look(spacy.load(self.model))

    def renew(self) -> None:
        shutil.rmtree(self.model, ignore_errors=True)
        shutil.copytree(self.old, self.model)

    def run(self, arm: Callable[[], None]) -> None:
        """Run the command here.

        arm (Callable): Called at the beginning.
        """
        arm()
        done = CliRunner().invoke(app, ["multibert", *self.args])
        if done.exit_code:
            raise RuntimeError(done.output) from done.exception

    def die(self, arm: Callable[[], None]) -> str | None:
        """RETURNS (str): Which pipeline a killed command has left; None if it ended before."""
        self.renew()
        _, status = os.waitpid(in_child(lambda: self.run(arm)), 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            return None
        return outcome(self.model, self.saves)

    def end(self) -> str:
        """RETURNS (str): What there is after a command that ended well."""
        assert self.die(lambda: None) is None
        left = sorted(path.name for path in self.work.iterdir())
        return f"{outcome(self.model, self.saves)} {left}"


def at_files(killed: Killed, every: int) -> list[str]:
    """Die at events of the file system."""
    count = killed.work.parent / f"{killed.work.name}-events"

    def arm(n: int, *, after: bool = False) -> None:
        """Die at event n of the write, or so many events after the two folders were exchanged."""
        seen = 0
        zero: int | None = None
        exchange, write = drafts._exchange, output.write_pipeline

        def die(counted: int) -> None:
            nonlocal seen
            seen = counted
            if zero is not None and counted - zero == n:
                os.kill(os.getpid(), signal.SIGKILL)

        def exchange_and_begin(one: Path, other: Path) -> bool:
            nonlocal zero
            done = exchange(one, other)
            zero = seen if after else zero
            return done

        def write_and_begin(*args: Any) -> None:
            nonlocal zero
            begin = seen
            zero = None if after else begin
            write(*args)
            zero, total = None, seen - begin
            count.write_text(str(total), "utf8")

        drafts._exchange = exchange_and_begin
        output.write_pipeline = write_and_begin
        at_events(ALL, die)

    assert killed.die(lambda: arm(0)) is None
    total = int(count.read_text("utf8"))
    moments = [(n, False) for n in range(1, total, every)] + [(n, True) for n in range(1, 5)]
    found = [killed.die(lambda n=n, after=after: arm(n, after=after)) for n, after in moments]
    return [one for one in found if one is not None]


def at_moments(killed: Killed, n: int) -> list[str]:
    """Die at moments of the time that the command computes, which does not depend on what else the
    machine does; the n-th parts of it have one moment each.
    """
    clock = killed.work.parent / f"{killed.work.name}-clock"

    def measure() -> None:
        begin = _computed()
        write = output.write_pipeline

        def write_and_look(*args: Any) -> None:
            write(*args)
            clock.write_text(str(_computed() - begin), "utf8")

        output.write_pipeline = write_and_look

    assert killed.die(measure) is None
    total = float(clock.read_text("utf8"))
    rng = random.Random(0)

    def arm(i: int) -> None:
        signal.signal(signal.SIGPROF, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        signal.setitimer(signal.ITIMER_PROF, total * (i + rng.random()) / n)

    found = [killed.die(lambda i=i: arm(i)) for i in range(n)]
    return [one for one in found if one is not None]


def _computed() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    torch.set_num_threads(1)
    change, *paths, how = sys.argv[1:]
    killed = Killed(change, *map(Path, paths))
    kind, _, number = how.rpartition(":")
    found = (at_moments if kind == "moments" else at_files)(killed, int(number))
    sys.stdout.write(json.dumps([*found, killed.end()], ensure_ascii=False))


if __name__ == "__main__":
    main()
