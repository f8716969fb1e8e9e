"""Each publisher's layout, from invented files to the docs of the .spacy files."""

import hashlib
import io
import struct
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import DocBin
from spacy.vocab import Vocab

from multibert_spacy.errors import ConfigError, CorpusError
from scripts.corpora.conll import LARGEST
from scripts.corpora.docbin import to_doc, write_atomically, write_corpora
from scripts.corpora.publishers import ARMAN_ZIP as ARCHIVE
from scripts.corpora.publishers import read_arman, read_parsner_social, read_parstwiner
from scripts.corpora.sentence import Sentence
from scripts.domains import domains_of

DOMAINS = domains_of("parsner_social")
ARMAN_TYPES = {
    "pers": "PER",
    "org": "ORG",
    "loc": "LOC",
    "fac": "FAC",
    "pro": "PRO",
    "event": "EVE",
}


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_bytes(text.encode("utf-8"))
    return folder


def column(rows):
    return "".join(f"{row}\n" for row in rows)


ARMAN = {
    "train_fold2.txt": column(
        [f"كتاب{kind} B-{kind}\nنو I-{kind}\n. O\n" for kind in ARMAN_TYPES]
        + [f"جمله O\n{i} O\n" for i in range(14)]
    ),
    "test_fold2.txt": column(["علي B-pers", "می\u200cآید O", ". O"]),
}
TWEETS = {
    "train.txt": "سلام\tO\nساوه\tB-LOC\n\nجشن\tB-EVE\nگل\tI-EVE\n\nیزدی\tB-NAT\nحزب\tB-POG\n",
    "dev.txt": "دیو\tB-PER\nآمد\tO\n",
    "test.txt": "تیم\tB-ORG\nباخت\tO\n\nخوب\tO\n",
}


def channels():
    files = {}
    for domain in DOMAINS:
        posts = [f"{domain}{i}\tN\tB-PERS\nاست\t\tO\n\nپایان{i}\tN\tO\n" for i in range(1, 11)]
        files[f"{domain}.pos"] = "\n\n\n".join(posts)
    return files


def load(path):
    return list(DocBin().from_disk(path).get_docs(Vocab()))


def test_arman(tmp_path):
    corpus = read_arman(write(tmp_path, ARMAN), fold=2, seed=0)
    assert corpus.name == "arman"
    assert {split: len(part) for split, part in corpus.splits.items()} == {
        "train": 18,
        "dev": 2,
        "test": 1,
    }
    assert corpus.splits["test"] == [
        Sentence(("علي", "می\u200cآید", "."), ("B-PER", "O", "O"), "news", None)
    ]
    both = corpus.splits["train"] + corpus.splits["dev"]
    kinds = {s.words[0]: s.tags for s in both if s.tags[0] != "O"}
    assert kinds == {
        f"كتاب{kind}": (f"B-{name}", f"I-{name}", "O") for kind, name in ARMAN_TYPES.items()
    }
    assert corpus.inputs == {
        name: hashlib.sha256(text.encode()).hexdigest() for name, text in ARMAN.items()
    }


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("inside", ["", "Arman PersoNER/folds/"])
def test_arman_from_the_zip(tmp_path, direct, inside):
    folder = write(tmp_path / "loose", ARMAN)
    (tmp_path / "packed").mkdir()
    archive = tmp_path / "packed" / ARCHIVE
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in ARMAN.items():
            file.writestr(f"{inside}{name}", text)
            file.writestr(f"__MACOSX/{inside}{name}", "\x00")
    packed = read_arman(archive if direct else archive.parent, fold=2, seed=0)
    loose = read_arman(folder, fold=2, seed=0)
    assert packed.splits == loose.splits
    assert set(packed.inputs) == {ARCHIVE, *ARMAN}
    assert packed.inputs.items() > loose.inputs.items()
    assert [path.name for path in archive.parent.iterdir()] == [ARCHIVE]


def test_arman_errors(tmp_path):
    with pytest.raises(ConfigError, match=r"\(1, 2, 3\), got 4"):
        read_arman(tmp_path, fold=4, seed=0)
    with pytest.raises(CorpusError, match=r"train_fold1.txt, test_fold1.txt, Arman.*found none"):
        read_arman(tmp_path, fold=1, seed=0)
    write(tmp_path, {"train_fold1.txt": "الف O\n"})
    with pytest.raises(CorpusError, match=r"test_fold1\.txt.*found none"):
        read_arman(tmp_path, fold=1, seed=0)
    write(tmp_path, {"test_fold1.txt": "الف O\n\nب B-nat\n"})
    with pytest.raises(CorpusError, match=r"test_fold1\.txt, line 3: expected .* the tag 'B-nat'"):
        read_arman(tmp_path, fold=1, seed=0)


