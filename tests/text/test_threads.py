"""Which docs of a stream belong together, and what their contexts say."""

from itertools import groupby

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.vocab import Vocab

from multibert_spacy.errors import ConfigError
from multibert_spacy.text.threads import apply_context, group_docs, install_extensions

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

    @pytest.mark.parametrize("key", [0, "", False, ("a", 1), 1.5, frozenset()])
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
