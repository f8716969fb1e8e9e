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
from multibert_spacy.serialization import drafts

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
    nlp.to_disk(model)  # what is imported on the way would be events as well
    shutil.rmtree(model)
    shutil.copytree(old, model)

    def write_until(n: int, *, after: bool = False) -> int:
        """RETURNS (int): How the process ended that dies at event n, or so many events after the
        two folders were exchanged.
        """

        def write() -> None:
            count, begin, exchange = 0, 0, drafts._exchange

            def die(counted: int) -> None:
                nonlocal count
                count = counted
                if (begin or not after) and counted - begin == n:
                    os.kill(os.getpid(), signal.SIGKILL)

            def exchange_and_begin(one: Path, other: Path) -> bool:
                nonlocal begin
                done = exchange(one, other)
                begin = count if after else 0
                return done

            drafts._exchange = exchange_and_begin
            at_events(ALL, die)
            write_pipeline(nlp, model, model)
            (work / "count").write_text(str(count), "utf8")

        status: int = os.waitpid(in_child(write), 0)[1]
        return status

    write_until(0)
    total = int((work / "count").read_text("utf8"))
    moments = [(n, False) for n in range(1, total, every)] + [(n, True) for n in range(1, 5)]
    found = []
    for n, after in moments:
        shutil.rmtree(model)
        shutil.copytree(old, model)
        if os.WIFSIGNALED(write_until(n, after=after)):
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
