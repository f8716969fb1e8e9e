"""The sample corpus keeps its promises."""

import json
import re
from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from random import Random

import pytest
import spacy
from spacy.tokens import Doc, DocBin
from spacy.training import iob_to_biluo
from typer.testing import CliRunner

from multibert_spacy.text.tokenizer import build_persian_tokenizer_v1
from multibert_spacy.text.words import read_hashtags
from scripts.corpora import __main__ as script
from scripts.corpora import sample
from scripts.corpora.docbin import make_vocab
from scripts.corpora.sampling.gazetteers import build_gazetteer
from scripts.corpora.sampling.generate import THREAD_SIZES, make_texts
from scripts.corpora.sampling.render import Text, text_to_doc
from scripts.corpora.sampling.tables import AMBIGUOUS, SIZES, TEMPLATES, label_of
from scripts.domains import DOMAINS, HEADS, LABELS
from tests.scripts.corpora.oracle import ambiguous_share, score_oracle

PLAIN = str.maketrans("يك٠١٢٣٤٥٦٧٨٩0123456789", "یک۰۱۲۳۴۵۶۷۸۹۰۱۲۳۴۵۶۷۸۹", "#_\u200c ")

Corpus = dict[str, list[Text]]


def train_docs(seed: int, *, scale: float) -> list[Doc]:
    vocab = make_vocab()
    return [text_to_doc(text, vocab) for text in make_texts(seed, scale=scale)["train"]]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make_texts(0)


def all_texts(corpus: Corpus) -> list[Text]:
    return [text for texts in corpus.values() for text in texts]


# The corpus


def test_sizes(corpus: Corpus) -> None:
    counts = {part: Counter(t.domain for t in texts) for part, texts in corpus.items()}
    assert counts["train"] == SIZES
    assert 2000 <= counts["train"].total() <= 2150
    assert min(SIZES.values()) >= 80
    assert 2.5 <= max(SIZES.values()) / min(SIZES.values()) <= 3.5
    assert 360 <= counts["dev"].total() <= 430
    assert 740 <= counts["test"].total() <= 830
    texts = all_texts(corpus)
    assert 11.5 <= sum(len(text.tokens) for text in texts) / len(texts) <= 14


def test_every_domain_and_type_in_every_part(corpus: Corpus) -> None:
    for texts in corpus.values():
        assert {text.domain for text in texts} == set(DOMAINS)
        for head, domains in HEADS.items():
            found = {f.label for t in texts if t.domain in domains for f in t.fillers}
            assert found - {"O"} == set(LABELS[head])


def test_threads_are_neighbours_of_one_domain_and_legal_size(corpus: Corpus) -> None:
    seen = set()
    for texts in corpus.values():
        for thread, run in groupby(texts, lambda text: text.thread):
            members = list(run)
            assert thread not in seen
            seen.add(thread)
            assert THREAD_SIZES[0] <= len(members) <= THREAD_SIZES[1]
            assert {text.domain for text in members} == {thread.split("/")[0]}
            # What makes the domain clear.
            assert sum(text.kind == "own" for text in members) >= round(len(members) / 3)


def test_no_sentence_with_its_names_in_two_parts(corpus: Corpus) -> None:
    parts = {
        part: {(t.template, tuple(f.surface for f in t.fillers)) for t in texts}
        for part, texts in corpus.items()
    }
    assert not parts["train"] & parts["dev"]
    assert not parts["train"] & parts["test"]
    assert not parts["dev"] & parts["test"]
    raw = {
        part: {tuple(token.text for token in text.tokens) for text in texts}
        for part, texts in corpus.items()
    }
    assert not raw["train"] & (raw["dev"] | raw["test"])


