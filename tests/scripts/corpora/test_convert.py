"""The commands: files, report, messages; and the real corpora where they are."""

import json
import os
from pathlib import Path

import pytest
from spacy.tokens import DocBin
from spacy.vocab import Vocab
from typer.testing import CliRunner

from multibert_spacy.errors import CorpusError
from scripts.corpora import convert as module
from scripts.corpora.__main__ import app
from scripts.corpora.conll import INVISIBLE
from scripts.corpora.convert import convert
from scripts.corpora.splits import normal_form
from scripts.domains import CORPORA, domains_of

DATA = Path(
    os.environ.get("MULTIBERT_CORPORA", Path(__file__).resolve().parents[3] / ".." / "shared/data")
)
DOMAINS = domains_of("parsner_social")
OUTSIDE = "می‌گن‌دلار‌ارزون‌میشه"


@pytest.fixture(autouse=True)
def outside(tmp_path, monkeypatch):
    """A text that is held back and belongs to no corpus, spelt otherwise."""
    (tmp_path / "outside").mkdir()
    row = {"text": OUTSIDE.replace("\u200c", " ")}
    (tmp_path / "outside" / "dev.jsonl").write_text(json.dumps(row), encoding="utf8")
    monkeypatch.setattr(module, "OUTSIDE", tmp_path / "outside")


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    files = {
        "arman/train_fold1.txt": "".join(f"خبر O\nشماره O\n{i} B-loc\n\n" for i in range(18))
        + "تیم I-org\nباخت O\n\n"
        + "تيم O\nباخت O\n\n",
        "arman/test_fold1.txt": "وزیر O\nآمد O\n",
        "parstwiner/train.txt": "وزير\tO\nآمد\tO\n\nبله\tO\n\nبله\tO\n\n"
        + "نام\tB-PER\n\u200c\tI-PER\n",
        "parstwiner/dev.txt": "نه\tO\n",
        "parstwiner/test.txt": "تیم\tB-ORG\nباخت\tO\n",
    }
    for domain in DOMAINS:
        posts = [f"{domain}{i}\tN\tB-PERS\n\n@پا\tN\tO\n" for i in range(10)]
        files[f"parsner_social/{domain}.pos"] = "\n\n\n".join(posts)
    for domain in ("wiki", "press"):
        sentences = [f"{domain}{i}\tN\tB-PERS\n" for i in range(10)]
        files[f"parsner_{domain}/train.pos"] = "\n".join([*sentences, f"{OUTSIDE}\tN\tO\n"])
        files[f"parsner_{domain}/test.pos"] = f"{domain}\tN\tO\n"
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def files_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def load(folder, split, name):
    return list(DocBin().from_disk(folder / split / f"{name}.spacy").get_docs(Vocab()))


def spans_of(doc):
    return [(ent.start, ent.end, ent.label_) for ent in doc.ents]


def test_persian(source, tmp_path):
    out = tmp_path / "out"
    report = convert("persian", source, out, fold=1, seed=3)
    names = ["news", "tweet", *DOMAINS, "wiki", "press"]
    assert files_in(out) == sorted(
        ["report.json", *(f"{s}/{n}.spacy" for s in ("train", "dev", "test") for n in names)]
    )
    assert report == json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert (report["fold"], report["seed"]) == (1, 3)
    assert str(tmp_path) not in (out / "report.json").read_text(encoding="utf-8")
    assert sorted(report["inputs"]["arman"]) == ["test_fold1.txt", "train_fold1.txt"]

    # Each corpus lost the sentence that stands in another one's test part.
    assert [doc.text for doc in load(out, "train", "tweet")] == ["بله", "بله", "نام \u200c"]
    assert report["dropped"]["parstwiner"] == {
        "dev": {},
        "train": {"tweet": {"sentences": 1, "tokens": 2, "entities": 0}},
    }
    kept = [doc.text for split in ("train", "dev") for doc in load(out, split, "news")]
    assert len(kept) == 18
    assert not any("باخت" in text for text in kept)
    assert sum(c["news"]["sentences"] for c in report["dropped"]["arman"].values() if c) == 2

    # So did what stands outside.
    left = [d.text for part in ("train", "dev") for d in load(out, part, "wiki")]
    assert sorted(left) == [f"wiki{i}" for i in range(10)]

    # The footer of every post stays in test only; its post keeps the rest.
    assert report["dropped"]["parsner_social"]["train"]["game"]["sentences"] == 8
    assert report["dropped"]["parsner_social"]["dev"]["game"]["sentences"] == 1
    assert report["splits"]["train"]["game"] == {
        "sentences": 8,
        "posts": 8,
        "tokens": 8,
        "entities": {"PER": 8},
    }
    assert report["splits"]["test"]["game"]["sentences"] == 2
    assert report["splits"]["train"]["tweet"]["entities"] == {"PER": 1}
    assert report["duplicates_in_train"] == {"tweet": 1}
    assert report["repaired_tags"] == {"news": {"I at sentence start": 1}}
    assert report["odd_tokens"] == {"tweet": {INVISIBLE: 1}}


