"""Scores on texts of no corpus."""

import json

import pytest
import spacy
from spacy.tokens import Doc
from spacy.vocab import Vocab
from typer.testing import CliRunner

from multibert_spacy.errors import CorpusError
from scripts.domains import DOMAINS
from scripts.experiments.outside import (
    LABELS,
    OUTSIDE,
    app,
    on_common_words,
    outside_examples,
    read_outside,
    score_outside,
)

ROWS = [
    {"domain": "news", "thread": "n1", "style": "plain", "text": "علی به #تبریز رفت .",
     "entities": [[0, 3, "PER"], [8, 13, "LOC"]]},
    {"domain": "news", "thread": "n1", "style": "plain", "text": "جام جهانی",
     "entities": [[0, 9, "EVE"]]},
    {"domain": "travel", "thread": "t1", "style": "mixed", "text": "شرکت ساوه",
     "entities": [[5, 9, "LOC"]]},
]  # fmt: skip
FOUND = {
    ROWS[0]["text"]: [(0, 3, "PER"), (7, 13, "LOC")],
    ROWS[1]["text"]: [(0, 9, "EVE")],
    ROWS[2]["text"]: [(5, 9, "LOC")],
}


@pytest.fixture
def nlp():
    nlp = spacy.blank("fa")
    nlp.tokenizer = spacy.registry.tokenizers.get("multibert_spacy.PersianTokenizer.v1")()(nlp)

    @spacy.Language.component("answers")
    def answers(doc):
        doc.ents = [doc.char_span(a, b, label=label) for a, b, label in FOUND[doc.text]]
        return doc

    nlp.add_pipe("answers")
    return nlp


def test_spans_are_compared_by_character(nlp):
    """A hashtag's sign, which the tokenizer leaves on its word, is no part of the gold name."""
    first, second, third = outside_examples(nlp, ROWS, given=True)
    assert [(e.text, e.label_) for e in first.reference.ents] == [("علی", "PER"), ("تبریز", "LOC")]
    assert [(e.text, e.label_) for e in first.predicted.ents] == [
        ("علی", "PER"),
        ("#تبریز", "LOC"),
    ]
    assert not second.reference.ents and not second.predicted.ents  # EVE is not of all heads
    assert first.reference._.domain == "news"
    assert [e.text for e in third.reference.ents] == ["ساوه"]


def test_the_finest_common_words():
    doc = Doc(Vocab(), words=["در", "تهران", "(ایران)"], spaces=[True, True, False])
    eg = on_common_words(doc, [(3, 8, "LOC"), (9, 16, "ORG")], [(3, 8, "LOC"), (10, 15, "ORG")])
    assert [w.text for w in eg.predicted] == ["در", " ", "تهران", " ", "(", "ایران", ")"]
    assert [w.text for w in eg.reference] == [w.text for w in eg.predicted]
    assert [(e.text, e.label_) for e in eg.reference.ents] == [("تهران", "LOC"), ("ایران", "ORG")]
    assert [(e.text, e.label_) for e in eg.predicted.ents] == [
        ("تهران", "LOC"),
        ("(ایران)", "ORG"),
    ]


def test_signs_on_a_name_are_no_part_of_it():
    doc = Doc(Vocab(), words=["🔹رضا", "♥️", "سپاهان👇", "😀"])
    gold = [(0, 4, "PER"), (8, 15, "ORG"), (16, 17, "MISC")]
    assert doc.text[0:4] == "🔹رضا" and doc.text[16:17] == "😀"
    eg = on_common_words(doc, [(1, 4, "PER"), (8, 14, "ORG")], gold)
    assert [e.text for e in eg.reference.ents] == ["رضا", "سپاهان", "😀"]
    assert [e.text for e in eg.predicted.ents] == ["رضا", "سپاهان"]


def test_scores(nlp):
    report = score_outside(nlp, ROWS)
    assert "detected" not in report
    given = report["given"]
    assert given["micro"]["f"] == pytest.approx(2 / 3)  # 2 right, 1 wrong, 1 missed
    assert given["per_type"]["PER"]["f"] == 1.0
    assert {style: own["n_docs"] for style, own in given["per_style"].items()} == {
        "plain": 2,
        "mixed": 1,
    }
    assert report["errors"] == [
        {"domain": "news", "style": "plain", "text": ROWS[0]["text"],
         "missed": [["تبریز", "LOC"]], "wrong": [["#تبریز", "LOC"]]},
    ]  # fmt: skip
    assert report["doc_counts"]["given"] == {"news": [[1, 1, 1], [0, 0, 0]], "travel": [[1, 0, 0]]}


def test_threads_are_detected_whole(trained):
    rows = [
        {"domain": domain, "thread": thread, "style": "plain", "text": "سلام", "entities": []}
        for thread, domain in (("a", "news"), ("b", "sports"))
        for _ in range(3)
    ]
    report = score_outside(trained, rows)
    assert report["threads"] == 2
    assert report["right_threads"] in (0, 1, 2)
    assert report["given"]["micro"]["n_docs"] == report["detected"]["micro"]["n_docs"] == 6


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(CorpusError, match="expected the outside set here"):
        read_outside(tmp_path / "none.jsonl")
    path = tmp_path / "rows.jsonl"
    path.write_text('{"domain": "news", "text": "سلام", "style": "plain", "thread": "a"}\n')
    with pytest.raises(CorpusError, match=r"rows\.jsonl.*1.*entities"):
        read_outside(path)


def test_our_own_set():
    rows = read_outside(OUTSIDE)
    assert len(rows) == 288
    assert {row["domain"] for row in rows} <= set(DOMAINS)
    assert all(0 <= a < b <= len(row["text"]) for row in rows for a, b, _ in row["entities"])
    assert sum(label in LABELS for row in rows for _, _, label in row["entities"]) == 552


def test_rows_of_a_table(trained_folder, tmp_path):
    target = tmp_path / "outside.json"
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    for name in ("first", "second", "first"):
        args = [str(trained_folder), "--row", name, "--what", f"the {name}"]
        result = CliRunner().invoke(app, [*args, "--data", str(data), "--metrics", str(target)])
        assert result.exit_code == 0, result.output
    rows = json.loads(target.read_text())["rows"]
    assert list(rows) == ["first", "second"]
    assert rows["second"]["what"] == "the second"
    assert rows["first"]["given"]["micro"]["n_entities"] == 3
