"""Corpus readers: every option, in every mode."""

from collections import Counter

import pytest
import spacy
from conftest import entities
from spacy.tokens import Doc, DocBin, Span
from spacy.util import registry
from spacy.vocab import Vocab

from multibert_spacy.errors import ConfigError, CorpusError
from multibert_spacy.training.corpus import read_docs


def make(vocab, words, tags=None, domain=None, thread=None):
    doc = Doc(vocab, words=words, ents=tags)
    doc._.domain = domain
    doc._.thread = thread
    return doc


def write(path, docs):
    path.parent.mkdir(parents=True, exist_ok=True)
    DocBin(docs=docs, store_user_data=True).to_disk(path)


@pytest.fixture
def corpus(tmp_path):
    """mixed.spacy: three docs of news, five of travel, and one without words; sports.spacy: two
    of sports.
    """
    vocab = Vocab()
    mixed = [make(vocab, [f"n{i}", "تهران"], ["O", "B-POG"], "news", thread=i) for i in range(3)]
    mixed += [make(vocab, [f"t{i}", "تهران"], ["O", "B-LOC"], "travel") for i in range(5)]
    mixed.insert(2, make(vocab, [], [], "news"))
    write(tmp_path / "corpus" / "mixed.spacy", mixed)
    sports = [make(vocab, [f"s{i}"], ["O"], "sports") for i in range(2)]
    write(tmp_path / "corpus" / "sports.spacy", sports)
    return tmp_path / "corpus"


@pytest.fixture
def nlp():
    return spacy.blank("fa")


def domain_corpus(path, **settings):
    return registry.readers.get("multibert_spacy.DomainCorpus.v1")(path, **settings)


def group_corpus(path, **settings):
    return registry.readers.get("multibert_spacy.GroupCorpus.v1")(path, **settings)


def firsts(examples):
    return [eg.predicted[0].text for eg in examples]


# read_docs


def test_a_folder_is_read_in_the_order_of_names(corpus):
    docs = read_docs(corpus, Vocab())
    assert [doc[0].text for doc in docs] == [
        *("n0", "n1", "n2"),
        *("t0", "t1", "t2", "t3", "t4"),
        *("s0", "s1"),
    ]


def test_a_file(corpus):
    docs = read_docs(corpus / "sports.spacy", Vocab())
    assert [doc._.domain for doc in docs] == ["sports", "sports"]


def test_folders_in_folders(corpus):
    (corpus / "deeper").mkdir()
    (corpus / "sports.spacy").rename(corpus / "deeper" / "sports.spacy")
    assert Counter(doc._.domain for doc in read_docs(corpus, Vocab())) == {
        "news": 3,
        "travel": 5,
        "sports": 2,
    }


@pytest.mark.parametrize(
    "domains, exclude, expected",
    [
        ([], [], {"news": 3, "travel": 5, "sports": 2}),
        (["news"], [], {"news": 3}),
        (["news", "sports"], [], {"news": 3, "sports": 2}),
        ([], ["travel"], {"news": 3, "sports": 2}),
        (["news", "travel"], ["travel", "sports"], {"news": 3}),
        (["sports"], [], {"sports": 2}),
    ],
)
def test_domains_and_exclude(corpus, nlp, domains, exclude, expected):
    docs = read_docs(corpus, nlp.vocab, domains=domains, exclude=exclude)
    assert Counter(doc._.domain for doc in docs) == expected
    reader = domain_corpus(corpus, domains=domains, exclude=exclude)
    assert Counter(eg.reference._.domain for eg in reader(nlp)) == expected
    reader = group_corpus(corpus, domains=domains, exclude=exclude, group_size=2)
    assert {name for eg in reader(nlp) for name in eg.reference.cats} == set(expected)


def test_docs_without_a_domain(tmp_path, nlp):
    docs = [make(nlp.vocab, ["a"], ["O"]), make(nlp.vocab, ["b"], ["O"], "news")]
    write(tmp_path / "a.spacy", docs)
    assert [doc[0].text for doc in read_docs(tmp_path, nlp.vocab)] == ["a", "b"]
    assert [doc[0].text for doc in read_docs(tmp_path, nlp.vocab, domains=["news"])] == ["b"]