def test_one_at_a_time(source, tmp_path):
    arman = convert("arman", source / "arman", tmp_path / "a", fold=1, seed=3)
    tweets = convert("parstwiner", source / "parstwiner", tmp_path / "t")
    social = convert("parsner_social", source / "parsner_social", tmp_path / "s", seed=3)
    assert [r["seed"] for r in (arman, tweets, social)] == [3, 0, 3]
    # Compared with themselves only.
    assert tweets["splits"]["train"]["tweet"]["sentences"] == 4
    assert tweets["dropped"] == {"parstwiner": {"dev": {}, "train": {}}}
    assert social["dropped"]["parsner_social"]["train"]["travel"]["sentences"] == 8
    assert files_in(tmp_path / "t") == [
        "dev/tweet.spacy",
        "report.json",
        "test/tweet.spacy",
        "train/tweet.spacy",
    ]


@pytest.mark.parametrize(
    ("command", "folder", "options"),
    [
        ("arman", "arman", ["--fold", "1", "--seed", "5"]),
        ("parstwiner", "parstwiner", []),
        ("parsner_social", "parsner_social", ["--seed", "5"]),
        ("persian", ".", ["--fold", "1", "--seed", "5"]),
    ],
)
def test_commands(source, tmp_path, command, folder, options):
    out = tmp_path / "out"
    arguments = [command, "--source", str(source / folder), "--out", str(out), *options]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    for title in ("Written", "Dropped", "Noticed"):
        assert title in result.output
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["seed"] == (5 if options else 0)
    names = list(CORPORA) if command == "persian" else [command]
    assert report["corpora"] == names


