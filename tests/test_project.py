"""project.yml: what it names is there, and the corpora go where the converters look."""

import re
from pathlib import Path

import pytest
import srsly

from scripts.corpora.arman import ARCHIVE
from scripts.corpora.parsner_social import DOMAINS
from scripts.corpora.sentence import SPLITS

ROOT = Path(__file__).resolve().parents[1]
PROJECT = srsly.read_yaml(ROOT / "project.yml")
COMMANDS = {command["name"]: command for command in PROJECT["commands"]}
NOT_OF_THE_PAPER = {"detector", "assemble", "evaluate", "baseline", "ship", "walk"}
NOT_OF_THE_PAPER |= {"refit", "benchmark", "stream"}
"""What the shipped pipeline is trained with, our own corpus, and speed."""


def test_workflows_are_made_of_commands():
    for steps in PROJECT["workflows"].values():
        assert set(steps) <= COMMANDS.keys()
        assert len(steps) == len(set(steps))


def test_the_paper_is_all_experiments():
    others = {name for name in COMMANDS if name.startswith("package")} | NOT_OF_THE_PAPER
    assert set(PROJECT["workflows"]["paper"]) == COMMANDS.keys() - others


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_names_what_is_there(name):
    command = COMMANDS[name]
    for line in command["script"]:
        module = re.match(r"python -m (scripts[\w.]*)", line)
        if module:
            path = ROOT / module[1].replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
    for dep in command.get("deps", []):
        if dep.split("/")[0] in ("scripts", "configs", "multibert_spacy"):
            assert (ROOT / dep).exists(), dep


@pytest.mark.parametrize("name", COMMANDS)
def test_variables_are_defined(name):
    text = str(COMMANDS[name])
    assert set(re.findall(r"\$\{vars\.(\w+)\}", text)) <= PROJECT["vars"].keys()


def test_the_corpora_go_where_the_converters_look():
    wanted = {f"arman/{ARCHIVE}"}
    wanted |= {f"parstwiner/{part}.txt" for part in SPLITS}
    wanted |= {f"parsner_social/{domain}.pos" for domain in DOMAINS}
    found = {asset["dest"].removeprefix("assets/persian/") for asset in PROJECT["assets"]}
    assert found == wanted
    for asset in PROJECT["assets"]:
        assert Path(asset["url"]).name == Path(asset["dest"]).name
