"""Run by `test_killed_commands.py` in an interpreter of its own, since it forks:

    python killed_commands.py remove|rename OLD WORK EVERY

Changes a domain of a copy of the pipeline OLD in place, as the commands do, and dies by `kill -9`
at each EVERY-th event of the file system and at the last ten. Prints what loading the folder then
gives, and at last what stands beside it once a command has ended well.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import spacy
import torch
from killed_saves import ALL, at_events, in_child, look, outcome
from spacy.language import Language

from multibert_spacy import remove_domain, rename_domain
from multibert_spacy.domains.output import write_pipeline

CHANGES: dict[str, Callable[[Language], None]] = {
    "remove": lambda nlp: remove_domain(nlp, "news"),
    "rename": lambda nlp: rename_domain(nlp, "news", "press"),
}


def kill(change: str, old: Path, work: Path, every: int) -> list[str]:
    nlp = spacy.load(old)
    saves = {"old": look(nlp)}
    CHANGES[change](nlp)
    saves["new"] = look(nlp)
    model = work / "model"
    shutil.copytree(old, model)

    def write_until(n: int) -> int:
        """RETURNS (int): How the process ended that dies at event n."""

        def write() -> None:
            count = 0

            def die(counted: int) -> None:
                nonlocal count
                count = counted
                if counted == n:
                    os.kill(os.getpid(), signal.SIGKILL)

            at_events(ALL, die)
            write_pipeline(nlp, model, model)
            (work / "count").write_text(str(count), "utf8")

        status: int = os.waitpid(in_child(write), 0)[1]
        return status

    write_until(0)
    total = int((work / "count").read_text("utf8"))
    found = []
    for n in sorted({*range(1, total, every), *range(total - 10, total)}):
        shutil.rmtree(model)
        shutil.copytree(old, model)
        if os.WIFSIGNALED(write_until(n)):
            found.append(outcome(model, saves))
    write_until(0)
    left = sorted(path.name for path in work.iterdir())
    return [*found, f"{outcome(model, saves)} {left}"]


def main() -> None:
    torch.set_num_threads(1)
    change, old, work, every = sys.argv[1:]
    found = kill(change, Path(old), Path(work), int(every))
    sys.stdout.write(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
