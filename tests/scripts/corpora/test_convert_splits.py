import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.corpora.sentence import Corpus, Sentence
from scripts.corpora.splits import drop_leaks, hold_out, normal_form, posts_of

texts = st.lists(st.text("abcی ي\u200c۱1", min_size=1, max_size=3).map(lambda text: (text,)))


def sentence(text, domain="d", thread=None):
    words = tuple(text.split())
    return Sentence(words, ("O",) * len(words), domain, thread)


def corpus(name, train=(), dev=(), test=()):
    parts = {"train": train, "dev": dev, "test": test}
    return Corpus(
        name, {split: [sentence(t, name) for t in part] for split, part in parts.items()}
    )


def written(made):
    return {split: [" ".join(s.words) for s in part] for split, part in made.splits.items()}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("علي كتاب", "علی کتاب"),
        ("می\u200cرود", "می رود"),
        ("می رود", "میرود"),
        ("سال ۱۳۹۹", "سال ١٣٩٩"),
        ("سال ۱۳۹۹", "سال 1399"),
        ("خانۀ ما", "خانه\u0654 ما"),
        ("أسد", "اسد"),
        ("سلامـــ", "سلام"),
        ("HTTPS", "https"),
        ("☎️", "☎"),
    ],
)
def test_normal_form_unifies(one, other):
    assert normal_form(one.split()) == normal_form(other.split())


@pytest.mark.parametrize(
    ("one", "other"), [("کتاب", "کباب"), ("۱۲", "۲۱"), ("!", "؟"), ("🔴", "🔵")]
)
def test_normal_form_distinguishes(one, other):
    assert normal_form([one]) != normal_form([other])


def test_normal_form_is_never_empty():
    assert normal_form(["\u200c"]) == "\u200c"
    assert normal_form(["\u200c"]) != normal_form(["\u200f"])


def test_posts_are_runs_of_one_thread():
    sentences = [
        sentence("a", thread="x/1"),
        sentence("b", thread="x/1"),
        sentence("c", thread="x/2"),
    ]
    assert posts_of(sentences) == [sentences[:2], sentences[2:]]


def split(items, seed=0):
    return hold_out(items, {"dev": 0.1, "test": 0.1}, seed=seed, words_of=lambda item: item)


@pytest.mark.parametrize(
    ("n_items", "sizes"),
    [(0, [0, 0, 0]), (1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1]), (100, [80, 10, 10])],
)
def test_sizes(n_items, sizes):
    parts = split([(f"w{i}",) for i in range(n_items)])
    assert list(parts) == ["train", "dev", "test"]
    assert [len(part) for part in parts.values()] == sizes


def test_seed_decides_and_order_is_kept():
    items = [(f"w{i:03}",) for i in range(100)]
    assert split(items) == split(items)
    assert split(items) != split(items, seed=1)
    assert all(part == sorted(part) for part in split(items).values())


def test_same_text_falls_on_the_same_side():
    parts = split([(f"w{i % 50}",) for i in range(100)])
    assert not set(parts["dev"]) & set(parts["train"])
    assert not set(parts["test"]) & set(parts["train"])


@given(texts)
def test_every_item_is_in_one_part(items):
    parts = split(items)
    assert sorted(item for part in parts.values() for item in part) == sorted(items)


def test_leaks_are_dropped_across_corpora():
    one = corpus("one", ["a b", "x", "می\u200cرود", "q", "q"], dev=["y", "z"], test=["t"])
    two = corpus("two", ["t", "y", "n ۱"], dev=["t", "v"], test=["می رود", "n 1"])
    three = corpus("three", ["v", "ok"], test=["z"])
    assert drop_leaks([one, two, three]) == {
        "one": {
            "dev": {"one": {"sentences": 1, "tokens": 1, "entities": 0}},
            "train": {"one": {"sentences": 1, "tokens": 1, "entities": 0}},
        },
        "two": {
            "dev": {"two": {"sentences": 1, "tokens": 1, "entities": 0}},
            "train": {"two": {"sentences": 3, "tokens": 4, "entities": 0}},
        },
        "three": {
            "dev": {},
            "train": {"three": {"sentences": 1, "tokens": 1, "entities": 0}},
        },
    }
    assert written(one) == {"train": ["a b", "x", "q", "q"], "dev": ["y"], "test": ["t"]}
    assert written(two) == {"train": [], "dev": ["v"], "test": ["می رود", "n 1"]}
    assert written(three) == {"train": ["ok"], "dev": [], "test": ["z"]}


def test_alone_a_corpus_is_compared_with_itself():
    made = corpus("one", ["a", "b"], dev=["b", "c"], test=["c"])
    drop_leaks([made])
    assert written(made) == {"train": ["a"], "dev": ["b"], "test": ["c"]}


@given(texts, texts, texts, texts)
def test_splits_are_disjoint(train, dev, test, other):
    one = Corpus("one", {"train": [], "dev": [], "test": []})
    two = Corpus("two", {"train": [], "dev": [], "test": []})
    for made, parts in ((one, (train, dev, test)), (two, (other, train, dev))):
        for name, part in zip(("train", "dev", "test"), parts, strict=True):
            made.splits[name] = [Sentence(words, ("O",), "d") for words in part]
    before = sum(len(part) for made in (one, two) for part in made.splits.values())
    dropped = drop_leaks([one, two])

    forms = {
        name: {normal_form(s.words) for made in (one, two) for s in made.splits[name]}
        for name in ("train", "dev", "test")
    }
    assert not forms["train"] & (forms["dev"] | forms["test"])
    assert not forms["dev"] & forms["test"]
    assert [s.words for s in one.splits["test"]] == test
    after = sum(len(part) for made in (one, two) for part in made.splits.values())
    counts = [
        c
        for by_split in dropped.values()
        for domains in by_split.values()
        for c in domains.values()
    ]
    assert before - after == sum(count["sentences"] for count in counts)