def test_fold_is_an_argument(source, tmp_path):
    for part in ("train", "test"):
        path = source / "arman" / f"{part}_fold1.txt"
        path.rename(path.with_name(f"{part}_fold3.txt"))
    out = tmp_path / "out"
    arguments = ["arman", "--fold", "3", "--source", str(source / "arman"), "--out", str(out)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["fold"] == 3
    assert sorted(report["inputs"]["arman"]) == ["test_fold3.txt", "train_fold3.txt"]
    assert CliRunner().invoke(app, ["arman", "--fold", "4"]).exit_code == 2


def test_bad_input_writes_nothing(source, tmp_path):
    path = source / "parsner_social" / "travel.pos"
    path.write_text(path.read_text(encoding="utf-8") + "\nبد\n", encoding="utf-8")
    out = tmp_path / "out"
    with pytest.raises(CorpusError, match="travel.pos, line"):
        convert("persian", source, out)
    result = CliRunner().invoke(app, ["persian", "--source", str(source), "--out", str(out)])
    assert result.exit_code == 1
    assert "expected 'token<TAB>POS<TAB>tag', found 1 column: 'بد'" in result.output
    assert not out.exists()


def test_refit_puts_dev_to_train(source, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "refit"
    convert("persian", source, whole)
    done = CliRunner().invoke(app, ["refit", "--source", str(whole), "--out", str(out)])
    assert done.exit_code == 0, done.output
    for name in ["news", "tweet", *DOMAINS]:
        parts = {part: load(whole, part, name) for part in ("train", "dev", "test")}
        got = load(out, "train", name)
        expected = parts["train"] + parts["dev"]
        assert [doc.text for doc in got] == [doc.text for doc in expected]
        assert [spans_of(doc) for doc in got] == [spans_of(doc) for doc in expected]
        assert {doc._.domain for doc in got} == {name}
        for part in ("dev", "test"):
            own, other = (folder / part / f"{name}.spacy" for folder in (whole, out))
            assert own.read_bytes() == other.read_bytes()


def test_refit_of_something_else(source, tmp_path):
    whole = tmp_path / "whole"
    convert("persian", source, whole)
    (whole / "dev" / "news.spacy").unlink()
    done = CliRunner().invoke(app, ["refit", "--source", str(whole), "--out", str(tmp_path / "o")])
    assert done.exit_code == 1
    assert "a file per domain" in done.output
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the corpora are not here (set MULTIBERT_CORPORA)")
@pytest.mark.parametrize("fold", [1, 2, 3])
def test_real_corpora_do_not_leak(tmp_path, fold):
    report = convert("persian", DATA, tmp_path, fold=fold)
    forms, domains = {}, {}
    for split in ("train", "dev", "test"):
        names = ["news", "tweet", *DOMAINS, "wiki", "press"]
        docs = [doc for name in names for doc in load(tmp_path, split, name)]
        forms[split] = {normal_form(token.text for token in doc) for doc in docs}
        domains[split] = {doc._.domain for doc in docs}
        assert all((doc._.thread is None) == (doc._.domain not in DOMAINS) for doc in docs)
        # An independent, plainer comparison.
        forms[f"raw {split}"] = {doc.text for doc in docs}
    assert not forms["train"] & (forms["dev"] | forms["test"])
    assert not forms["dev"] & forms["test"]
    assert not forms["raw train"] & (forms["raw dev"] | forms["raw test"])
    assert all(found == set(names) for found in domains.values())
    assert report["splits"]["test"]["tweet"]["sentences"] == 303
    assert sum(report["splits"]["test"]["tweet"]["entities"].values()) == 660


def test_train_that_is_test_is_an_error(source, tmp_path):
    """It ended well, without a train file: all of it stands in test."""
    folder = source / "parstwiner"
    (folder / "train.txt").write_bytes((folder / "test.txt").read_bytes())
    args = ["--source", str(folder), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["parstwiner", *args])
    assert result.exit_code == 1
    assert "parstwiner has no sentence left in train for tweet" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("a", "b"), [("dev", "test"), ("train", "dev"), ("train", "test")])
def test_parts_that_are_the_same_are_an_error(source, tmp_path, a, b):
    folder = source / "parstwiner"
    (folder / f"{a}.txt").write_bytes((folder / f"{b}.txt").read_bytes())
    with pytest.raises(CorpusError, match=f"parstwiner has no sentence left in {a} for tweet"):
        convert("persian", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_channel_without_a_part_is_named(source, tmp_path):
    """Of ten channels one is too short for a dev and a test part; the others do not hide it."""
    (source / "parsner_social" / "fun.pos").write_text("یک\tN\tO\n", encoding="utf8")
    with pytest.raises(CorpusError, match="parsner_social has no sentence left in dev for fun:"):
        convert("parsner_social", source / "parsner_social", tmp_path / "out")


def test_refit_does_not_write_over_its_own_corpus(source, tmp_path):
    out = tmp_path / "out"
    convert("persian", source, out)
    before = {name: (out / name).read_bytes() for name in files_in(out)}
    result = CliRunner().invoke(app, ["refit", "--source", str(out), "--out", f"{out}/../out"])
    assert result.exit_code == 1 and "is the corpus itself" in result.output
    assert {name: (out / name).read_bytes() for name in files_in(out)} == before
