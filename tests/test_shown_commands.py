"""Every command that README, docs, docstrings and the project files show is one that there is."""

import importlib
import pkgutil
import re
import shlex
from pathlib import Path

import pytest
import spacy.cli
import srsly
import typer
from typer.testing import CliRunner

import scripts
from multibert_spacy.cli import multibert  # noqa: F401  (as spaCy does on its command line)

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "metrics/README.md"))]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
SHOWN = re.compile(r"(?:python -m (?:spacy|scripts)\b|spacy |make [a-z]|\$ )")


def code_of(text):
    """Code in Markdown: fenced and indented lines, and what stands between back ticks. What the
    results say of their origin is of the commit that they name.
    """
    text = re.sub(r"(?s)<!-- (\w+) START.*?<!-- \1 END", "", text)
    yield from re.findall(r"(?m)^(?: {4}|\$ )(.*)", text)
    for block in re.findall(r"(?ms)^```\w*\n(.*?)^```", text):
        yield from block.replace("\\\n", "").splitlines()
    yield from (" ".join(own.split()) for own in re.findall(r"(?<!`)`([^`]+)`(?!`)", text))


def shown():
    """Where a command stands, and the command."""
    for path in PAGES:
        for line in code_of(path.read_text(encoding="utf8")):
            if SHOWN.match(line.strip()):
                yield path, line
    for path in sorted((ROOT / "scripts").rglob("*.py")):
        text = path.read_text(encoding="utf8").replace("\\\n", "")
        yield from ((path, line) for line in re.findall(r"(?m)^ *(python -m scripts\..*)", text))
    for folder in (ROOT, ROOT / "scripts" / "experiments"):
        project = srsly.read_yaml(folder / "project.yml")
        for line in (line for own in project["commands"] for line in own["script"]):
            for name, value in project["vars"].items():
                line = line.replace(f"${{vars.{name}}}", str(value))
            yield folder / "project.yml", re.sub("at_root.py", "-m", line)


COMMANDS = dict.fromkeys(
    (path.relative_to(ROOT).as_posix(), re.sub(r"\s+#.*|^\$ ", "", line).strip())
    for path, line in shown()
)


EXTRAS = {"scripts.experiments.llm": "spacy_llm"}
"""What need not be installed: module of a command -> what it needs."""


def app_of(module):
    """The typer app of a module that `python -m` runs, or None."""
    if module in EXTRAS:
        pytest.importorskip(EXTRAS[module])
    found = importlib.import_module(module)
    if hasattr(found, "__path__"):
        found = importlib.import_module(f"{module}.__main__")
    app = getattr(found, "app", None)
    if app is None and hasattr(found, "main"):
        app = typer.Typer(add_completion=False)
        app.command()(found.main)
    return app


def check_flags(app, args):
    """All flags are known, or settings of a config where these are taken."""
    result = CliRunner().invoke(app, [*args, "--help"])
    assert result.exit_code == 0, result.output
    command = typer.main.get_command(app)
    for name in args:
        command = getattr(command, "commands", {}).get(name, command)
    known = {flag for own in command.params for flag in (*own.opts, *own.secondary_opts)}
    for flag in (arg.partition("=")[0] for arg in args if arg.startswith("--")):
        assert flag in known or "." in flag, f"{flag} is none of {sorted(known)}"


def check_project(args):
    """`spacy project run NAME [FOLDER]`: a workflow or a command of that folder's project.yml."""
    folder = args[1] if len(args) > 1 and not args[1].startswith("-") else "."
    project = srsly.read_yaml(ROOT / folder / "project.yml")
    names = {*project["workflows"], *(own["name"] for own in project["commands"])}
    assert args[0] in names or args[0].isupper(), args[0]


IDS = [f"{path}-{i}" for i, (path, _) in enumerate(COMMANDS)]


@pytest.mark.parametrize("path, line", COMMANDS, ids=IDS)
def test_a_command_that_is_shown_is_there(path, line):
    words = shlex.split(line)
    if words[0] == "make":
        assert re.search(rf"(?m)^{words[1]}:", (ROOT / "Makefile").read_text(encoding="utf8"))
        return
    words = words[2:] if words[0] == "python" else words
    if words[:3] == ["spacy", "project", "run"]:
        check_project(words[3:])
    elif words[0] == "spacy":
        check_flags(spacy.cli.app, words[1:])
    else:
        check_flags(app_of(words[0]), words[1:])


def test_commands_are_found():
    lines = {line for _, line in COMMANDS}
    assert {"make run", "make test"} <= lines
    assert "python -m scripts.corpora sample --seed 0" in lines


@pytest.mark.parametrize(
    "line",
    [
        "make tset",
        "spacy project run al",
        "python -m spacy trian x.cfg",
        "python -m spacy multibert show --htlm x",
        "python -m scripts.build.train tune x.cfg --pretraned general",
    ],
)
def test_a_slip_is_seen(line):
    with pytest.raises(AssertionError):
        test_a_command_that_is_shown_is_there("README.md", line)


MODULES = [
    own.name
    for own in pkgutil.walk_packages(scripts.__path__, "scripts.")
    if not own.ispkg and not own.name.endswith("at_root")
]


@pytest.mark.parametrize("module", MODULES)
def test_a_command_has_at_most_five_options(module):
    app = app_of(module)
    todo = [] if app is None else [typer.main.get_command(app)]
    for own in todo:
        todo += getattr(own, "commands", {}).values()
        options = [p.name for p in own.params if p.param_type_name == "option"]
        assert len(set(options) - {"help"}) <= 5, (own.name, options)
