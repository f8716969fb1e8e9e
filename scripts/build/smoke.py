"""The whole path on a toy core and a tenth of the sample corpus: every stage, in under a minute.

It runs the project's own configs with a small budget rather than toy twins of them, so that what
is smoked is what is shipped.
"""

import json
import shutil
from pathlib import Path
from typing import Annotated

import spacy
import typer
from rich.console import Console
from spacy.cli._util import app as spacy_app
from spacy.cli.package import package

from multibert_spacy.cli.drawing import read_threads
from multibert_spacy.cli.show import show

from ..corpora.sample import write_example, write_sample
from . import evaluate, publish, train
from .toy_core import build_toy_core

console = Console()

RUN = "configs/runs/lora.cfg"


def smoke(root: Path) -> None:
    """Run every stage.

    root (Path): Folder for all that is made; emptied first.
    """
    shutil.rmtree(root, ignore_errors=True)
    core, corpus, out = (root / name for name in ("core", "corpus", "training"))
    build_toy_core(core)
    write_sample(corpus, scale=0.1)
    write_example(root / "threads.jsonl")
    common = ["--corpus", str(corpus), "--out", str(out), "--vars.evaluations", "1"]
    for stage, *budget in (
        ("pretrain", "--paths.core", str(core), "--vars.epochs", "1"),
        ("tune", "--vars.epochs", "1"),
        ("detector", "--paths.core", str(core), "--vars.max_steps", "4", "--vars.layers", "1"),
    ):
        train.app([stage, RUN, *common, *budget], standalone_mode=False)
    assemble = ["assemble", "configs/assemble.cfg", str(out / "fa_multibert")]
    assemble += ["--paths.detector", str(out / "detector" / "model-best")]
    assemble += ["--paths.adapters", str(out / "adapters")]
    spacy_app(assemble, standalone_mode=False)
    evaluate.main(str(out / "fa_multibert"), corpus=corpus, metrics=root / "evaluate.json")
    report = json.loads((root / "evaluate.json").read_text(encoding="utf8"))
    published = out / "published" / "fa_multibert"
    publish.publish(out / "fa_multibert", published, "sample", version="0.0.0", report=report)
    (root / "packages").mkdir()
    settings = {"create_sdist": False, "create_wheel": False}
    package(published, root / "packages", name="multibert", version="0.0.0", **settings)
    loaded = spacy.load(root / "packages" / "fa_multibert-0.0.0/fa_multibert/fa_multibert-0.0.0")
    show(loaded, read_threads(root / "threads.jsonl"), root / "threads.html")
    console.print("smoke: every stage ran", style="green")


def main(
    root: Annotated[Path, typer.Option(help="Folder to work in")] = Path("training/smoke"),
) -> None:
    """Walk the whole path on a toy core."""
    smoke(root)


if __name__ == "__main__":
    typer.run(main)
