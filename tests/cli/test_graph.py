"""Graphs made before they are needed."""

import pytest
import spacy
from conftest import LORA
from spacy.cli._util import app
from typer.testing import CliRunner

pytest.importorskip("openvino")
pytest.importorskip("nncf")

import multibert_spacy.cli  # noqa: F401  (spaCy imports it through its entry point)
from multibert_spacy.engines import openvino_graph

OPENVINO = {"engine": "openvino", "precision": "int8"}


def test_graphs_are_made_ahead(make_nlp, tmp_path, monkeypatch):
    make_nlp(adapter=LORA).to_disk(tmp_path)
    done = CliRunner().invoke(app, ["multibert", "graph", str(tmp_path)])
    assert done.exit_code == 0, done.output
    for name in ("domain_detector", "multibert_ner"):
        assert (tmp_path / name / "graph" / "int8" / "graph.json").is_file()
    monkeypatch.setattr(openvino_graph, "make_graph", None)
    nlp = spacy.load(tmp_path, config={"components": {"transformer": OPENVINO}})
    assert nlp("هتل خبر تبریز")._.domain


def test_a_pipeline_without_adapters(tmp_path):
    spacy.blank("fa").to_disk(tmp_path)
    done = CliRunner().invoke(app, ["multibert", "graph", str(tmp_path)])
    assert done.exit_code == 1
