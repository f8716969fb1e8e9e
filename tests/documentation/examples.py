"""The code blocks of README and docs: found, run, and what they print written down.

A `text` block right behind a `python` block is what that prints with the built wheel. After a
change that is meant, write all of them anew:

    python -m tests.documentation.examples packages/pretrained/fa_multibert-0.1.0/dist/*.whl

Blocks of one page continue each other. A block whose title begins with "Needs" or "Takes" is one
that no test runs, which the title shows to the reader; it is parsed.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

__all__ = ["PAGES", "ROOT", "Block", "blocks", "run_page", "with_outputs"]

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@dataclass
class Block:
    """A fenced block. line (int): Of its first line of code, from 1.
    output (Block): The `text` block right behind a `python` block, or None.
    """

    language: str
    title: str
    source: str
    line: int
    end: int
    output: "Block | None" = None

    @property
    def is_run(self) -> bool:
        """Whether a test runs it."""
        return not self.title.startswith(("Needs", "Takes"))


def blocks(text: str) -> list[Block]:
    """RETURNS (list[Block]): The blocks of a Markdown text, without those that are an output."""
    found: list[Block] = []
    for token in MarkdownIt().parse(text):
        if token.type != "fence" or token.map is None:
            continue
        title = re.search(r'title="([^"]*)"', token.info)
        language = token.info.split(" ")[0]
        start, end = token.map
        block = Block(language, title[1] if title else "", token.content, start + 2, end)
        between = text.splitlines()[found[-1].end : start] if found else ["x"]
        if language == "text" and found[-1:] and found[-1].language == "python":
            if not any(between):
                found[-1].output = block
                continue
        found.append(block)
    return found


def run_page(page: Path, text: str) -> Iterator[tuple[Block, str]]:
    """Run the Python of a page in one namespace, in the current folder.

    page (Path): Where the text is from, for tracebacks.
    YIELDS (tuple): Each block that is run, and what it printed.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(text):
        if block.language != "python":
            continue
        code = compile("\n" * (block.line - 1) + block.source, str(page), "exec")
        if block.is_run:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(code, namespace)
            yield block, printed.getvalue()


def with_outputs(page: Path) -> str:
    """RETURNS (str): A page with what its blocks print, when they are run here."""
    text = page.read_text(encoding="utf8")
    lines = text.splitlines(keepends=True)
    for block, printed in reversed(list(run_page(page, text))):
        if block.output is not None:
            lines[block.output.line - 1 : block.output.end - 1] = [printed]
    return "".join(lines)


def write_outputs() -> None:
    """Write what is printed into every page; to be called where fa_multibert is installed."""
    for page in PAGES:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            Path("configs").symlink_to(ROOT / "configs")
            new = with_outputs(page)
        page.write_text(new, encoding="utf8")


def install(wheel: Path, folder: Path) -> dict[str, str]:
    """Put a wheel into a folder. RETURNS (dict): An environment in which Python finds it."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(folder), str(wheel)], check=True)
    paths = [str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def main(wheel: Path) -> None:
    """Write all outputs anew. wheel (Path): Of fa_multibert."""
    with tempfile.TemporaryDirectory() as folder:
        environment = install(wheel, Path(folder))
        code = "from tests.documentation.examples import write_outputs; write_outputs()"
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