def test_names_are_held_back_from_train(corpus: Corpus) -> None:
    gazetteer = build_gazetteer(0)
    held = {(name, form) for name, forms in gazetteer.held.items() for form in forms}
    used = {
        part: {(f.word_class, f.surface) for t in texts for f in t.fillers}
        for part, texts in corpus.items()
    }
    assert not held & used["train"]
    assert len(held & used["test"]) > 60
    for name, forms in gazetteer.held.items():
        share = len(forms) / len(gazetteer.known[name] + gazetteer.held[name])
        assert share == 0 if name in AMBIGUOUS else 0.2 <= share <= 0.3


def test_labels_follow_from_class_and_domain(corpus: Corpus) -> None:
    for text in all_texts(corpus):
        for filler in text.fillers:
            assert filler.label == label_of(filler.word_class, text.domain)


def test_entities_are_the_fillers_modulo_noise(corpus: Corpus) -> None:
    vocab = make_vocab()
    for text in all_texts(corpus):
        assert "-" not in iob_to_biluo([token.tag for token in text.tokens])
        wanted = [(f.label, f.surface.translate(PLAIN)) for f in text.fillers if f.label != "O"]
        doc = text_to_doc(text, vocab)
        assert [(ent.label_, ent.text.translate(PLAIN)) for ent in doc.ents] == wanted


def test_tokens_are_those_of_the_package_tokenizer(corpus: Corpus) -> None:
    """But that hashtags are in one with their signs, as ParsNER-social has them."""
    vocab = make_vocab()
    tokenizer = build_persian_tokenizer_v1()(spacy.blank("fa", vocab=vocab))
    for text in all_texts(corpus):
        doc = text_to_doc(text, vocab)
        found = [word for word in read_hashtags(tokenizer(doc.text), signs=True) if word]
        assert found == [token.text for token in doc]


def test_docs_are_natural_text_with_explicit_bio(corpus: Corpus) -> None:
    vocab = make_vocab()
    for text in corpus["dev"]:
        doc = text_to_doc(text, vocab)
        assert doc._.domain == text.domain
        assert doc._.thread == text.thread
        assert doc.has_annotation("ENT_IOB")
        assert all(token.ent_iob for token in doc)
        assert doc.text == doc.text.strip()
        assert not re.search(r" [.،:!؟]", doc.text)
        assert "  " not in doc.text


def test_one_sentence_two_labels_in_two_domains(corpus: Corpus) -> None:
    for part, texts in corpus.items():
        for head, domains in HEADS.items():
            labels: dict[tuple[str, ...], dict[str, set[str]]] = {}
            for text in texts:
                if text.kind == "shared" and text.domain in domains:
                    key = (text.template, *(f.surface for f in text.fillers))
                    label = text.fillers[0].label
                    labels.setdefault(key, {}).setdefault(label, set()).add(text.domain)
            several = [by_label for by_label in labels.values() if len(by_label) > 1]
            assert len(several) > len(labels) / 3, (part, head)
            assert all(a.isdisjoint(b) for x in several for a, b in [list(x.values())[:2]])


@pytest.mark.parametrize("seed", [0, 1])
def test_a_tagger_without_domain_loses(seed: int, corpus: Corpus) -> None:
    texts = (corpus if seed == 0 else make_texts(seed))["test"]
    for domains in (DOMAINS, *HEADS.values()):
        own = [text for text in texts if text.domain in domains]
        assert 0.38 <= ambiguous_share(own) <= 0.52
        hindsight, prior = score_oracle(own), score_oracle(own, counts_by="prior")
        assert prior["f"] - 0.005 <= hindsight["f"] < 0.87
        assert prior["f"] > 0.7


def test_domains_are_clear_in_threads_and_not_in_single_texts(corpus: Corpus) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import RidgeClassifier

    def read(texts: list[Text]) -> list[str]:
        return ["".join(t.text + " " * t.space for t in text.tokens) for text in texts]

    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), min_df=3)
    train = vectorizer.fit_transform(read(corpus["train"]))
    model = RidgeClassifier(solver="sparse_cg", tol=1e-2)
    model.fit(train, [text.domain for text in corpus["train"]])
    scores: dict[int, list[bool]] = {1: [], 8: []}
    rng = Random(0)
    for n, right in scores.items():
        for domain in DOMAINS:
            raw = read([text for text in corpus["test"] if text.domain == domain])
            groups = [" ".join(rng.sample(raw, n)) for _ in range(40)]
            found = model.predict(vectorizer.transform(groups))
            right += [name == domain for name in found]
    assert 0.4 <= sum(scores[1]) / len(scores[1]) <= 0.8
    assert sum(scores[8]) / len(scores[8]) >= 0.95


