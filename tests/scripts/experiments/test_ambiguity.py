"""Names with two types, with a toy pipeline whose domains do not agree on «تبریز» and «ایران»."""

import json

import pytest
from spacy.tokens import Doc, DocBin
from typer.testing import CliRunner

from multibert_spacy.errors import ConfigError
from scripts.experiments.ambiguity import SENTENCES, ambiguous_names, app, tag_sentences

TOY = (
    ("هتل تبریز سفر تبریز", "تبریز"),
    ("گل سپاهان بازی", "سپاهان"),
    ("لیگ ایران برد", "ایران"),
)
DOMAINS = ["news", "sports", "travel"]


def gold(vocab, text, domain):
    """`word/LABEL` is an entity of one word."""
    pairs = [word.partition("/") for word in text.split()]
    words, labels = [pair[0] for pair in pairs], [pair[2] for pair in pairs]
    doc = Doc(vocab, words=words, ents=[f"B-{label}" if label else "O" for label in labels])
    doc._.domain = domain
    return doc


def toy_part(vocab):
    """Three names have two types each; سپاهان has one."""
    return [
        gold(vocab, "هتل تبریز/LOC سفر", "travel"),
        gold(vocab, "دریا تبریز/LOC و سپاهان/ORG", "travel"),
        gold(vocab, "گل تبریز/ORG برد تبریز/LOC", "sports"),
        gold(vocab, "وزیر ایران/POG رای دولت/LOC", "news"),
        gold(vocab, "خبر ایران/LOC دولت/ORG رای", "news"),
    ]


def test_the_sentences_have_their_words(trained):
    assert len(SENTENCES) == len(set(SENTENCES)) == 26
    rows = tag_sentences(trained, ["news"])
    assert [row["word"] for row in rows] == [word for _, word in SENTENCES]


def test_each_sentence_under_each_domain(trained):
    rows = tag_sentences(trained, DOMAINS, TOY)
    assert [row["labels"] for row in rows] == [
        {"news": "LOC", "sports": "ORG", "travel": "LOC"},
        {"news": "ORG", "sports": "ORG", "travel": "ORG"},
        {"news": "POG", "sports": "ORG", "travel": "LOC"},
    ]
    assert rows[0]["text"] == TOY[0][0]
    with pytest.raises(ConfigError, match="is no word of"):
        tag_sentences(trained, DOMAINS, [("هتل تبریزی", "تبریز")])


def test_names_of_a_part(trained):
    report = ambiguous_names(trained, toy_part(trained.vocab))
    assert report["names"] == 3
    # Told the domain, the pipeline says LOC in travel and ORG in sports.
    assert report["per_domain"]["travel"] == {
        "mentions": 2, "dominant": 2, "right": 2, "other": 0, "missed": 0
    }  # fmt: skip
    assert report["per_domain"]["sports"]["other"] == 1
    assert report["per_domain"]["news"] == {
        "mentions": 4,
        "dominant": 2,
        "right": 1,
        "other": 1,
        "missed": 2,
    }
    assert report["all"] == {"mentions": 8, "dominant": 5, "right": 4, "other": 2, "missed": 2}


def test_a_name_is_a_whole_entity_in_normal_form(trained):
    words = ["علي", "کریمی", "گل", "علی", "كريمي", "گل", "علی", "گل"]
    tags = ["B-LOC", "I-LOC", "O", "B-ORG", "I-ORG", "O", "B-LOC", "O"]
    doc = Doc(trained.vocab, words=words, ents=tags)
    doc._.domain = "sports"
    report = ambiguous_names(trained, [doc])
    assert report["names"] == 1
    assert report["all"]["mentions"] == 2


def test_no_such_name(trained):
    report = ambiguous_names(trained, [gold(trained.vocab, "گل تبریز/ORG", "sports")])
    nothing = {"mentions": 0, "dominant": 0, "right": 0, "other": 0, "missed": 0}
    assert report == {"names": 0, "all": nothing, "per_domain": {}}


@pytest.fixture
def corpus(trained, tmp_path):
    (tmp_path / "toy" / "test").mkdir(parents=True)
    docs = toy_part(trained.vocab)
    doc_bin = DocBin(attrs=["ENT_IOB", "ENT_TYPE"], docs=docs, store_user_data=True)
    doc_bin.to_disk(tmp_path / "toy" / "test" / "toy.spacy")
    return tmp_path / "toy"


def run(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def test_command(trained_folder, corpus, tmp_path):
    path = tmp_path / "a.json"
    result = run(trained_folder, "--corpus", corpus, "--metrics", path)
    assert result.exit_code == 0, result.output
    for word in ("3 names with two or more types", "travel", "missed"):
        assert word in " ".join(result.output.split())
    text = path.read_text(encoding="utf8")
    assert str(tmp_path) not in text
    report = json.loads(text)
    assert report["model"]["source"] == "fa_toy"
    assert len(report["own"]["sentences"]) == 26
    assert report["own"]["sentences"][0]["labels"].keys() == {"news", "sports", "travel"}
    assert report["gold"]["names"] == 3
