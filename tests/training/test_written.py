"""Texts that were written about the domains: how they are read and drawn, and what they are."""

import re
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest
import srsly
from spacy.lang.fa import Persian

from multibert_spacy import CorpusError
from multibert_spacy.text.threads import install_extensions
from multibert_spacy.training.written import draw_written, read_written
from scripts.build.fit_detector import WRITTEN
from scripts.domains import DOMAINS
from scripts.experiments.outside import OUTSIDE

install_extensions()
NLP = Persian()


@pytest.fixture
def folder(tmp_path):
    rows = [
        {"text": f"متن {i} {domain}", "domain": domain, "thread": f"{domain}-{i // 8}"}
        for domain in ("art", "news", None)
        for i in range(16)
    ]
    srsly.write_jsonl(tmp_path / "texts.jsonl", rows)
    return tmp_path


def test_texts_of_the_domains_and_of_none_are_read(folder):
    docs = read_written(folder, NLP, ["art"])
    assert Counter(doc._.domain for doc in docs) == {"art": 16, None: 16}
    assert docs[9]._.thread == "art-1"


def test_groups_are_of_one_domain_and_of_every_size(folder):
    groups = draw_written(read_written(folder, NLP, ["art", "news"]), seed=3)
    assert {len(own) for _, own in groups} == {1, 2, 4, 8}
    assert {name for name, _ in groups} == {"art", "news", None}
    assert all(doc._.domain == name for name, own in groups for doc in own)
    assert sum(len(own) == 1 for _, own in groups) == 48


def test_texts_of_none_stay_with_their_thread(folder):
    groups = draw_written(read_written(folder, NLP, []))
    assert all(len({doc._.thread for doc in own}) == 1 for _, own in groups)


def test_the_same_seed_draws_the_same(folder):
    docs = read_written(folder, NLP, ["art", "news"])
    drawn = [[[d.text for d in own] for _, own in draw_written(docs, seed=s)] for s in (1, 1, 2)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_a_folder_without_texts_and_a_line_without_a_thread(tmp_path):
    with pytest.raises(CorpusError, match="no .jsonl file"):
        read_written(tmp_path, NLP, [])
    srsly.write_jsonl(tmp_path / "bad.jsonl", [{"text": "متن", "domain": None}])
    with pytest.raises(CorpusError, match="thread"):
        read_written(tmp_path, NLP, [])


def runs(text, n=4):
    """All runs of n words."""
    words = re.findall(r"\w+", text.replace("\u200c", " "))
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def rows_of(path: Path):
    return list(chain.from_iterable(map(srsly.read_jsonl, sorted(path.rglob("*.jsonl")))))


def test_what_was_written_shares_no_four_words_with_what_it_is_judged_by():
    held = set().union(*(runs(row["text"]) for row in rows_of(OUTSIDE.parent)))
    assert len(held) > 1000
    assert [row["text"] for row in rows_of(WRITTEN) if runs(row["text"]) & held] == []


def test_each_domain_was_written_about_and_names_are_where_they_are_said_to_be():
    rows = rows_of(WRITTEN)
    counts = Counter(row["domain"] for row in rows)
    assert counts.keys() == {*DOMAINS, None}
    assert min(counts.values()) >= 90
    assert len({row["text"] for row in rows}) == len(rows)
    for row in rows:
        for start, end, _ in row["entities"]:
            assert row["text"][start:end].strip() == row["text"][start:end] != ""
