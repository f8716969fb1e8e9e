"""`multibert suggest`: what it reads and writes, and what a mistake says."""

import json
from typing import Any

import pytest
from click.testing import Result
from conftest import toy_text
from spacy.cli._util import app
from typer.testing import CliRunner

import multibert_spacy.cli  # noqa: F401  (spaCy imports it through its entry point)

TEXTS = [toy_text("sports", seed=i) for i in range(12)]


def run(*args: Any) -> Result:
    return CliRunner().invoke(app, ["multibert", "suggest", *map(str, args)])


def rows_of(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines() if line.startswith("{")]


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.jsonl"
    lines = [json.dumps({"text": text, "domain": "sports"}) for text in TEXTS]
    path.write_text("\n".join(lines), encoding="utf8")
    return path


def test_it_prints(trained_folder, texts) -> None:
    done = run(trained_folder, texts, "-n", 3)
    assert done.exit_code == 0, done.output
    rows = rows_of(done.output)
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert all(list(row) == ["rank", "score", "domain", "text"] for row in rows)
    assert {row["domain"] for row in rows} == {"sports"}
    assert {row["text"] for row in rows} < set(TEXTS)


def test_it_writes_a_file(trained_folder, texts, tmp_path) -> None:
    out = tmp_path / "label.jsonl"
    done = run(trained_folder, texts, "-n", 2, "--domain", "news", "--output", out)
    assert done.exit_code == 0, done.output
    assert "2 texts in" in done.output
    rows = rows_of(out.read_text(encoding="utf8"))
    assert [row["domain"] for row in rows] == ["news", "news"]


def test_a_table_with_a_row_that_is_none(trained_folder, tmp_path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("post,domain\nگل سپاهان,sports\nبرد\nتبریز برد,travel\n", encoding="utf8")
    done = run(trained_folder, path, "--text", "post")
    assert done.exit_code == 0, done.output
    assert {row["domain"] for row in rows_of(done.output)} == {"sports", "travel"}
    said = " ".join(done.output.split())
    assert "1 rows were left out; the first, texts.csv, line 3: 1 fields" in said


@pytest.mark.parametrize(
    "args, said",
    [
        (["none.jsonl"], "none.jsonl has no file to read"),
        (["{texts}", "--domain", "law"], "Unknown domain 'law'"),
        (["{texts}", "-n", 0], "n must be a whole number of at least 1, got 0"),
        (["{texts}", "--text", "body"], "texts.jsonl, line 1: no 'body'"),
    ],
)
def test_a_mistake_is_one_line(trained_folder, texts, args, said) -> None:
    done = run(trained_folder, *(str(arg).format(texts=texts) for arg in args))
    assert done.exit_code == 1, done.output
    assert said in done.output
    assert len(done.output.strip().splitlines()) == 1
