"""ParsNER's encyclopaedia and newspapers."""

import zipfile

import pytest

from multibert_spacy.errors import CorpusError
from scripts.corpora.publishers import read_parsner_press, read_parsner_wiki

READERS = {"wiki": read_parsner_wiki, "press": read_parsner_press}


def rows(n, word):
    return "\n\n".join(f"{word}{i}\tN\tB-PERS\nآمد\tV\tO" for i in range(n)) + "\n"


@pytest.mark.parametrize("domain", READERS)
def test_the_publishers_test_part_and_a_tenth_of_train(tmp_path, domain):
    (tmp_path / "train.pos").write_text(rows(40, "الف"), "utf8")
    (tmp_path / "test.pos").write_text(rows(7, "ب"), "utf8")
    corpus = READERS[domain](tmp_path, fold=2, seed=1)
    assert {name: len(own) for name, own in corpus.splits.items()} == {
        "train": 36,
        "dev": 4,
        "test": 7,
    }
    for sentence in corpus.splits["test"]:
        assert (sentence.domain, sentence.thread) == (domain, None)
        assert sentence.tags == ("B-PER", "O")


@pytest.mark.parametrize(("domain", "published"), [("wiki", "wiki"), ("press", "news")])
def test_from_the_repositorys_zip_beside_the_channels(tmp_path, domain, published):
    (tmp_path / "parsner_social").mkdir()
    with zipfile.ZipFile(tmp_path / "parsner_social" / "ParsNER.zip", "w") as file:
        for other in ("wiki", "news"):
            n = 10 if other == published else 20
            file.writestr(f"ParsNER-x/persian/train/train_{other}.pos", rows(n, "الف"))
            file.writestr(f"ParsNER-x/persian/test/test_{other}.pos", rows(3, "ب"))
    corpus = READERS[domain](tmp_path / f"parsner_{domain}")
    assert len(corpus.splits["train"]) + len(corpus.splits["dev"]) == 10
    assert set(corpus.inputs) == {"train.pos", "test.pos"}


def test_a_missing_file_is_named(tmp_path):
    (tmp_path / "train.pos").write_text(rows(4, "الف"), "utf8")
    with pytest.raises(CorpusError, match=r"test\.pos"):
        read_parsner_wiki(tmp_path)
