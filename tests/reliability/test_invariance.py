"""What must not matter does not: batches, neighbours, order of domains, saving, windows."""

import random

import pytest
import spacy
from conftest import NAMES, PREFIX, assert_same_predictions, toy_text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FEW = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
DOMAINS = sorted(NAMES)

pairs_of_texts = st.lists(
    st.tuples(st.sampled_from(DOMAINS), st.integers(0, 30), st.integers(0, 5)), max_size=14
).map(
    lambda drawn: [
        (toy_text(DOMAINS[seed % 3], n_words=n, seed=seed), {"domain": domain})
        for domain, n, seed in drawn
    ]
)


@pytest.fixture(params=["lora", "prefix"])
def either(request, make_nlp):
    """A pipeline with random adapters of each kind, in fp32."""
    return make_nlp(adapter=PREFIX) if request.param == "prefix" else make_nlp()


def tag(nlp, pairs, **settings):
    return [doc for doc, _ in nlp.pipe(pairs, as_tuples=True, **settings)]


@FEW
@given(pairs=pairs_of_texts, batch_size=st.integers(1, 20), seed=st.integers(0, 99))
def test_batches_and_neighbours(either, pairs, batch_size, seed):
    """With given domains a doc is what it is alone, wherever it stands."""
    expected = []
    for text, context in pairs:
        doc = either.make_doc(text)
        doc._.domain = context["domain"]
        expected.append(either(doc))
    order = random.Random(seed).sample(range(len(pairs)), len(pairs))
    found = tag(either, [pairs[i] for i in order], batch_size=batch_size)
    assert_same_predictions(found, [expected[i] for i in order])


@FEW
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    batch_sizes=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    seed=st.integers(0, 99),
)
def test_detection_depends_on_the_group_alone(either, sizes, batch_sizes, seed):
    """Not on batches, and not on the groups before and behind it."""
    rng = random.Random(seed)
    groups = [
        [(toy_text(rng.choice(DOMAINS), seed=rng.randrange(9)), {"thread": i}) for _ in range(n)]
        for i, n in enumerate(sizes)
    ]
    stream = [pair for group in groups for pair in group]
    expected = [doc for group in groups for doc in tag(either, group)]
    for batch_size in batch_sizes:
        assert_same_predictions(tag(either, stream, batch_size=batch_size), expected)


@given(order=st.permutations(DOMAINS))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_domains_in_the_bank(either, tmp_path_factory, order):
    folder = tmp_path_factory.mktemp("domains")
    tagger = either.get_pipe("multibert_ner")
    pairs = [(toy_text(name, seed=i), {"domain": name}) for name in DOMAINS for i in range(3)]
    expected = tag(either, pairs)
    for name in DOMAINS:
        tagger.model.write_domain(name, folder / name)
    for name in DOMAINS:
        tagger.model.module.remove_domain(name)
    for name in order:
        tagger.model.read_domain(folder / name)
    assert tagger.domains == tuple(order)
    assert_same_predictions(tag(either, pairs), expected)


def test_saving_and_loading_in_between(either, tmp_path):
    """As often as one likes: files are the same, too."""
    pairs = [(toy_text(name, seed=i), {"thread": i // 2}) for name in DOMAINS for i in range(4)]
    expected = tag(either, pairs)
    nlp = either
    for i in range(3):
        nlp.to_disk(tmp_path / str(i))
        nlp = spacy.load(tmp_path / str(i))
        assert_same_predictions(tag(nlp, pairs), expected)
    for path in (tmp_path / "1").rglob("*"):
        if path.is_file() and path.name != "config.cfg":
            again = tmp_path / "2" / path.relative_to(tmp_path / "1")
            assert path.read_bytes() == again.read_bytes()


def test_a_call_is_a_group_of_one_in_a_stream(either):
    texts = [toy_text(name, seed=i) for i in range(4) for name in DOMAINS]
    found = tag(either, [(text, {"thread": i}) for i, text in enumerate(texts)])
    assert_same_predictions(found, map(either, texts))


@pytest.fixture(scope="module")
def knowing(trained_folder):
    return spacy.load(trained_folder)


@pytest.mark.parametrize("window, overlap", [(402, 100), (202, 100), (102, 50), (102, 0)])
def test_windows_that_are_cut_elsewhere(knowing, window, overlap):
    """A word's label comes from its window, and the toy core looks at all of it: nearly all words
    keep theirs, wherever the windows are cut.
    """
    tagger = knowing.get_pipe("multibert_ner")
    docs = [knowing.make_doc(toy_text(name, n_words=400, seed=1)) for name in DOMAINS]
    for doc, name in zip(docs, DOMAINS, strict=True):
        doc._.domain = name
    expected = tagger.predict(docs)
    before = tagger.window, tagger.overlap
    try:
        tagger.window, tagger.overlap = window, overlap
        found = tagger.predict(docs)
    finally:
        tagger.window, tagger.overlap = before
    spans = [
        [{(ent.start, ent.end, ent.label) for ent in own} for own in docs_]
        for docs_ in (found, expected)
    ]
    same = sum(len(a & b) for a, b in zip(*spans, strict=True))
    total = sum(len(b) for b in spans[1])
    assert total > 300
    assert same / total > 0.8
