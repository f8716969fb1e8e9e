"""The tree of errors, and what their messages hold."""

from pathlib import Path

import pytest

from multibert_spacy import errors
from multibert_spacy.errors import CorpusError, DomainError, MultibertError


@pytest.mark.parametrize("name", errors.__all__)
def test_all_are_caught_by_the_base_and_as_spacy_users_do(name):
    error = getattr(errors, name)
    for base in (MultibertError, ValueError):
        with pytest.raises(base, match="the message"):
            raise error("the message")
    assert name in errors.__doc__


def test_an_unknown_domain_is_named_with_those_there_are_and_the_next_step():
    error = DomainError.unknown("sprots", ["travel", "sports"], component="multibert_ner")
    assert isinstance(error, DomainError)
    assert str(error) == (
        "Unknown domain 'sprots' in component 'multibert_ner'. It has: sports, travel. "
        "Set doc._.domain to one of these, or add an adapter for 'sprots'."
    )


@pytest.mark.parametrize("domain", [None, 3])
def test_a_domain_that_is_no_name(domain):
    error = DomainError.unknown(domain, [], component="tagger")
    assert f"Unknown domain {domain!r}" in str(error)
    assert "(none yet)" in str(error)


@pytest.mark.parametrize("path", ["data/news.txt", Path("data/news.txt")])
def test_a_corpus_error_says_where(path):
    error = CorpusError.at(path, 12, "'token tag'", "'token'")
    assert isinstance(error, CorpusError)
    assert str(error) == "data/news.txt, line 12: expected 'token tag', found 'token'"