def test_other_scales() -> None:
    small = make_texts(0, scale=0.1)
    assert {t.domain for t in small["dev"]} == set(DOMAINS)
    assert 150 <= len(small["train"]) <= 230
    with pytest.raises(ValueError, match="scale must be above 0, got 0"):
        make_texts(0, scale=0)


def test_too_few_shared_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    formal = replace(TEMPLATES["formal"], shared={"باز هم {x} !": ["feast"]})
    monkeypatch.setitem(TEMPLATES, "formal", formal)
    with pytest.raises(ValueError, match="formal head has only .* Choose a smaller scale"):
        make_texts(0)


# Files


def test_files_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        sample.write_sample(tmp_path / name, seed=seed, scale=0.1)
    paths = ["train/sample.spacy", "dev/sample.spacy", "test/sample.spacy", "report.json"]
    for path in paths:
        a, b, c = ((tmp_path / name / path).read_bytes() for name in "abc")
        assert a == b != c
    assert sorted(p.name for p in (tmp_path / "a").rglob("*.*")) == sorted(
        Path(path).name for path in paths
    )
    docs = list(DocBin().from_disk(tmp_path / "a" / paths[0]).get_docs(make_vocab()))
    wanted = train_docs(0, scale=0.1)
    assert [doc.text for doc in docs] == [doc.text for doc in wanted]
    assert [doc._.thread for doc in docs] == [doc._.thread for doc in wanted]
    assert [doc._.domain for doc in docs] == [doc._.domain for doc in wanted]
    assert [str(doc.ents) for doc in docs] == [str(doc.ents) for doc in wanted]
    assert all(token.ent_iob for doc in docs for token in doc)


def test_main_writes_and_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = partial(sample.write_sample, scale=0.05)
    monkeypatch.setattr(script, "write_sample", small)
    args = ["sample", "--out", str(tmp_path), "--seed", "3"]
    result = CliRunner().invoke(script.app, args)
    assert result.exit_code == 0, result.output
    assert "seed 3" in result.output
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf8"))
    assert report["seed"] == 3
    assert set(report["splits"]) == {"train", "dev", "test"}
    counts = report["splits"]["train"]["travel"]
    docs = [d for d in train_docs(3, scale=0.05) if d._.domain == "travel"]
    assert counts["texts"] == len(docs)
    assert counts["tokens"] == sum(map(len, docs))
    assert counts["threads"] == len({d._.thread for d in docs})
    assert counts["entities"] == Counter(ent.label_ for doc in docs for ent in doc.ents)


def test_example(tmp_path: Path) -> None:
    path = tmp_path / "example" / "threads.jsonl"
    result = CliRunner().invoke(script.app, ["example", "--out", str(path)])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]
    assert rows == sample.example_threads(0)
    runs = [(name, [r["text"] for r in run]) for name, run in groupby(rows, lambda r: r["thread"])]
    assert len(runs) == len(dict(runs)) == 3
    for _, texts in runs:
        assert THREAD_SIZES[0] <= len(texts) <= THREAD_SIZES[1]
        assert "ایران" in " ".join(texts) and "تبریز" in " ".join(texts)
        assert not re.search(r"[{}]", " ".join(texts))
    # The same words stand in several threads.
    stripped = [
        {re.sub(r"[^\u0600-\u06ff\u200c ]", "", t).strip(" .") for t in x} for _, x in runs
    ]
    assert any(stripped[0] & stripped[1]) and any(stripped[0] & stripped[2])
    assert sample.example_threads(1) != sample.example_threads(0)
