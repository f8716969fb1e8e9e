"""The page without a browser: what is drawn of which input."""

import csv
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from spacy.language import Language

import multibert_spacy
from multibert_spacy.cli.tagging import EXAMPLES, MOST_DRAWN, as_csv, parse_texts, tag_threads

PAGE = Path(multibert_spacy.__file__).parent / "cli" / "page.py"


def test_lines_are_texts_and_an_empty_line_begins_a_thread() -> None:
    texts = parse_texts("\n\nیک\n  دو \n\n \nسه\r\nچهار\n")
    assert [(text, own["thread"]) for text, own in texts] == [
        *(("یک", 1), ("دو", 1), ("سه", 2), ("چهار", 2)),
    ]
    assert parse_texts(" \n") == []


def test_threads_are_drawn_and_their_entities_listed(trained: Language) -> None:
    texts = parse_texts("تبریز هتل سفر\nدریا\n\nگل بازی تبریز")
    tagged = tag_threads(trained, texts, None)
    assert [own["domain"] for own in tagged["threads"]] == ["travel", "sports"]
    assert all(sum(own["cats"].values()) == pytest.approx(1) for own in tagged["threads"])
    assert [(row["entity"], row["label"], row["thread"]) for row in tagged["rows"]] == [
        *(("تبریز", "LOC", "1"), ("تبریز", "ORG", "2")),
    ]
    as_news = tag_threads(trained, texts, "news")
    assert [(own["domain"], own["score"]) for own in as_news["threads"]] == [("news", None)] * 2


def test_a_text_is_never_markup(trained: Language) -> None:
    tagged = tag_threads(trained, parse_texts("<script>alert(1)</script> تبریز"), "travel")
    assert "<script" not in tagged["threads"][0]["html"]
    assert "&lt;script" in tagged["threads"][0]["html"]


@pytest.mark.parametrize("text", ["😀", "\u200c.", "."], ids=["emoji", "zwnj", "dot"])
def test_a_text_of_no_word(trained: Language, text: str) -> None:
    tagged = tag_threads(trained, parse_texts(text), None)
    assert tagged["n_threads"] == 1 and tagged["rows"] == []


def test_of_very_many_threads_some_are_drawn(trained: Language) -> None:
    told: list[int] = []
    texts = [("تبریز هتل", {"thread": i, "domain": "travel"}) for i in range(MOST_DRAWN + 9)]
    tagged = tag_threads(trained, texts, None, told.append)
    assert (len(tagged["threads"]), tagged["n_threads"]) == (MOST_DRAWN, MOST_DRAWN + 9)
    assert len(tagged["rows"]) == MOST_DRAWN + 9
    assert told[-1] == MOST_DRAWN + 9


def test_the_table_as_csv() -> None:
    rows = [{"entity": "=1+1", "text": 'با "نقل"، و', "score": 0.5}]
    content = as_csv(rows).decode("utf-8-sig")
    assert list(csv.DictReader(io.StringIO(content))) == [
        {"entity": "'=1+1", "text": 'با "نقل"، و', "score": "0.5"}
    ]
    assert as_csv([]) == b"\xef\xbb\xbf"


@pytest.fixture
def page(trained_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    testing = pytest.importorskip("streamlit.testing.v1")
    pytest.importorskip("spacy_streamlit")
    monkeypatch.setattr(sys, "argv", ["page.py", str(trained_folder)])
    return testing.AppTest.from_file(str(PAGE), default_timeout=120).run()


def test_the_page_waits_for_texts_and_draws_an_example(page: Any) -> None:
    assert not page.exception
    assert [own.value for own in page.info] == ["Paste texts, or click an example."]
    page.button[0].click().run()
    assert not page.exception
    assert page.text_area[0].value == next(iter(EXAMPLES.values()))
    assert len(page.subheader) == 1


def test_importing_the_page_changes_no_environment_variable() -> None:
    pytest.importorskip("streamlit")
    pytest.importorskip("spacy_streamlit")
    code = "import os; before = dict(os.environ); import multibert_spacy.cli.page; "
    code += "assert dict(os.environ) == before, os.environ.get('MPLBACKEND')"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_two_domains_side_by_side(page: Any) -> None:
    page.text_area[0].set_value("تبریز هتل").run()
    page.multiselect[0].set_value(["sports", "travel"]).run()
    assert not page.exception
    assert [own.value for own in page.subheader] == ["1 · sports (given)", "1 · travel (given)"]
    labels = [set(own.value["label"]) for own in page.dataframe]
    assert labels == [{"ORG"}, {"LOC"}]
