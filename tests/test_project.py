"""The project files: what they name is there, short, and the corpora go where the readers look."""

import ast
import os
import re
import tomllib
from pathlib import Path

import pytest
import srsly
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from scripts.corpora.publishers import ARMAN_ZIP, PARSNER_ZIP
from scripts.corpora.sentence import SPLITS
from scripts.domains import CORPORA

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"": ROOT, "experiments": ROOT / "scripts" / "experiments"}
PROJECTS = {name: srsly.read_yaml(folder / "project.yml") for name, folder in FOLDERS.items()}
COMMANDS = [(name, own) for name, project in PROJECTS.items() for own in project["commands"]]
NAMES = [f"{name}/{own['name']}" for name, own in COMMANDS]


@pytest.mark.parametrize("name", PROJECTS)
def test_workflows_are_made_of_commands(name):
    """Each once, and in an order in which nothing is needed before it is made."""
    known = {command["name"] for command in PROJECTS[name]["commands"]}
    for steps in PROJECTS[name]["workflows"].values():
        assert set(steps) <= known
        assert len(steps) == len(set(steps))


@pytest.mark.parametrize("name, command", COMMANDS, ids=NAMES)
def test_a_command_names_what_is_there(name, command):
    for line in command["script"]:
        for config in re.findall(r"configs/[\w/]+\.cfg", line):
            assert (ROOT / config).is_file()
    for dep in command.get("deps", []):
        path = Path(os.path.normpath(FOLDERS[name] / dep))
        if path.relative_to(ROOT).parts[0] in ("scripts", "configs", "multibert_spacy"):
            assert "${" in dep or path.exists(), dep


@pytest.mark.parametrize("name, command", COMMANDS, ids=NAMES)
def test_a_command_has_at_most_five_flags(name, command):
    for line in command["script"]:
        assert len(re.findall(r" --\w", line)) <= 5, line


@pytest.mark.parametrize("name, command", COMMANDS, ids=NAMES)
def test_variables_are_defined(name, command):
    used = set(re.findall(r"\$\{vars\.(\w+)\}", str(command)))
    assert used <= PROJECTS[name]["vars"].keys()


def test_the_project_is_short():
    assert len((ROOT / "project.yml").read_text(encoding="utf8").splitlines()) < 250


def test_the_corpora_go_where_the_readers_look():
    wanted = {f"arman/{ARMAN_ZIP}", f"parsner_social/{PARSNER_ZIP}"}
    wanted |= {f"parstwiner/{part}.txt" for part in SPLITS}
    found = {own["dest"].removeprefix("assets/persian/") for own in PROJECTS[""]["assets"]}
    assert found == wanted
    in_the_channels_zip = {"parsner_wiki", "parsner_press"}
    assert {path.partition("/")[0] for path in found} == CORPORA.keys() - in_the_channels_zip


def test_the_table_of_versions_is_what_is_allowed():
    """The ends of pyproject's ranges: a nox session is no use on versions that pip refuses."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    table = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf8"))
    named = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in table.body
        if isinstance(node, ast.Assign)
    }
    minors = [f"3.{minor}" for minor in range(8, 30)]
    pythons = SpecifierSet(project["requires-python"])
    assert named["PYTHONS"] == [own for own in minors if f"{own}.5" in pythons]
    (allowed,) = (
        own for own in map(Requirement, project["dependencies"]) if own.name == "transformers"
    )
    oldest, newest = (Requirement(own) for own in named["TRANSFORMERS"].values())
    bounds = {own.operator: own.version for own in allowed.specifier}
    assert str(oldest.specifier) == f"=={bounds['>=']}.*"
    assert str(newest.specifier) == f"<{bounds['<']}"