@pytest.mark.parametrize("reader", [domain_corpus, group_corpus])
def test_a_missing_path(tmp_path, nlp, reader):
    with pytest.raises(CorpusError, match="nowhere is missing.*spacy"):
        list(reader(tmp_path / "nowhere")(nlp))
    with pytest.raises(CorpusError, match="nowhere.spacy is missing"):
        list(reader(tmp_path / "nowhere.spacy")(nlp))


@pytest.mark.parametrize("reader", [domain_corpus, group_corpus])
def test_a_folder_without_files(tmp_path, nlp, reader):
    with pytest.raises(CorpusError, match=f"{tmp_path}.*no .spacy file"):
        list(reader(tmp_path)(nlp))


@pytest.mark.parametrize("reader", [domain_corpus, group_corpus])
@pytest.mark.parametrize("damage", [b"", b"nothing", None])
def test_a_damaged_file(corpus, nlp, reader, damage):
    path = corpus / "sports.spacy"
    path.write_bytes(path.read_bytes()[:-20] if damage is None else damage)
    with pytest.raises(CorpusError, match="sports.spacy"):
        list(reader(corpus)(nlp))


@pytest.mark.parametrize("reader", [domain_corpus, group_corpus])
def test_a_missing_domain(corpus, nlp, reader):
    with pytest.raises(CorpusError, match="no doc of fun, game; it has: news, sports, travel"):
        list(reader(corpus, domains=["news", "game", "fun"])(nlp))


def test_nothing_is_left(corpus, nlp):
    with pytest.raises(CorpusError, match="exclude"):
        list(domain_corpus(corpus, domains=["news"], exclude=["news"])(nlp))


def test_files_of_the_domains_names(corpus, nlp):
    """Only they are opened: another file of the folder may be damaged."""
    (corpus / "mixed.spacy").write_bytes(b"damaged")
    assert firsts(domain_corpus(corpus, domains=["sports"])(nlp)) == ["s0", "s1"]


def test_a_file_of_a_domain_s_name_without_the_domain(corpus, nlp):
    (corpus / "sports.spacy").rename(corpus / "fun.spacy")
    with pytest.raises(CorpusError, match="no doc of fun; it has: sports"):
        list(domain_corpus(corpus, domains=["fun"])(nlp))


def test_one_domain_by_its_name(corpus, nlp):
    """As `vars.domain` of domain.cfg has it."""
    assert firsts(domain_corpus(corpus, domains="sports")(nlp)) == ["s0", "s1"]
    (eg,) = group_corpus(corpus, domains="sports", group_size=2)(nlp)
    assert eg.reference.cats == {"sports": 1.0}


# DomainCorpus


def test_examples(corpus, nlp):
    examples = list(domain_corpus(corpus, domains=["news"])(nlp))
    assert firsts(examples) == ["n0", "n1", "n2"]
    for eg in examples:
        assert eg.predicted is not eg.reference
        assert eg.predicted.text == eg.reference.text
        assert eg.predicted.ents == ()
        assert entities(eg.reference) == [("تهران", "POG")]
    assert [eg.predicted._.thread for eg in examples] == [0, 1, 2]


@pytest.mark.parametrize("keep", [True, False])
def test_keep_domain(corpus, nlp, keep):
    examples = list(domain_corpus(corpus, domains=["news"], keep_domain=keep)(nlp))
    assert {eg.predicted._.domain for eg in examples} == {"news" if keep else None}
    assert {eg.reference._.domain for eg in examples} == {"news"}


@pytest.mark.parametrize(
    "limit, expected",
    [
        (0, {"news": 3, "travel": 5, "sports": 2}),
        (1, {"news": 1, "travel": 1, "sports": 1}),
        (4, {"news": 3, "travel": 4, "sports": 2}),
        (99, {"news": 3, "travel": 5, "sports": 2}),
    ],
)
def test_limit(corpus, nlp, limit, expected):
    reader = domain_corpus(corpus, limit=limit)
    for _ in range(2):  # each pass counts anew
        assert Counter(eg.reference._.domain for eg in reader(nlp)) == expected
    assert firsts(domain_corpus(corpus, limit=1)(nlp)) == ["n0", "t0", "s0"]


