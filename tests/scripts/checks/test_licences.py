"""The table of licences."""

from pathlib import Path

import pytest
import typer

from scripts.checks.licences import main, pinned, table

ROOT = Path(__file__).resolve().parents[3]


def test_every_pinned_package_has_a_row():
    main(ROOT / "constraints.txt", ROOT / "LICENCES.md", check=True)


def test_a_package_that_is_missing(tmp_path):
    (tmp_path / "constraints.txt").write_text("spacy==3\nnew==1; python_version < '3.12'\n")
    (tmp_path / "LICENCES.md").write_text("| spacy | 3 | MIT |")
    assert pinned(tmp_path / "constraints.txt") == ["new", "spacy"]
    with pytest.raises(typer.Exit):
        main(tmp_path / "constraints.txt", tmp_path / "LICENCES.md", check=True)


def test_rows():
    name, version, licence = table(["spacy"]).splitlines()[-1].strip("| ").split("|")
    assert (name.strip(), licence.strip()) == ("spacy", "MIT License")
    assert version.strip().startswith("3.")
