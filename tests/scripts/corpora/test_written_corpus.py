"""A corpus with texts that were written for it in front."""

import pytest
import srsly
from spacy.tokens import Doc

from multibert_spacy.training.corpus import read_docs
from scripts.corpora.docbin import make_vocab, write_docs, write_written

ART, NEWS = "#مریم در تالار وحدت", "مریم در تهران‌گرد"


@pytest.fixture
def source(tmp_path):
    vocab = make_vocab()
    for part in ("train", "dev", "test"):
        for domain in ("art", "news"):
            doc = Doc(vocab, words=["گل"], spaces=[False], ents=["O"])
            doc._.domain = domain
            write_docs(tmp_path / "corpus" / part / f"{domain}.spacy", [doc])
    rows = {
        "art": {"text": ART, "entities": [[1, 5, "PER"], [9, 19, "LOC"]]},
        "news": {"text": NEWS, "entities": [[0, 4, "PER"], [8, 10, "LOC"]]},
    }
    (tmp_path / "written").mkdir()
    for domain, row in rows.items():
        row |= {"domain": domain, "thread": f"{domain}-1", "style": "plain"}
        srsly.write_jsonl(tmp_path / "written" / f"{domain}.jsonl", [row])
    return tmp_path


def test_what_was_written_stands_in_front_with_its_names(source):
    out = source / "out"
    paths = write_written(source / "corpus", source / "written", out, times=2)
    assert [path.name for path in paths] == ["art.spacy", "news.spacy"]
    docs = read_docs(out / "train" / "art.spacy", make_vocab())
    assert [doc.text for doc in docs] == [ART, ART, "گل"]
    assert [(e.text, e.label_) for e in docs[0].ents] == [("#مریم", "PER"), ("تالار وحدت", "LOC")]
    assert docs[0]._.thread == "art-1"
    assert len(read_docs(out / "dev", make_vocab())) == 2


def test_texts_in_folders_below_stand_there_as_well(source):
    row = {"text": "باران", "entities": [], "domain": "art", "thread": "art-2", "style": "plain"}
    (source / "written" / "more").mkdir()
    srsly.write_jsonl(source / "written" / "more" / "art.jsonl", [row])
    write_written(source / "corpus", source / "written", source / "out", times=1)
    docs = read_docs(source / "out" / "train" / "art.spacy", make_vocab())
    assert sorted(doc.text for doc in docs) == sorted([ART, "باران", "گل"])
    docs = read_docs(source / "out" / "train" / "news.spacy", make_vocab())
    assert [doc.text for doc in docs] == ["گل"]


def test_a_name_that_is_no_whole_words_costs_its_text(source):
    write_written(source / "corpus", source / "written", source / "out")
    docs = read_docs(source / "out" / "train" / "news.spacy", make_vocab())
    assert [doc.text for doc in docs] == ["گل"]
