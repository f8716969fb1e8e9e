"""What is said about annotated texts before they are learnt."""

import pytest
import spacy
from spacy.tokens import Doc, DocBin
from spacy.training import Example

from multibert_spacy import CorpusError, DomainError
from multibert_spacy.domains import data
from multibert_spacy.domains.data import check_data, is_persian, read_examples


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """How many texts and names are few; here a handful is enough unless a test says otherwise."""
    usual = data.FEWEST_TEXTS, data.FEWEST_NAMES
    monkeypatch.setattr(data, "FEWEST_TEXTS", 0)
    monkeypatch.setattr(data, "FEWEST_NAMES", 0)
    return usual


@pytest.fixture
def words():
    return spacy.blank("fa")


def doc_of(nlp, text, *tags, domain=None):
    doc = Doc(nlp.vocab, words=text.split(), ents=list(tags) or ["O"] * len(text.split()))
    doc._.domain = domain
    return doc


def examples(nlp, *docs):
    return read_examples(docs, nlp.vocab, "legal", "train")


def found(findings):
    return {what: (n, where) for what, n, where in [*findings.errors, *findings.doubts]}


def test_a_label_that_the_head_lacks_is_an_error_that_says_what_to_do(words):
    train = examples(words, *[doc_of(words, "رای دیوان", "O", "B-COURT")] * 6)
    with pytest.raises(DomainError, match=r"'COURT' that the head lacks.*6.*--labels"):
        check_data(words, train, [], ["LOC"]).say()


def test_all_doubts_stand_in_one_table(words, caplog):
    good = doc_of(words, "رای دیوان", "O", "B-ORG")
    train = examples(words, good, doc_of(words, "the court of appeal"))
    dev = examples(words, good)
    findings = check_data(words, train, dev, ["ORG"])
    assert not findings.errors
    assert found(findings) == {
        "label 'ORG' with fewer than 5 examples": (1, "train"),
        "texts that are not Persian": (1, "train: the court of appeal"),
        "texts in train and in dev": (1, "dev: رای دیوان"),
    }
    findings.say()
    (record,) = caplog.records
    assert all(what in record.getMessage() for what in found(findings))


@pytest.mark.parametrize("n_train, n_dev, n", [(29, 19, 2), (30, 20, 0), (30, 0, 0)])
def test_far_too_few_are_said(words, monkeypatch, few, n_train, n_dev, n):
    monkeypatch.setattr(data, "FEWEST_TEXTS", few[0])
    monkeypatch.setattr(data, "FEWEST_NAMES", few[1])
    train, dev = (
        examples(words, *[doc_of(words, f"رای {i} دیوان", "O", "O", "B-ORG") for i in numbers])
        if numbers
        else []
        for numbers in (range(n_train), range(100, 100 + n_dev))
    )
    told = found(check_data(words, train, dev, ["ORG"]))
    assert told == dict(
        [
            ("fewer than 30 texts: too few to learn from", (29, "train")),
            ("fewer than 20 names: scores are noise", (19, "dev")),
        ][:n]
    )


def test_labels_without_an_example_are_a_doubt_of_a_new_head(words):
    train = examples(words, *[doc_of(words, "رای دیوان", "O", "B-ORG")] * 5)
    assert not found(check_data(words, train, [], ["ORG", "LOC"]))
    assert found(check_data(words, train, [], ["ORG", "LOC"], new=True)) == {
        "label 'LOC' with fewer than 5 examples": (0, "train")
    }


def test_nothing_is_said_where_nothing_is_wrong(words, caplog):
    train = examples(
        words, *[doc_of(words, f"رای {i} دیوان", "O", "O", "B-ORG") for i in range(5)]
    )
    check_data(words, train, [], ["ORG"]).say()
    assert not caplog.records


def test_texts_without_a_name_are_an_error(words):
    with pytest.raises(DomainError, match="no entity at all"):
        check_data(words, examples(words, doc_of(words, "رای داد")), [], ["ORG"]).say()


def test_a_name_that_ends_inside_a_word_is_shown_with_it(words):
    gold = Doc(words.vocab, words=["دیوان", "عالی"], spaces=[False, False], ents=["B-ORG", "O"])
    train = examples(words, *[gold] * 5)
    assert found(check_data(words, train, [], ["ORG"])) == {
        "names that end inside a word": (5, "train: دیوان in دیوانعالی")
    }


def test_a_name_that_spacy_has_left_out_is_shown(words):
    with pytest.warns(UserWarning, match="W030"):
        eg = Example.from_dict(
            words.make_doc("دیوانعالی رای داد"), {"entities": [(0, 5, "ORG"), (10, 13, "ORG")]}
        )
    train = read_examples([eg] * 5, words.vocab, "legal", "train")
    assert found(check_data(words, train, [], ["ORG"]))["names that end inside a word"] == (
        5,
        "train: دیوانعالی",
    )


@pytest.mark.parametrize(
    "text, persian",
    [
        ("دادگاه تبریز رای داد", True),
        ("۱۲ / ۳", True),
        ("iPhone ۱۵ را در تهران خریدم و راضی هستم", True),
        ("The court has decided", False),
        ("یہ عدالت کا فیصلہ ہے", False),
        ("قررت المحكمة العليا في الجلسة الأولى", False),
        ("مجمع تشخیص مصلحت نظام از الزامات المپیک گفت", True),
    ],
)
def test_what_may_be_persian(words, text, persian):
    assert is_persian(words.make_doc(text)) == persian


def test_texts_of_other_domains_are_left_out(words, caplog):
    docs = [doc_of(words, "رای داد", domain=name) for name in ("travel", None, "legal")]
    own = examples(words, *docs)
    assert [eg.reference._.domain for eg in own] == [None, "legal"]
    assert {eg.predicted._.domain for eg in own} == {"legal"}
    assert "left out 1 texts of other domains: travel" in caplog.text
    with pytest.raises(CorpusError, match=r"no text of 'legal', but travel \(1\)"):
        examples(words, docs[0])


def test_examples_of_another_vocabulary(words):
    other = spacy.blank("fa")
    (eg,) = examples(words, doc_of(other, "دیوان رای", "B-COURT", "O"))
    assert [ent.label_ for ent in eg.get_aligned_spans_y2x(eg.reference.ents)] == ["COURT"]
    assert eg.predicted.vocab is words.vocab


@pytest.mark.parametrize(
    "content, said",
    [
        (b"junk", "train.spacy is damaged or no .spacy file: expected what DocBin.to_disk"),
        (b'{"text": "x"}', "train.spacy is damaged or no .spacy file: expected"),
        (DocBin().to_bytes(), "train.spacy holds no doc: expected annotated docs"),
        (None, "train.spacy is missing: expected a .spacy file"),
    ],
)
def test_files_that_cannot_be_read(words, tmp_path, content, said):
    path = tmp_path / "train.spacy"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CorpusError, match=said):
        read_examples(path, words.vocab, "legal", "train")


def test_all_files_of_a_folder_are_read(words, tmp_path):
    for name in "ab":
        DocBin(docs=[doc_of(words, f"رای {name}")]).to_disk(tmp_path / f"{name}.spacy")
    own = read_examples(tmp_path, words.vocab, "legal", "train")
    assert sorted(eg.reference.text for eg in own) == ["رای a ", "رای b "]
