"""Showing threads."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from spacy.language import Language
from spacy.util import registry

from multibert_spacy.cli.drawing import coloured, heading, read_threads, render
from multibert_spacy.cli.show import show, show_command
from multibert_spacy.colors import COLORS


def test_threads_are_texts_with_contexts(tmp_path: Path) -> None:
    path = tmp_path / "threads.jsonl"
    path.write_text('{"thread": "a", "text": "سلام"}\n\n{"text": "دنیا"}\n', encoding="utf8")
    assert list(read_threads(path)) == [("سلام", {"thread": "a"}), ("دنیا", {})]


@pytest.mark.parametrize("line", ["{", "[]", '{"thread": 1}', "3"])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "threads.jsonl"
    path.write_text('{"text": "سلام"}\n' + line + "\n", encoding="utf8")
    with pytest.raises(ValueError, match="line 2"):
        list(read_threads(path))


def test_show_writes_a_right_to_left_page(
    make_nlp: Callable[..., Language], tmp_path: Path
) -> None:
    nlp = make_nlp()
    head = nlp.get_pipe("multibert_ner").model.module.heads["social"]
    head.linear.bias.data[1] += 100.0  # every word is a LOC
    path = tmp_path / "threads.jsonl"
    rows = [
        {"thread": 1, "text": "تبریز هتل ایران", "domain": "travel"},
        {"thread": 2, "text": "", "domain": "travel"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf8")
    docs = show(nlp, read_threads(path), tmp_path / "out" / "page.html")
    assert [doc.text for doc in docs] == ["تبریز هتل ایران", ""]
    page = (tmp_path / "out" / "page.html").read_text(encoding="utf8")
    assert "direction: rtl" in page
    assert [ent.label_ for doc in docs for ent in doc.ents] == ["LOC"] * 3
    assert COLORS["LOC"] in page


def test_each_entity_and_label_is_isolated(make_nlp: Callable[..., Language]) -> None:
    """Or a number behind a name tears its mark in two; `test_show_browser` looks at it."""
    doc = make_nlp()("تبریز ۲ - ۱ سپاهان، خوب")
    doc.set_ents([doc.char_span(0, 5, label="ORG"), doc.char_span(12, 18, label="ORG")])
    page = render([doc])
    assert page.count("<mark") == 2
    assert page.count("unicode-bidi: isolate") == 4
    assert "</mark> ۲ - ۱ <mark" in page and "</mark>، خوب" in page  # no space is invented


def test_a_thread_has_one_heading(make_nlp: Callable[..., Language]) -> None:
    nlp = make_nlp()
    rows = [("تبریز", {"thread": "<b>1"}), ("هتل", {"thread": "<b>1"}), ("ایران", {"thread": 2})]
    docs = [doc for doc, _ in nlp.pipe(rows, as_tuples=True)]
    page = render(docs)
    assert page.count("<figure") == page.count("<h2") == 2
    assert page.count('class="entities"') == 3
    assert re.search(r"&lt;b&gt;1 · \w+ \([01]\.\d\d\)", page) and "<b>" not in page
    for doc in docs:
        assert f"{doc._.thread} · {doc._.domain} (" in heading(doc)


def test_a_given_domain_has_no_score(make_nlp: Callable[..., Language]) -> None:
    (doc,) = (doc for doc, _ in make_nlp().pipe([("گل", {"domain": "travel"})], as_tuples=True))
    assert heading(doc) == "travel (given)"


def test_a_file_without_a_text_is_an_error(
    make_nlp: Callable[..., Language], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_nlp().to_disk(tmp_path / "nlp")
    (tmp_path / "none.jsonl").write_text("\n\n", encoding="utf8")
    with pytest.raises(typer.Exit):
        show_command(str(tmp_path / "nlp"), tmp_path / "none.jsonl")
    assert "none.jsonl holds no text" in capsys.readouterr().err.replace("\n", "")


def test_an_empty_page() -> None:
    assert render([]).startswith("<!DOCTYPE html>")


def test_entities_carry_their_colour(make_nlp: Callable[..., Language]) -> None:
    doc = make_nlp()("تبریز هتل")
    doc.set_ents([doc.char_span(0, 5, label="LOC")])
    (span,) = coloured(doc).spans
    assert (span.start, span.end, span.style) == (0, 5, f"black on {COLORS['LOC']}")


def test_colours_are_registered_for_displacy() -> None:
    assert registry.displacy_colors.get("multibert_spacy") == COLORS
