"""Which docs of a stream belong together, and what their contexts say."""

import itertools
from itertools import groupby

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.vocab import Vocab

from multibert_spacy.errors import ConfigError
from multibert_spacy.text.threads import (
    apply_context,
    given_domain,
    group_docs,
    install_extensions,
    take_groups,
)

VOCAB = Vocab()


def doc_of(text, thread=None, domain=None, context=None):
    doc = Doc(VOCAB, words=[text])
    doc._.thread = thread
    doc._.domain = domain
    doc._context = context
    return doc


def texts(groups):
    return [[doc[0].text for doc in group] for group in groups]


class TestGroupDocs:
    @pytest.mark.parametrize(
        "threads, group_size, expected",
        [
            ("", 8, []),
            ("a", 8, ["0"]),
            ("aabbb", 2, ["01", "234"]),
            ("aba", 8, ["0", "1", "2"]),  # only neighbours are a group
            ("-----", 2, ["01", "23", "4"]),
            ("----", 2, ["01", "23"]),
            ("-----", 8, ["01234"]),
            ("---", 1, ["0", "1", "2"]),
            ("aa---b", 2, ["01", "23", "4", "5"]),
            ("--aaaa--", 3, ["01", "2345", "67"]),  # a thread is not cut, and ends a run
            ("a-a", 8, ["0", "1", "2"]),
        ],
    )
    def test_literal(self, threads, group_size, expected):
        docs = [doc_of(str(i), None if t == "-" else t) for i, t in enumerate(threads)]
        groups = texts(group_docs(docs, group_size))
        assert groups == [list(group) for group in expected]

    @pytest.mark.parametrize("key", [0, False, ("a", 1), 1.5, frozenset()])
    def test_any_hashable_key_but_none_is_a_thread(self, key):
        docs = [doc_of(str(i), key) for i in range(5)]
        assert texts(group_docs(docs, 2)) == [["0", "1", "2", "3", "4"]]

    def test_the_context_gives_the_thread(self):
        docs = [doc_of(str(i), context={"thread": t}) for i, t in enumerate("aab")]
        assert texts(group_docs(docs, 8)) == [["0", "1"], ["2"]]

    def test_groups_are_handed_on_as_soon_as_they_are_whole(self):
        taken = []

        def stream():
            for i in range(6):
                taken.append(i)
                yield doc_of(str(i))

        groups = group_docs(stream(), 2)
        assert taken == []
        next(groups)
        assert taken == [0, 1]

    @settings(deadline=None)
    @given(st.lists(st.sampled_from([None, "a", "b", 3]), max_size=30), st.integers(1, 9))
    def test_joined_the_groups_are_the_stream(self, threads, group_size):
        docs = [doc_of(str(i), thread) for i, thread in enumerate(threads)]
        groups = list(group_docs(docs, group_size))
        joined = [doc for group in groups for doc in group]
        assert len(joined) == len(docs)
        assert all(a is b for a, b in zip(joined, docs, strict=True))
        for group in groups:
            assert len({doc._.thread for doc in group}) == 1
            assert group[0]._.thread is not None or len(group) <= group_size
        runs = [
            -(-len(list(run)) // (group_size if thread is None else len(threads)))
            for thread, run in groupby(threads)
        ]
        assert len(groups) == sum(runs)

    @pytest.mark.parametrize("group_size", [0, -3])
    def test_group_size_below_one_is_refused(self, group_size):
        with pytest.raises(ConfigError, match=f"got {group_size}"):
            list(group_docs([doc_of("a")], group_size))

    @pytest.mark.parametrize("key", ["", None, float("nan")])
    def test_what_stands_for_no_thread(self, key):
        docs = [doc_of(str(i), context={"thread": key}) for i in range(3)]
        assert texts(group_docs(docs, 2)) == [["0", "1"], ["2"]]
        assert texts(group_docs([doc_of(str(i), key) for i in range(3)], 2)) == [["0", "1"], ["2"]]

    @pytest.mark.parametrize(
        "threads, max_thread, expected",
        [
            ("aaaa", 2, ["01", "+2", "+3"]),
            ("aaaab", 3, ["012", "+3", "4"]),
            ("aab--", 1, ["0", "+1", "2", "34"]),
            ("aabb", 2, ["01", "23"]),
            ("----", 1, ["01", "23"]),
        ],
    )
    def test_a_long_thread_goes_on(self, threads, max_thread, expected):
        docs = [doc_of(str(i), None if t == "-" else t) for i, t in enumerate(threads)]
        groups = list(group_docs(docs, 2, max_thread))
        got = ["+" * group.goes_on + "".join(doc[0].text for doc in group) for group in groups]
        assert got == expected

    def test_an_endless_thread_is_handed_on(self):
        groups = group_docs((doc_of(str(i), "a") for i in itertools.count()), 2, 5)
        assert [len(next(groups)) for _ in range(4)] == [5, 1, 1, 1]

    def test_max_thread_below_one_is_refused(self):
        with pytest.raises(ConfigError, match="max_thread must be at least 1, got 0"):
            list(group_docs([doc_of("a")], 1, 0))

    @given(st.lists(st.integers(1, 4), max_size=9), st.integers(1, 6))
    def test_take_groups(self, sizes, n_docs):
        """Whole groups, no more than needed, all of them in the end."""
        threads = [i for i, size in enumerate(sizes) for _ in range(size)]
        groups = group_docs([doc_of(str(i), thread) for i, thread in enumerate(threads)], 1)
        taken = []
        while batch := take_groups(groups, n_docs):
            lengths = list(map(len, batch))
            assert sum(lengths[:-1]) < n_docs
            taken.append(lengths)
        assert all(sum(lengths) >= n_docs for lengths in taken[:-1])
        assert [size for lengths in taken for size in lengths] == sizes


class TestApplyContext:
    def attributes(self, **settings):
        doc = doc_of("متن", **settings)
        apply_context(doc)
        apply_context(doc)  # may be repeated
        return doc._.thread, doc._.domain

    def test_a_dict_gives_both(self):
        assert self.attributes(context={"thread": 7, "domain": "news", "id": 3}) == (7, "news")

    def test_a_dict_may_give_one_or_none(self):
        assert self.attributes(context={"domain": "news"}) == (None, "news")
        assert self.attributes(context={"thread": "t"}) == ("t", None)
        assert self.attributes(context={"id": 3}) == (None, None)
        assert self.attributes(context={"thread": None, "domain": None}) == (None, None)

    @pytest.mark.parametrize(
        "context", [None, "news", 5, ("thread", "domain"), ["thread"], object()]
    )
    def test_any_other_context_is_left_alone(self, context):
        doc = doc_of("متن", context=context)
        apply_context(doc)
        assert (doc._.thread, doc._.domain) == (None, None)
        assert doc._context is context

    def test_what_is_on_the_doc_stays(self):
        context = {"thread": "b", "domain": "sports"}
        settings = {"thread": "a", "domain": "news", "context": context}
        assert self.attributes(**settings) == ("a", "news")
        assert context == {"thread": "b", "domain": "sports"}

    @pytest.mark.parametrize("nothing", [None, "", float("nan")])
    def test_what_is_not_given(self, nothing):
        assert self.attributes(context={"thread": nothing, "domain": nothing}) == (None, None)
        settings = {"thread": nothing, "domain": nothing}
        context = {"thread": "a", "domain": "news"}
        assert self.attributes(**settings, context=context) == ("a", "news")
        assert self.attributes(**context, context=settings) == ("a", "news")

    def test_a_detected_domain_is_replaced(self):
        doc = doc_of("متن", domain="news", context={"domain": "sports"})
        doc._.domain_score = 0.9
        apply_context(doc)
        assert (doc._.domain, doc._.domain_score) == ("sports", None)

    @pytest.mark.parametrize("context", [{"thread": [1]}, {"domain": ["news"]}])
    def test_what_is_not_hashable(self, context):
        with pytest.raises(ConfigError, match="must be hashable"):
            apply_context(doc_of("متن", context=context))

    def test_falsy_keys_are_keys(self):
        assert self.attributes(context={"thread": 0}) == (0, None)

    def test_the_context_of_pipe_arrives(self):
        nlp = spacy.blank("fa")
        seen = []

        @spacy.Language.component("test_threads_probe")
        def probe(doc):
            apply_context(doc)
            seen.append((doc._.thread, doc._.domain))
            return doc

        nlp.add_pipe("test_threads_probe")
        stream = [("یک", {"thread": 1, "domain": "news"}), ("دو", "other")]
        contexts = [context for _, context in nlp.pipe(stream, as_tuples=True)]
        assert seen == [(1, "news"), (None, None)]
        assert contexts == [{"thread": 1, "domain": "news"}, "other"]


def test_installing_twice_is_harmless_and_keeps_the_default_none():
    install_extensions()
    install_extensions()
    doc = Doc(VOCAB, words=["متن"])
    assert doc._.domain is None
    assert doc._.thread is None


def test_whoever_assigns_a_domain_gives_it():
    doc = doc_of("متن", domain="news")
    assert given_domain(doc) == "news"
    doc._.domain_score = 0.5
    assert given_domain(doc) is None
    assert given_domain(Doc(VOCAB).from_bytes(doc.to_bytes())) is None
    doc._.domain = "news"
    assert doc._.domain_score is None
    assert given_domain(doc) == "news"
    doc._.domain = None
    assert given_domain(doc) is None


def test_domains_are_kept_where_spacy_keeps_them():
    doc = doc_of("متن", thread="a", domain="news")
    assert doc.user_data == {
        ("._.", "thread", None, None): "a",
        ("._.", "domain", None, None): "news",
    }
    doc._.domain_score = 0.25
    json = doc.to_json(underscore=["domain", "domain_score", "thread"])
    other = Doc(VOCAB).from_json(json, validate=True)
    assert (other._.domain, other._.domain_score, other._.thread) == ("news", 0.25, "a")


@pytest.fixture
def clean_extensions():
    names = ("domain", "thread", "domain_score")
    before = {name: Doc.remove_extension(name) for name in names}
    yield
    for name, (default, method, getter, setter) in before.items():
        settings = {"default": default} if getter is None else {"getter": getter}
        Doc.set_extension(name, **settings, setter=setter, method=method, force=True)


@pytest.mark.usefixtures("clean_extensions")
def test_what_others_have_registered():
    """A plain extension keeps its default, and is told apart from a detected domain all the
    same; a computed one stays.
    """
    Doc.set_extension("domain", default="sports")
    Doc.set_extension("thread", getter=len)
    for _ in range(2):
        install_extensions()
    doc = Doc(VOCAB, words=["متن", "متن"])
    assert (doc._.domain, doc._.thread) == ("sports", 2)
    doc._.domain = "news"
    doc._.domain_score = 0.5
    doc._.domain = "news"
    assert (doc._.domain, doc._.domain_score) == ("news", None)
