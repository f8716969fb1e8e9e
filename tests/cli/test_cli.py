"""`python -m spacy multibert ...`: what each command does, and what a mistake says."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import spacy
from click.testing import Result
from conftest import toy_text, write_toy_corpus
from spacy.cli._util import app
from spacy.tokens import DocBin
from typer.testing import CliRunner

import multibert_spacy.cli  # noqa: F401  (spaCy imports it through its entry point)
from multibert_spacy.cli.group import console, printer
from multibert_spacy.cli.serve import streamlit_command
from tests.scale.texts import read_jsonl, toy_rows, write_jsonl


def run(*args: Any) -> Result:
    return CliRunner().invoke(app, ["multibert", *map(str, args)])


def test_every_command_has_help() -> None:
    found = run("--help").output
    for name in (
        *(
            "apply",
            "domains",
            "evaluate",
            "export",
            "graph",
            "import",
            "package",
            "remove",
            "rename",
        ),
        *("serve", "show"),
    ):
        assert f"\n  {name} " in found
        assert run(name, "--help").exit_code == 0


def test_domains(trained_folder: Path) -> None:
    domains = json.loads(run("domains", trained_folder, "--json").output)
    assert sorted(domains, key=lambda own: own["name"]) == [
        {"name": "news", "head": "formal", "labels": ["LOC", "ORG", "POG"], "detected": True},
        {"name": "sports", "head": "social", "labels": ["LOC", "ORG"], "detected": True},
        {"name": "travel", "head": "social", "labels": ["LOC", "ORG"], "detected": True},
    ]
    table = run("domains", trained_folder).output
    assert "formal" in table and "LOC ORG POG" in table


@pytest.mark.parametrize("mode", ["given", "detected", "both"])
def test_evaluate(trained_folder: Path, tmp_path: Path, mode: str) -> None:
    write_toy_corpus(tmp_path, ["test"])
    output = tmp_path / "scores" / "out.json"
    done = run(
        *("evaluate", trained_folder, tmp_path / "test"),
        *("--domains", mode, "--output", output),
    )
    assert done.exit_code == 0
    scores = json.loads(output.read_text("utf8"))
    assert list(scores) == (["given", "detected"] if mode == "both" else [mode])
    for name, own in scores.items():
        assert set(own["ents_per_domain"]) == {"travel", "sports", "news"}
        for domain, scores_of in own["ents_per_domain"].items():
            if name == "given":
                assert scores_of["f"] > 0.9
                assert scores_of["used"] == {domain: 8}
            else:  # the eight docs are one group, and of one domain
                assert list(scores_of["used"].values()) == [8]
        assert ("domain_acc" in own) == (name == "detected")
    assert "ents_f" in done.output and "POG" in done.output


def test_docs_without_a_domain_cannot_be_given_one(trained_folder: Path, tmp_path: Path) -> None:
    doc = spacy.blank("fa")("تبریز")
    DocBin(docs=[doc]).to_disk(tmp_path / "docs.spacy")
    done = run("evaluate", trained_folder, tmp_path / "docs.spacy", "--domains", "given")
    assert done.exit_code == 1
    assert "Doc 1 has no domain to give: take --domains detected" in done.output


def test_docs_without_a_domain_are_scored_detected(trained_folder: Path, tmp_path: Path) -> None:
    docs = [spacy.blank("fa")(toy_text("travel")) for _ in range(3)]
    DocBin(docs=docs).to_disk(tmp_path / "docs.spacy")
    output = tmp_path / "scores.json"
    done = run("evaluate", trained_folder, tmp_path / "docs.spacy", "--output", output)
    assert done.exit_code == 0, done.output
    assert "3 of 3 docs have no domain: only detected is scored" in done.output
    assert "detected   docs\n" in done.output and "travel        3\n" in done.output
    assert not {"\x1b", "domain_acc", "ents_macro_f"} & {*done.output, *done.output.split()}
    scores = json.loads(output.read_text("utf8"))
    assert list(scores) == ["detected"]
    assert scores["detected"]["domain_counts"] == {"travel": 3}


def test_apply(trained_folder: Path, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", [*toy_rows(8), {"text": 5}])
    out = tmp_path / "out"
    done = run("apply", trained_folder, path, out, "--format", "jsonl", "--part-size", 4)
    assert done.exit_code == 0
    assert "8 rows with" in done.output
    assert "1 of 9 texts have none" in done.output.replace("\n", " ")
    assert len(read_jsonl(out / "part-000000.jsonl")) == 4
    assert run("apply", trained_folder, path, out, "--format", "jsonl").exit_code == 1
    again = run(
        *("apply", trained_folder, path, out, "--format", "jsonl", "--part-size", 4, "--resume")
    )
    assert again.exit_code == 0


@pytest.mark.parametrize(
    "args, said",
    [
        (["domains", "nowhere"], "There is no pipeline 'nowhere'"),
        (["remove", "MODEL", "newss", "OUT"], "Did you mean 'news'?"),
        (["export", "MODEL", "sport", "OUT"], "Did you mean 'sports'?"),
        (["domains", "BLANK"], "no multibert_ner"),
        (["evaluate", "BLANK", "x.spacy"], "no multibert_ner"),
        (["show", "BLANK", "TEXTS"], "no multibert_ner"),
        (["apply", "BLANK", "TEXTS", "OUT"], "no multibert_ner"),
        (["show", "nowhere", "missing.jsonl"], "missing.jsonl"),
        (["show", "MODEL", "LATIN"], "can't decode byte 0xff"),
        (["evaluate", "MODEL", "missing.spacy"], "missing.spacy is missing"),
        (["evaluate", "MODEL", "x", "--domains", "all"], "given, detected or both"),
        (["apply", "MODEL", "missing", "OUT"], "missing has no file to read"),
        (["apply", "MODEL", "MODEL", "OUT", "--engine", "x"], "local, ray, spark"),
        (["serve", "nowhere"], "nowhere"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(value),
)
def test_a_mistake_is_one_line_and_exit_code_1(
    trained_folder: Path, tmp_path: Path, args: list[str], said: str
) -> None:
    pytest.importorskip("streamlit")
    (tmp_path / "latin.jsonl").write_bytes(b'{"text": "\xff"}')
    names = {"MODEL": str(trained_folder), "OUT": str(tmp_path / "out")}
    (tmp_path / "texts.jsonl").write_text('{"text": "x"}')
    spacy.blank("fa").to_disk(tmp_path / "blank")
    names |= {"BLANK": str(tmp_path / "blank"), "TEXTS": str(tmp_path / "texts.jsonl")}
    names["LATIN"] = str(tmp_path / "latin.jsonl")
    done = CliRunner().invoke(app, ["multibert", *(names.get(arg, arg) for arg in args)])
    assert done.exit_code == 1
    assert said in done.stderr and done.stderr.count("\n") == 1


class Terminal(io.StringIO):
    """Somebody looks at it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("no_color", ["", "1"])
@pytest.mark.parametrize("looked_at", [True, False])
def test_only_a_terminal_is_coloured_and_not_with_no_color(
    monkeypatch: pytest.MonkeyPatch, looked_at: bool, no_color: str
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    shown = Terminal() if looked_at else io.StringIO()
    monkeypatch.setattr("sys.stdout", shown)
    printer().good("done")
    console().print("[bold]table")
    lines = shown.getvalue().splitlines()
    assert ["\x1b" in line for line in lines] == [looked_at and not no_color] * 2


def test_a_pipeline_without_a_tagger(tmp_path: Path) -> None:
    spacy.blank("fa").to_disk(tmp_path / "nlp")
    done = run("domains", tmp_path / "nlp")
    assert done.exit_code == 1
    assert "no multibert_ner" in done.output


def test_the_page_is_for_this_machine_alone() -> None:
    command = streamlit_command("fa_multibert", 8123)
    assert command[-2:] == ["--", "fa_multibert"]
    pairs = dict(zip(command, command[1:], strict=False))
    assert pairs["--server.port"] == "8123"
    assert pairs["--server.address"] == "localhost"
    assert pairs["--browser.gatherUsageStats"] == "false"