def zipped(method=zipfile.ZIP_DEFLATED):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as file:
        for name, text in ARMAN.items():
            file.writestr(name, text)
    return data.getvalue()


def test_a_small_zip_that_holds_much_is_not_unpacked(tmp_path):
    """6 MB held 6 GB, and took twice that."""
    archive = tmp_path / ARCHIVE
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        with file.open("train_fold2.txt", "w") as member:
            for _ in range(64):
                member.write(b"a O\n" * 2**18)
        file.writestr("test_fold2.txt", ARMAN["test_fold2.txt"])
    assert archive.stat().st_size < 2**20
    tracemalloc.start()
    with pytest.raises(CorpusError, match=r"train_fold2\.txt: expected .* 67,108,864"):
        read_arman(tmp_path, fold=2, seed=0)
    assert tracemalloc.get_traced_memory()[1] < LARGEST
    tracemalloc.stop()


def test_a_header_that_lies_about_the_size_unpacks_no_more(tmp_path):
    """The size in both headers is 100, of 4 MB: zipfile stops there, and the checksum is wrong."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("train_fold2.txt", b"a O\n" * 2**20)
        file.writestr("test_fold2.txt", ARMAN["test_fold2.txt"])
    lying = data.getvalue().replace(struct.pack("<I", 2**22), struct.pack("<I", 100))
    (tmp_path / ARCHIVE).write_bytes(lying)
    with pytest.raises(CorpusError, match="readable zip archive"):
        read_arman(tmp_path, fold=2, seed=0)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_packed_otherwise_is_refused(tmp_path, method):
    (tmp_path / ARCHIVE).write_bytes(zipped(method))
    with pytest.raises(CorpusError, match="stored or deflated, found the compression method"):
        read_arman(tmp_path, fold=2, seed=0)


@given(st.data())
def test_a_damaged_zip_is_an_error_or_the_same_corpus(data):
    whole = bytearray(zipped())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ARCHIVE).write_bytes(whole[: cut or None])
        try:
            corpus = read_arman(Path(folder), fold=2, seed=0)
        except CorpusError as err:
            assert len(str(err)) < 1000
        else:
            assert corpus.splits == read_arman_whole()


def read_arman_whole():
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ARCHIVE).write_bytes(zipped())
        return read_arman(Path(folder), fold=2, seed=0).splits


def test_arman_zip_errors(tmp_path):
    archive = tmp_path / ARCHIVE
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a/train_fold1.txt", "الف O\nب\n")
    with pytest.raises(CorpusError, match=r"'test_fold1.txt' inside, found 0.*has: train_fold1"):
        read_arman(tmp_path, fold=1, seed=0)
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("a/test_fold1.txt", "الف O\n")
    with pytest.raises(CorpusError, match=r"zip/a/train_fold1\.txt, line 2: expected 'token tag'"):
        read_arman(tmp_path, fold=1, seed=0)
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("b/test_fold1.txt", "الف O\n")
    with pytest.raises(CorpusError, match="'test_fold1.txt' inside, found 2"):
        read_arman(tmp_path, fold=1, seed=0)
    archive.write_bytes(b"no archive")
    with pytest.raises(CorpusError, match="expected a readable zip archive"):
        read_arman(tmp_path, fold=1, seed=0)


def test_parstwiner(tmp_path):
    corpus = read_parstwiner(write(tmp_path, TWEETS))
    assert corpus.splits == {
        "train": [
            Sentence(("سلام", "ساوه"), ("O", "B-LOC"), "tweet"),
            Sentence(("جشن", "گل"), ("B-EVE", "I-EVE"), "tweet"),
            Sentence(("یزدی", "حزب"), ("B-NAT", "B-POG"), "tweet"),
        ],
        "dev": [Sentence(("دیو", "آمد"), ("B-PER", "O"), "tweet")],
        "test": [
            Sentence(("تیم", "باخت"), ("B-ORG", "O"), "tweet"),
            Sentence(("خوب",), ("O",), "tweet"),
        ],
    }
    assert sorted(corpus.inputs) == ["dev.txt", "test.txt", "train.txt"]


def test_parstwiner_errors(tmp_path):
    write(tmp_path, {"train.txt": "الف\tO\n", "dev.txt": "الف O\n"})
    with pytest.raises(CorpusError, match=r"dev\.txt, line 1: expected 'token<TAB>tag'"):
        read_parstwiner(tmp_path)
    write(tmp_path, {"dev.txt": "الف\tO\n"})
    with pytest.raises(CorpusError, match=r"test\.txt"):
        read_parstwiner(tmp_path)


def test_parsner_social(tmp_path):
    corpus = read_parsner_social(write(tmp_path, channels()), seed=0)
    for domain in DOMAINS:
        posts = {}
        for split, part in corpus.splits.items():
            own = [s for s in part if s.domain == domain]
            posts[split] = {s.thread for s in own}
            numbers = [int(s.thread.removeprefix(f"{domain}/")) for s in own]
            assert numbers == sorted(numbers)
            assert [(s.words, s.tags) for s in own] == [
                case
                for n in sorted(set(numbers))
                for case in (
                    ((f"{domain}{n}", "است"), ("B-PER", "O")),
                    ((f"پایان{n}",), ("O",)),
                )
            ]
        assert {split: len(threads) for split, threads in posts.items()} == {
            "train": 8,
            "dev": 1,
            "test": 1,
        }
        assert set.union(*posts.values()) == {f"{domain}/{i}" for i in range(1, 11)}


def test_parsner_social_errors(tmp_path):
    files = channels()
    files["game.pos"] += "\nبد\tO\n"
    write(tmp_path, files)
    with pytest.raises(
        CorpusError, match=r"game\.pos, line \d+: expected 'token<TAB>POS<TAB>tag'"
    ):
        read_parsner_social(tmp_path, seed=0)
    (tmp_path / "game.pos").unlink()
    with pytest.raises(CorpusError, match=r"game\.pos.*found none"):
        read_parsner_social(tmp_path, seed=0)


def test_to_doc():
    words = ("علي", "\u200c", "New York", "،")
    doc = to_doc(Sentence(words, ("B-PER", "B-PER", "I-PER", "O"), "tweet"), Vocab())
    assert [token.text for token in doc] == list(words)
    assert doc.text == "علي \u200c New York ،"
    assert [(ent.start, ent.end, ent.label_) for ent in doc.ents] == [(0, 1, "PER"), (1, 3, "PER")]
    assert [doc.text[ent.start_char : ent.end_char] for ent in doc.ents] == [
        "علي",
        "\u200c New York",
    ]
    assert [token.ent_iob_ for token in doc] == ["B", "B", "I", "O"]
    assert doc._.domain == "tweet"
    assert doc._.thread is None


def test_docbin_round_trip(tmp_path):
    corpus = read_parsner_social(write(tmp_path / "in", channels()), seed=0)
    twitter = read_parstwiner(write(tmp_path / "in", TWEETS))
    paths = write_corpora([corpus, twitter], tmp_path / "out")
    assert (tmp_path / "out" / "train" / "tweet.spacy") in paths
    assert (tmp_path / "out" / "test" / "travel.spacy") in paths
    found = 0
    for path in paths:
        domain, split = path.stem, path.parent.name
        made = twitter if domain == "tweet" else corpus
        sentences = [s for s in made.splits[split] if s.domain == domain]
        docs = load(path)
        found += len(docs)
        assert [(doc._.domain, doc._.thread) for doc in docs] == [
            (s.domain, s.thread) for s in sentences
        ]
        assert [tuple(token.text for token in doc) for doc in docs] == [s.words for s in sentences]
        assert [
            tuple(t.ent_iob_ if t.ent_iob_ == "O" else f"{t.ent_iob_}-{t.ent_type_}" for t in doc)
            for doc in docs
        ] == [s.tags for s in sentences]
    assert found == sum(len(made.splits[s]) for made in (corpus, twitter) for s in made.splits)
    before = [path.read_bytes() for path in paths]
    write_corpora([corpus, twitter], tmp_path / "out")
    assert [path.read_bytes() for path in paths] == before


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "sub" / "a.spacy"
    write_atomically(path, b"old")

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.spacy"]