def test_each_pass_gives_new_predicted_docs(corpus, nlp):
    reader = domain_corpus(corpus)
    for eg in reader(nlp):
        eg.predicted._.domain = "spoiled"
        eg.predicted.set_ents([Span(eg.predicted, 0, 1, label="X")])
    assert {eg.predicted._.domain for eg in reader(nlp)} == {"news", "travel", "sports"}
    assert all(eg.predicted.ents == () for eg in reader(nlp))


def test_the_vocabulary_is_the_pipeline_s(corpus):
    reader = domain_corpus(corpus)
    for _ in range(2):
        nlp = spacy.blank("fa")
        assert all(eg.reference.vocab is nlp.vocab for eg in reader(nlp))
        assert all(eg.predicted.vocab is nlp.vocab for eg in reader(nlp))


# GroupCorpus


def groups(examples):
    """First words of each group (a letter for the domain and a number)."""
    return [[w.text for w in eg.predicted if w.text != "تهران"] for eg in examples]


def test_groups_of_one_domain(corpus, nlp):
    examples = list(group_corpus(corpus, group_size=2)(nlp))
    found = groups(examples)
    assert sorted(sum(found, [])) == [
        *("n0", "n1", "n2"),
        *("s0", "s1"),
        *("t0", "t1", "t2", "t3", "t4"),
    ]
    assert sorted(map(len, found)) == [1, 1, 2, 2, 2, 2]
    names = {"n": "news", "s": "sports", "t": "travel"}
    for group, eg in zip(found, examples, strict=True):
        (letter,) = {word[0] for word in group}
        domain = names[letter]
        assert eg.reference.cats == {name: float(name == domain) for name in names.values()}
        assert eg.predicted.cats == {}
        assert eg.predicted._.domain is None
        assert eg.reference.text == eg.predicted.text


def test_a_share_of_the_groups_is_masked(corpus, nlp):
    def kept(masked, **settings):
        reader = group_corpus(corpus, group_size=1, masked=masked, n_groups=40, **settings)
        return [" ".join(group) for group in groups(reader(nlp))]

    assert "" not in kept(0.0)
    assert set(kept(1.0)) == {""}
    assert 30 < sum(text == "" for text in kept(0.5)) < 90
    assert kept(0.5, seed=1) == kept(0.5, seed=1)


@pytest.mark.parametrize("masked", [-0.1, 1.1])
def test_a_share_is_between_0_and_1(corpus, masked):
    with pytest.raises(ConfigError, match="masked must be in"):
        group_corpus(corpus, masked=masked)


def test_the_groups_are_shuffled(corpus, nlp):
    found = groups(group_corpus(corpus, group_size=1, domains=["travel", "news"])(nlp))
    assert sorted(found) == [[x] for x in ("n0", "n1", "n2", "t0", "t1", "t2", "t3", "t4")]
    assert found != sorted(found)


def test_the_seed_decides(corpus, nlp):
    def passes(seed, n=3):
        reader = group_corpus(corpus, group_size=2, seed=seed)
        return [groups(reader(nlp)) for _ in range(n)]

    assert passes(0) == passes(0)
    assert passes(0) != passes(1)
    first, second, third = passes(0)
    assert first != second != third


@pytest.mark.parametrize("group_size", [1, 2, 3, 8])
def test_group_size(corpus, nlp, group_size):
    found = groups(group_corpus(corpus, group_size=group_size, domains=["travel"])(nlp))
    sizes = {1: [1] * 5, 2: [1, 2, 2], 3: [2, 3], 8: [5]}
    assert sorted(map(len, found)) == sizes[group_size]


def test_smallest_draws_the_size(tmp_path, nlp):
    write(tmp_path / "a.spacy", [make(nlp.vocab, [f"a{i}"], ["O"], "a") for i in range(400)])
    sizes = Counter(
        map(len, groups(group_corpus(tmp_path / "a.spacy", group_size=4, smallest=2)(nlp)))
    )
    sizes.subtract([n for n in sizes if n < 2])  # at the most one group of what is left
    assert {n for n, count in sizes.items() if count} == {2, 3, 4}
    assert sizes[2] > 1.5 * sizes[3] > 0  # 1/4 to 1/9
    assert sizes[2] > 2.5 * sizes[4] > 25  # 1/4 to 1/16


