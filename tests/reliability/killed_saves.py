"""Run by `test_killed_saves.py` in an interpreter of its own, since it forks:

    python killed_saves.py kill   OLD NEW WORK EVENTS        # EVENTS: "renames" or "all"
    python killed_saves.py rivals OLD NEW WORK N

`kill` saves the pipeline NEW over a copy of OLD and dies by `kill -9`, at each event of the file
system in turn. `rivals` lets two processes save OLD and NEW to one folder N times, each of them
stopping for a moment now and then. Both print what loading the folder then gives.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import spacy
import torch
from spacy.language import Language

TEXTS = ["سفر ایران هتل سپاهان", "گل تبریز برد ایران", "خبر وزیر ایران تبریز", "سپاهان دریا"]
RENAMES = ("os.rename",)
ALL = (
    *RENAMES,
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "open",
    "os.remove",
    "shutil.rmtree",
    "os.listdir",
    "os.scandir",
)


def look(nlp: Language) -> list[object]:
    """What tells one save from another: settings, domains, and what all components say."""
    docs = list(nlp.pipe(TEXTS))
    tagger = nlp.get_pipe("multibert_ner")
    return [
        nlp.meta["version"],
        tagger.window,
        sorted(tagger.domains),
        [{name: round(p, 3) for name, p in doc.cats.items()} for doc in docs],
        [[(e.start, e.end, e.label_) for e in doc.ents] for doc in docs],
        [[round(float(s), 3) for s in doc.spans["multibert_ner"].attrs["scores"]] for doc in docs],
    ]


def in_child(work: Callable[[], None]) -> int:
    """RETURNS (int): The process that does it, and ends with 3 if it raises."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except Exception as e:
            sys.stderr.write(f"{type(e).__name__}: {e}\n")
            os._exit(3)
        os._exit(0)
    return child


def at_events(names: tuple[str, ...], act: Callable[[int], None]) -> None:
    """Call `act` with a counter at each event of these names, once `sys.argv` is armed."""
    count = 0

    def hook(event: str, args: object) -> None:
        nonlocal count
        if event in names:
            count += 1
            act(count)

    sys.addaudithook(hook)


def outcome(folder: Path, saves: dict[str, list[object]]) -> str:
    """RETURNS (str): Which save a folder is, "error", or "mix"."""
    try:
        found = look(spacy.load(folder))
    except Exception as e:
        return f"error: {type(e).__name__}: {e}"
    return next((name for name, own in saves.items() if own == found), "mix")


def kill(old: Path, new: Path, work: Path, events: str) -> list[str]:
    nlp = spacy.load(new)
    saves = {"old": look(spacy.load(old)), "new": look(nlp)}
    names = RENAMES if events == "renames" else ALL
    found = []
    for n in range(1, 10_000):
        folder = work / str(n)
        shutil.copytree(old, folder)

        def save(n: int = n, folder: Path = folder) -> None:
            def die(count: int) -> None:
                if count == n:
                    os.kill(os.getpid(), signal.SIGKILL)

            at_events(names, die)
            nlp.to_disk(folder)

        _, status = os.waitpid(in_child(save), 0)
        found.append(outcome(folder, saves))
        if n % 7 == 0:  # what was left does not stand in the way
            nlp.to_disk(folder)
            found[-1] += f", then {outcome(folder, saves)}"
            drafts = [path.name for path in folder.rglob(".*")]
            found[-1] += f" with {drafts}" if drafts else ""
        shutil.rmtree(folder)
        if os.WIFEXITED(status):
            return found
    return found


def rivals(old: Path, new: Path, work: Path, n: int) -> list[str]:
    pipelines = {"old": spacy.load(old), "new": spacy.load(new)}
    saves = {name: look(nlp) for name, nlp in pipelines.items()}
    found = []
    for i in range(n):
        folder = work / str(i)
        if i % 3:
            shutil.copytree(old, folder)
        children = {}
        for name, nlp in pipelines.items():

            def save(name: str = name, nlp: Language = nlp, folder: Path = folder) -> None:
                rng = random.Random(f"{folder.name}{name}")

                def wait(count: int) -> None:
                    if rng.random() < 0.15:
                        time.sleep(rng.random() * 0.03)

                at_events(ALL, wait)
                nlp.to_disk(folder)

            children[name] = in_child(save)
        codes = {
            name: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            for name, child in children.items()
        }
        done = "+".join(name for name, code in codes.items() if code == 0) or "nobody"
        found.append(f"{done}: {outcome(folder, saves)}")
        shutil.rmtree(folder)
    return found


def main() -> None:
    torch.set_num_threads(1)
    mode, old, new, work, how = sys.argv[1:]
    paths = Path(old), Path(new), Path(work)
    found = kill(*paths, how) if mode == "kill" else rivals(*paths, int(how))
    sys.stdout.write(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
