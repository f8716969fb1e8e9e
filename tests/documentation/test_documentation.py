"""README and docs: their code runs, their commands exist, their figures and licences are those of
the files that they come from.
"""

import importlib.util
import inspect
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import srsly
from markdown_it import MarkdownIt
from spacy.language import Language
from thinc.api import Config

from docs.tools.docstrings import parse
from docs.tools.hooks import FROM_SPACY, GROUPS, configuration, on_page_markdown, registered
from multibert_spacy.cli import multibert
from scripts.build.sources import SHIPPED, SHIPPED_HEADS, corpora_of, licence_of_weights
from scripts.domains import DOMAINS
from tests.documentation.examples import (
    PAGES,
    ROOT,
    Block,
    blocks,
    install,
    run_page,
    with_outputs,
)

TEXTS = {page: page.read_text(encoding="utf8") for page in PAGES}
FENCES = [(page, block) for page, text in TEXTS.items() for block in blocks(text)]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))
CHECKED = {"python", "bash", "ini", "text"}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def of(language: str) -> list[Any]:
    return [
        pytest.param(block, id=f"{name_of(page)}:{block.line}")
        for page, block in FENCES
        if block.language == language
    ]


# Code


@pytest.fixture
def fa_multibert(
    make_nlp: Callable[..., Language], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A tiny pipeline installed as fa_multibert, and a folder to work in."""
    package, about = tmp_path / "fa_multibert", tmp_path / "fa_multibert-0.0.0.dist-info"
    package.mkdir()
    make_nlp().to_disk(package / "fa_multibert-0.0.0")
    shutil.copy(package / "fa_multibert-0.0.0" / "meta.json", package / "meta.json")
    (package / "__init__.py").write_text(
        "from pathlib import Path\n"
        "from spacy.util import load_model_from_init_py\n"
        "def load(**overrides):\n"
        "    return load_model_from_init_py(__file__, **overrides)\n"
    )
    meta = json.loads((package / "meta.json").read_text(encoding="utf8"))
    meta |= {"lang": "fa", "name": "multibert", "version": "0.0.0"}
    (package / "meta.json").write_text(json.dumps(meta), encoding="utf8")
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: fa_multibert\nVersion: 0.0.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path / "work")
    yield
    sys.modules.pop("fa_multibert", None)


WITH_PYTHON = sorted({name_of(page) for page, block in FENCES if block.language == "python"})


@pytest.mark.parametrize("name", WITH_PYTHON)
def test_python_runs(name: str, fa_multibert: None) -> None:
    """On a tiny pipeline with random weights: what is printed is compared below."""
    n_printed = 0
    for block, printed in run_page(ROOT / name, TEXTS[ROOT / name]):
        assert bool(printed) or block.output is None, block
        n_printed += block.output is not None
    expected = [b for p, b in FENCES if name_of(p) == name and b.is_run and b.output is not None]
    assert n_printed == len(expected)


def test_the_python_of_the_wheels_card_runs(fa_multibert: None) -> None:
    template = (ROOT / "scripts" / "build" / "texts" / "README.md.jinja").read_text("utf8")
    text = template.replace("{{ meta.lang }}_{{ meta.name }}", "fa_multibert")
    printed = [printed for _, printed in run_page(Path("card.md"), text)]
    assert len(printed) == 1 and len(printed[0].splitlines()) == 2


def test_the_blocks_of_a_page() -> None:
    text = '```python\nprint(1)\n```\n\n```text\n1\n```\n\n```python title="Needs a GPU"\n2\n```\n'
    first, second = blocks(text)
    assert (first.language, first.source, first.line, first.is_run) == (
        *("python", "print(1)\n", 2, True),
    )
    assert first.output is not None and first.output.source == "1\n"
    assert (second.title, second.is_run, second.output) == ("Needs a GPU", False, None)
    assert [printed for _, printed in run_page(Path("page.md"), text)] == ["1\n"]


def test_printed_output_is_written_into_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n```python\nfor i in (1, 2):\n    print(i)\n```\n\n```text\n```\nb\n")
    assert with_outputs(page).endswith("```\n\n```text\n1\n2\n```\nb\n")


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    assert {block.language for _, block in FENCES} == CHECKED
    for _, block in FENCES:  # a text that stands alone says what it is
        assert block.language != "text" or block.title
        assert block.output is None or block.output.source.strip()


@pytest.mark.parametrize("block", of("ini"))
def test_configs_name_what_there_is(block: Block) -> None:
    config = Config().from_str(block.source, interpolate=False)
    assert config
    keys = {key for section in config.values() for key in section}
    assert keys <= {"transformer", "frozen_components", "annotating_components"}


# Commands


@pytest.mark.parametrize("block", of("bash"))
def test_commands_exist(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=block.source, text=True, check=True)
    commands = [line.split() for line in block.source.replace("\\\n", " ").splitlines()]
    assert commands
    for words in commands:
        check_command(words)


def check_command(words: list[str]) -> None:
    if words[0] == "make":
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text(encoding="utf8")
    elif words[:3] == ["python", "-m", "spacy"]:
        check_spacy(words[3:])
    elif words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(words[2]) is not None
    else:
        assert words[:2] in (["pip", "install"], ["huggingface-cli", "upload"]), words


def check_spacy(words: list[str]) -> None:
    if words[0] == "project":
        folder = words[3] if len(words) > 3 and not words[3].startswith("-") else "."
        project = srsly.read_yaml(ROOT / folder / "project.yml")
        known = {command["name"] for command in project["commands"]} | {*project["workflows"]}
        assert words[1] == "assets" or (words[1] == "run" and words[2] in known), words
        options = {word.removeprefix("--vars.") for word in words if word.startswith("--vars.")}
        assert options <= project["vars"].keys()
    elif words[0] == "multibert":
        assert words[1] in {command.name for command in multibert.registered_commands}, words
    elif words[0] != "huggingface-hub":  # of a package of its own
        assert words[0] == "train", words
        config = Config().from_disk(ROOT / words[1], interpolate=False)
        for word in words:
            if word.startswith("--") and "." in word:
                section = word.removeprefix("--").split(".")[0]
                assert section in config, word


@pytest.mark.parametrize("words", ["make nothing", "python -m spacy project run nothing", "rm x"])
def test_a_command_that_is_not_there_is_found(words: str) -> None:
    with pytest.raises(AssertionError):
        check_command(words.split())


# Pages


def test_the_readme_is_short() -> None:
    lines = TEXTS[ROOT / "README.md"].splitlines()
    assert len(lines) <= 120
    assert [line.split("#")[0].strip() for line in lines if line.startswith("make ")] == [
        "make run",
        "make test",
    ]


def test_links_of_the_readme_lead_somewhere() -> None:
    """mkdocs checks those of the docs."""
    tokens = MarkdownIt().parse(TEXTS[ROOT / "README.md"])
    inner = [own for token in tokens for own in token.children or ()]
    links = [str(own.attrs.get("href") or own.attrs.get("src") or "") for own in inner]
    local = [link for link in links if link and not link.startswith("http")]
    assert "docs/img/threads.png" in local and "CITATION.cff" in local
    assert [link for link in local if not (ROOT / link).exists()] == []


def test_every_registered_function_is_described() -> None:
    """With every setting, its type and what it is for."""
    text = configuration()
    declared = PROJECT["project"]["entry-points"]
    groups = {group.removeprefix("spacy_") for group in declared} - {"displacy_colors", "cli"}
    assert groups == GROUPS.keys()
    for group, name, function in registered():
        assert f'`{GROUPS[group][1]} = "{name}"`' in text
        said = parse(function.__doc__)
        settings = inspect.signature(function).parameters.keys()
        settings -= FROM_SPACY if group == "factories" else set()
        assert said.args.keys() <= settings, name
        assert all(f"`{key}`" in said.text for key in settings - said.args.keys()), name
        for key, (kind, meaning) in said.args.items():
            assert f"| `{key}` | {kind} | " in text or " | " in kind, (name, key)
            assert meaning and meaning in text


def test_what_is_put_into_a_page() -> None:
    assert on_page_markdown("a\n\n<!-- CONFIGURATION -->\n") == f"a\n\n{configuration()}\n"
    assert on_page_markdown("| 71.3 (66.3-76.3) | 4-5 |") == "| 71.3 (66.3\u201176.3) | 4-5 |"
    window = "| `window` | int | `512` | Pieces of a window, with the two special ones; "
    assert window in configuration()


def test_a_docstring_in_its_parts() -> None:
    found = parse(
        """Do it.

        More of it.

        word (str): A word,
            of Persian.
        a, b (int): Numbers.
        RETURNS (list[str]): Words. RAISES (ValueError): If there is none,
            or two.
        """
    )
    assert found.text == "Do it.\n\nMore of it."
    numbers = ("int", "Numbers.")
    assert found.args == {"word": ("str", "A word, of Persian."), "a": numbers, "b": numbers}
    assert found.ends == [
        ("RETURNS", "list[str]", "Words."),
        ("RAISES", "ValueError", "If there is none, or two."),
    ]
    assert "Args:\n    word (str): A word, of Persian." in found.google()
    assert found.google().endswith("Raises:\n    ValueError: If there is none, or two.")
    assert parse(None).google() == ""


# Licences


def test_licences_agree_everywhere() -> None:
    """README, docs, LICENCES.md and cards; test_publish.py holds meta and wheel to the same."""
    whole = licence_of_weights(SHIPPED)
    for page in (ROOT / "README.md", ROOT / "docs" / "concepts.md"):
        rows = [line for line in TEXTS[page].splitlines() if line.startswith("| ")]
        for domains in SHIPPED_HEADS.values():
            names = ", ".join(f"`{name}`" for name in domains)
            (row,) = [row for row in rows if row.startswith(f"| {names} |")]
            assert row.endswith(f" | {licence_of_weights(corpora_of(domains[0]))} |")
        (row,) = [row for row in rows if row.startswith("| the detector, and so the whole of")]
        assert row.endswith(f" | {whole} |")
    rows = (ROOT / "LICENCES.md").read_text(encoding="utf8").splitlines()
    cells = [[cell.strip() for cell in row.split("|")] for row in rows if "| weights" in row]
    weights = {cell[1]: cell[2] for cell in cells}
    assert weights == {
        "weights of all domains and the detector (`assets/adapters`)": (
            "academic research only, as ARMAN"
        ),
    }
    licences = {name: licence_of_weights(corpora_of(name)) for name in DOMAINS}
    assert [name for name, own in licences.items() if own == "research use only, as ARMAN"] == [
        *("news", "tweet"),
    ]
    assert whole.startswith("research use only, as ARMAN")
    for name in ("errors", "index"):
        text = " ".join(TEXTS[ROOT / "docs" / f"{name}.md"].split())
        assert "for academic research only" in text


@pytest.mark.parametrize("name", [name for own in SHIPPED_HEADS.values() for name in own])
def test_cards_list_the_types_of_their_corpus(name: str) -> None:
    card = (ROOT / "assets" / "adapters" / "domains" / name / "README.md").read_text("utf8")
    types = set(DOMAINS[name].corpus.types)
    assert set(re.findall(r"^\| ([A-Z]{3,4}) \|", card, re.MULTILINE)) <= types
    (labels,) = re.findall(r"^- Labels: (.*)$", card, re.MULTILINE)
    assert set(labels.split(", ")) == types


# For others to find and cite


def test_the_universe_entry(fa_multibert: None) -> None:
    """In the form of spaCy's universe; its example runs."""
    entry = json.loads((ROOT / "docs" / "universe.json").read_text(encoding="utf8"))
    texts = {"id", "title", "slogan", "description", "pip", "code_language", "author"}
    lists = {"category", "tags", "code_example"}
    assert entry.keys() == texts | lists
    assert all(isinstance(entry[key], str) and entry[key] for key in texts)
    assert all(own and all(isinstance(line, str) for line in own) for own in map(entry.get, lists))
    assert set(entry["category"]) <= {"pipeline", "models", "standalone", "research", "training"}
    assert entry["pip"] == PROJECT["project"]["name"] and entry["code_language"] == "python"
    exec("\n".join(entry["code_example"]), {})


def test_the_citation() -> None:
    entry = srsly.read_yaml(ROOT / "CITATION.cff")
    assert entry.keys() >= {"cff-version", "message", "title", "authors", "preferred-citation"}
    assert entry["cff-version"] == "1.2.0" and entry["license"] == "MIT"
    assert entry["type"] == "software" and entry["version"] == PROJECT["project"]["version"]
    paper = entry["preferred-citation"]
    names = [f"{own['given-names']} {own['family-names']}" for own in paper["authors"]]
    assert names == ["Parham Abed Azad", "Hamid Beigy"]
    assert paper["type"] == "conference-paper" and paper["year"] == 2025
    assert paper["title"] in " ".join(TEXTS[ROOT / "README.md"].split())


# The real thing

WHEELS = sorted((ROOT / "packages" / "pretrained").glob("fa_multibert-*/dist/*.whl"))


@pytest.mark.slow
@pytest.mark.skipif(not WHEELS, reason="needs the wheel: python -m spacy project run pretrained")
def test_what_is_printed_with_the_built_wheel(tmp_path: Path) -> None:
    """README and quickstart, word by word; the wheel's licence."""
    with zipfile.ZipFile(WHEELS[-1]) as wheel:
        (name,) = [own for own in wheel.namelist() if own.endswith(".dist-info/METADATA")]
        licence = f"License: Code: MIT. Weights: {licence_of_weights(SHIPPED)}\n"
        assert licence in wheel.read(name).decode("utf8")
    environment = install(WHEELS[-1], tmp_path)
    for page in ("README.md", "docs/index.md", "docs/quickstart.md"):
        code = (
            "import sys; from pathlib import Path; from tests.documentation.examples import *\n"
            "sys.stdout.buffer.write(with_outputs(Path(sys.argv[1])).encode())"
        )
        call = [sys.executable, "-c", code, str(ROOT / page)]
        done = subprocess.run(call, env=environment, cwd=tmp_path, check=True, capture_output=True)
        assert done.stdout.decode("utf8") == TEXTS[ROOT / page], page