@pytest.mark.parametrize("smallest, n", [(2, 3), (3, 3)])
def test_smallest_with_n_groups(corpus, nlp, smallest, n):
    reader = group_corpus(corpus, domains=["travel"], group_size=3, smallest=smallest, n_groups=40)
    found = Counter(map(len, groups(reader(nlp))))
    assert set(found) == set(range(smallest, n + 1))
    assert sum(found.values()) == 40


def test_n_groups(corpus, nlp):
    examples = list(group_corpus(corpus, group_size=2, n_groups=6)(nlp))
    domains = [max(eg.reference.cats, key=eg.reference.cats.get) for eg in examples]
    assert Counter(domains) == {"news": 6, "sports": 6, "travel": 6}
    assert {len(group) for group in groups(examples)} == {2}
    assert all(len(set(group)) == len(group) for group in groups(examples))


def test_n_groups_of_a_small_domain(corpus, nlp):
    found = groups(group_corpus(corpus, domains=["sports"], group_size=8, n_groups=3)(nlp))
    assert [sorted(group) for group in found] == [["s0", "s1"]] * 3


# join = false


def test_docs_group_by_group(corpus, nlp):
    """Only whole groups; each doc on its own, with the truth of its group."""
    examples = list(group_corpus(corpus, group_size=2, join=False)(nlp))
    letters = [eg.predicted[0].text[0] for eg in examples]
    assert letters == ["n", "n", "s", "s", "t", "t", "t", "t"]
    assert [max(eg.reference.cats, key=eg.reference.cats.get) for eg in examples] == [
        *["news"] * 2,
        *["sports"] * 2,
        *["travel"] * 4,
    ]
    assert all(eg.predicted._.domain is None for eg in examples)
    assert all(eg.predicted.cats == {} for eg in examples)
    assert all(len(eg.predicted) == len(eg.reference) <= 2 for eg in examples)


@pytest.mark.parametrize(
    "settings",
    [
        {"group_size": 2},
        {"group_size": 3},
        {"group_size": 8},
        {"group_size": 3, "smallest": 1},
        {"group_size": 2, "n_groups": 4},
        {"group_size": 8, "n_groups": 2},
        {"group_size": 4, "smallest": 2, "n_groups": 3},
    ],
)
def test_a_detector_sees_these_groups(corpus, nlp, settings):
    """However large: no group of the stream mixes two domains."""
    from multibert_spacy.text.threads import group_docs

    examples = list(group_corpus(corpus, join=False, **settings)(nlp))
    for group in group_docs([eg.predicted for eg in examples], settings["group_size"]):
        assert len({doc[0].text[0] for doc in group}) == 1
        assert len(group) <= settings["group_size"]
        if "n_groups" not in settings and "smallest" not in settings:
            assert len(group) == settings["group_size"]


def test_join_false_draws_anew(corpus, nlp):
    reader = group_corpus(corpus, group_size=2, join=False, seed=1)
    first, second = firsts(reader(nlp)), firsts(reader(nlp))
    assert first != second
    assert first == firsts(group_corpus(corpus, group_size=2, join=False, seed=1)(nlp))


@pytest.mark.parametrize(
    "settings",
    [{"group_size": 0}, {"group_size": 2, "smallest": 3}, {"group_size": 2, "smallest": -1}],
)
def test_sizes_that_make_no_sense(corpus, settings):
    with pytest.raises(ConfigError, match="make no sense"):
        group_corpus(corpus, **settings)


def test_negative_numbers_of_groups(corpus):
    with pytest.raises(ConfigError, match="n_groups"):
        group_corpus(corpus, n_groups=-1)
    with pytest.raises(ConfigError, match="limit"):
        domain_corpus(corpus, limit=-1)


def test_references_are_not_shared(corpus, nlp):
    """The truth of one pass does not leak into the corpus that is remembered."""
    reader = group_corpus(corpus, group_size=1, join=False)
    for eg in reader(nlp):
        eg.reference.cats = {}
    assert all(sum(eg.reference.cats.values()) == 1 for eg in reader(nlp))
