"""What others build on: names, settings and their defaults, as they were agreed on.

A change that this test finds is a change of the public interface. If it is meant, note it in
CHANGELOG.md and write the list anew:

    python -m tests.reliability.test_interface
"""

import inspect
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.cli.init_config import fill_config
from spacy.tokens import Doc, Span

import multibert_spacy

GOLDEN = Path(__file__).with_name("interface.json")
ROOT = Path(__file__).resolve().parents[2]
NO_FUNCTIONS = ("spacy_displacy_colors",)


def plain(value: object) -> Any:
    """A default as JSON has it."""
    return json.loads(json.dumps(value, default=lambda own: getattr(own, "__name__", str(own))))


def settings_of(function: Any) -> dict[str, Any]:
    return {
        name: "(required)" if p.default is p.empty else plain(p.default)
        for name, p in inspect.signature(function).parameters.items()
    }


def entry_points() -> Iterator[EntryPoint]:
    """YIELDS (EntryPoint): Those of this checkout, whatever is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    for group, points in project["entry-points"].items():
        yield from (EntryPoint(name, value, group) for name, value in points.items())


def interface() -> dict[str, Any]:
    """RETURNS (dict): All that the package promises by name."""
    registered: dict[str, dict[str, Any]] = {}
    factories = {}
    for point in entry_points():
        if point.group == "spacy_factories":
            meta = spacy.blank("fa").get_factory_meta(point.name)
            factories[point.name] = {
                "settings": sorted(set(settings_of(point.load())) - {"nlp", "name"}),
                "defaults": plain(meta.default_config),
                "assigns": sorted(meta.assigns),
                "requires": sorted(meta.requires),
                "scores": plain(meta.default_score_weights),
            }
        elif point.group in NO_FUNCTIONS:
            registered.setdefault(point.group, {})[point.name] = plain(point.load())
        else:
            registered.setdefault(point.group, {})[point.name] = settings_of(point.load())
    return {
        "factories": factories,
        "registered": registered,
        "all": sorted(multibert_spacy.__all__),
        "components": {
            name: methods_of(getattr(multibert_spacy, name))
            for name in multibert_spacy.__all__
            if hasattr(getattr(multibert_spacy, name), "to_disk")
        },
        "attributes": [
            f"{owner}._.{name}"
            for owner, kind in (("doc", Doc), ("span", Span))
            for name in ("domain", "domain_score", "score", "thread")
            if kind.has_extension(name)
        ],
    }


def methods_of(component: type) -> dict[str, Any]:
    """RETURNS (dict): The public methods of a component that are ours, with their settings and
    defaults, and its properties.
    """
    found: dict[str, Any] = {}
    for kind in component.__mro__:
        if not kind.__module__.startswith("multibert_spacy"):
            continue
        for name, value in vars(kind).items():
            if name.startswith("_") and name not in ("__init__", "__call__"):
                continue
            if inspect.isfunction(value):
                own = settings_of(value)
                own.pop("self")
                found.setdefault(name, own)
            elif isinstance(value, property):
                found.setdefault(name, "property")
    return found


@pytest.mark.parametrize("part", ["factories", "registered", "all", "components", "attributes"])
def test_the_interface_is_the_one_agreed_on(part):
    assert interface()[part] == json.loads(GOLDEN.read_text(encoding="utf8"))[part]


def test_a_filled_config_is_full(tmp_path, trained_folder):
    """`spacy init fill-config` finds nothing to add to a config that was saved, and what it adds
    to a short one are the defaults.
    """
    saved = trained_folder / "config.cfg"
    before = spacy.util.load_config(saved)
    fill_config(tmp_path / "filled.cfg", saved)
    after = spacy.util.load_config(tmp_path / "filled.cfg")
    for name in ("transformer", "domain_detector", "multibert_ner"):
        assert after["components"][name] == before["components"][name]
    short = {"nlp": {"lang": "fa", "pipeline": ["multibert_ner"]}}
    config = spacy.util.Config(
        short | {"components": {"multibert_ner": {"factory": "multibert_ner"}}}
    )
    config.to_disk(tmp_path / "short.cfg")
    fill_config(tmp_path / "long.cfg", tmp_path / "short.cfg")
    filled = spacy.util.load_config(tmp_path / "long.cfg")["components"]["multibert_ner"]
    expected = json.loads(GOLDEN.read_text(encoding="utf8"))["factories"]["multibert_ner"]
    for key, value in expected["defaults"].items():
        if not isinstance(value, dict):
            assert filled[key] == value
    assert set(filled) == {"factory", *expected["defaults"]}


@pytest.mark.slow
def test_the_wheel_without_the_source(tmp_path):
    """Built, unpacked elsewhere, and tested by the suite's own contract and text tests."""
    shutil.copytree(ROOT / "multibert_spacy", tmp_path / "src" / "multibert_spacy")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / "src" / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "-w", str(tmp_path), str(tmp_path / "src")], check=True)
    shutil.rmtree(tmp_path / "src")
    (wheel,) = tmp_path.glob("multibert_spacy-*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "site")
        names = file.namelist()
    assert "multibert_spacy/py.typed" in names
    assert not [name for name in names if name.startswith(("tests", "scripts", "configs"))]
    for name in ("tests", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow\n")
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider"]
    tests = ["tests/pipeline/test_contract.py", "tests/text"]
    where = "import multibert_spacy; assert multibert_spacy.__file__.startswith({!r})"
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{tmp_path}"}
    place = [sys.executable, "-c", where.format(str(tmp_path / "site"))]
    subprocess.run(place, cwd=tmp_path, env=environment, check=True)
    run = subprocess.run(
        [*command, *tests], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout[-3000:]


if __name__ == "__main__":
    text = json.dumps(interface(), ensure_ascii=False, indent=1, sort_keys=True)
    GOLDEN.write_text(text + "\n", encoding="utf8")
