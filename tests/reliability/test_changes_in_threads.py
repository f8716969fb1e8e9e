"""Domains that are replaced and trained while other threads tag; forks in the middle of work."""

import multiprocessing
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from conftest import entities, labelled, toy_text

from multibert_spacy.engines import adapted_module
from multibert_spacy.errors import DomainError
from multibert_spacy.forks import WHOLE, ForkLock, Whole

N_READERS = 2
N_SWAPS = 10
TEXTS = [toy_text("travel", n_words=8, seed=i) for i in range(4)]


def tag(nlp, domain="travel", texts=TEXTS):
    pairs = [(text, {"domain": domain}) for text in texts]
    return [entities(doc) for doc, _ in nlp.pipe(pairs, as_tuples=True)]


@pytest.fixture
def two_versions(make_nlp, tmp_path):
    """A pipeline, folders of two versions of its domain, and what each of them says. Either an
    adapter or a head of one with the other's says something else.
    """
    nlp = make_nlp(detector=False)
    model = nlp.get_pipe("multibert_ner").model
    folders, expected = [tmp_path / "a", tmp_path / "b"], []
    for i, folder in enumerate(folders):
        torch.manual_seed(10 + i)
        head = model.module.heads[model.module.head_name("travel")]
        with torch.no_grad():
            for p in (*model.module.adapter_of("travel").parameters(), *head.parameters()):
                p.copy_(torch.randn_like(p) * 0.5)
        model.weights_changed()
        model.module.add_head(f"head {i}", head)
        model.module.add_domain("travel", f"head {i}", model.module.adapter_of("travel"))
        model.write_domain("travel", folder)
        expected.append(tag(nlp))
    assert expected[0] != expected[1]
    return nlp, folders, expected


def same(make_nlp, **settings):
    """Equal pipelines."""
    torch.manual_seed(0)
    random.seed(0)
    return make_nlp(**settings)


class Readers:
    """Threads that tag until they are told to stop. What they raised is raised at the end."""

    def __init__(self, work):
        self.stop = threading.Event()
        self.results = []
        self._pool = ThreadPoolExecutor(N_READERS)
        self._work = work

    def _run(self):
        while not self.stop.is_set():
            self.results.append(self._work())

    def __enter__(self):
        self._jobs = [self._pool.submit(self._run) for _ in range(N_READERS)]
        return self

    def __exit__(self, *_):
        self.stop.set()
        self._pool.shutdown(wait=True)
        for job in self._jobs:
            job.result()


def test_whoever_tags_gets_one_version_whole(two_versions):
    nlp, folders, expected = two_versions
    model = nlp.get_pipe("multibert_ner").model
    with Readers(lambda: tag(nlp)) as readers:
        for i in range(N_SWAPS):
            model.read_domain(folders[i % 2], "travel")
            assert tag(nlp) == expected[i % 2]
    assert readers.results
    assert all(result in expected for result in readers.results)


def test_a_domain_that_comes_and_goes(two_versions):
    """It is there whole or its texts fail with the one error; the others are not disturbed."""
    nlp, folders, expected = two_versions
    model, others = nlp.get_pipe("multibert_ner").model, tag(nlp, "news")

    def work():
        try:
            return tag(nlp)
        except DomainError as e:
            assert "Unknown domain 'travel'" in str(e)
            return None

    with Readers(work) as readers, Readers(lambda: tag(nlp, "news")) as undisturbed:
        for i in range(N_SWAPS):
            model.module.remove_domain("travel")
            with pytest.raises(DomainError):
                tag(nlp)
            model.read_domain(folders[i % 2], "travel")
            assert tag(nlp) == expected[i % 2]
    for result in filter(None, readers.results):  # after an error texts are tagged one by one
        for found, *legal in zip(result, *expected, strict=True):
            assert found in legal
    assert all(result == others for result in undisturbed.results)


def test_a_pipeline_that_is_read_anew(two_versions, tmp_path):
    nlp, folders, expected = two_versions
    tagger = nlp.get_pipe("multibert_ner")
    for i, folder in enumerate(folders):
        tagger.model.read_domain(folder, "travel")
        tagger.to_disk(tmp_path / f"tagger{i}")
    with Readers(lambda: tag(nlp)) as readers:
        for i in range(N_SWAPS // 3):
            tagger.from_disk(tmp_path / f"tagger{i % 2}")
            assert tag(nlp) == expected[i % 2]
    assert all(result in expected for result in readers.results)


def test_what_is_asked_of_a_tagger_is_never_half_of_a_change(two_versions):
    """Its names, labels and heads, while all domains are replaced at once."""
    nlp, folders, _ = two_versions
    tagger = nlp.get_pipe("multibert_ner")
    module, names = tagger.model.module, set(tagger.domains)

    def ask():
        assert set(tagger.domains) == names
        assert tagger.labels and tagger.labels_of("travel")
        assert module.transitions_of("travel").shape == (5, 5)
        return True

    with Readers(ask) as readers:
        for _ in range(200):
            with module.changing():
                kept = [(n, module.head_name(n), module.adapter_of(n)) for n in module.domains]
                heads = dict(module.heads)
                for name, _, _ in kept:
                    module.remove_domain(name)
                for name, head, adapter in kept:
                    module.add_head(head, heads[head])
                    module.add_domain(name, head, adapter)
    assert len(readers.results) > 1


def test_an_engine_made_for_what_was_there_is_not_kept(two_versions, monkeypatch):
    """The replacement comes and returns while another thread makes an engine of the old domain."""
    nlp, folders, expected = two_versions
    model = nlp.get_pipe("multibert_ner").model
    model.read_domain(folders[0], "travel")
    making, go_on, make = threading.Event(), threading.Event(), adapted_module.make_engine

    def slow(*args, **kwargs):
        first = not making.is_set()
        made = make(*args, **kwargs)
        making.set()
        if first:
            assert go_on.wait(20)
        return made

    monkeypatch.setattr(adapted_module, "make_engine", slow)
    with ThreadPoolExecutor(1) as pool:
        old = pool.submit(tag, nlp)
        assert making.wait(20)
        model.read_domain(folders[1], "travel")
        go_on.set()
        assert tag(nlp) == expected[1]
        assert old.result() == expected[0]
    assert tag(nlp) == expected[1]


def test_training_and_tagging_share_no_switch(make_nlp):
    """Every update learns, as without the others; what is not trained is tagged as before."""
    results = []
    for n_readers in (0, 1):
        nlp = same(make_nlp, detector=False)
        tagger = nlp.get_pipe("multibert_ner")
        tagger.train_only(["sports"], heads=False)
        news, sgd, seen = tag(nlp, "news"), nlp.create_optimizer(), []
        batches = [
            [eg for eg in labelled(nlp, 2, i) if eg.predicted._.domain == "sports"]
            for i in range(12)
        ]

        def step(nlp=nlp, batches=batches, sgd=sgd, seen=seen):
            for batch in batches:
                seen.append(nlp.update(batch, sgd=sgd)["multibert_ner"])

        if n_readers:
            with Readers(lambda nlp=nlp: tag(nlp, "news")) as readers:
                step()
            assert all(result == news for result in readers.results)
        else:
            step()
        weights = [
            p.detach().clone() for p in tagger.model.module.adapter_of("sports").parameters()
        ]
        results.append((seen, weights, tag(nlp, "sports")))
    (losses, weights, found), (others, other_weights, other_found) = results
    assert others == losses
    assert all(torch.equal(a, b) for a, b in zip(weights, other_weights, strict=True))
    assert other_found == found


def test_who_tags_while_a_domain_is_trained_gets_one_state_of_it(make_nlp):
    """Of which there are as many as updates."""
    results = []
    for n_readers in (0, 1):
        nlp = same(make_nlp, detector=False)
        nlp.get_pipe("multibert_ner").train_only(["travel"], heads=True)
        sgd = nlp.create_optimizer()
        sgd.learn_rate = 0.05
        batch = [eg for eg in labelled(nlp, 3) if eg.predicted._.domain == "travel"]
        states = [tag(nlp)]

        def steps(nlp=nlp, batch=batch, sgd=sgd, states=states):
            for _ in range(10):
                nlp.update(batch, sgd=sgd)
                states.append(tag(nlp))

        if n_readers:
            with Readers(lambda nlp=nlp: tag(nlp)) as readers:
                steps()
            assert all(result in results[0] for result in readers.results)
        else:
            steps()
        results.append(states)
    assert results[0] == results[1]
    assert results[0][0] != results[0][-1]


def test_the_detector_is_trained_while_it_detects(make_nlp):
    results = []
    for n_readers in (0, 1):
        nlp = same(make_nlp)
        sgd, losses = nlp.create_optimizer(), []
        detector = nlp.get_pipe("domain_detector")
        batch = labelled(nlp, 2)
        for eg in batch:
            eg.predicted._.domain = None

        def steps(detector=detector, batch=batch, sgd=sgd, losses=losses):
            for _ in range(10):
                losses.append(detector.update(batch, sgd=sgd)["domain_detector"])

        if n_readers:
            with Readers(lambda nlp=nlp: [doc.cats for doc in nlp.pipe(TEXTS)]) as readers:
                steps()
            assert readers.results
        else:
            steps()
        results.append(losses)
    assert results[0] == results[1]


# Forks


def in_child(function, *args, seconds=60):
    """RETURNS: What the function sends from a forked process; fails if it does not come."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(function(*args)))
    process.start()
    try:
        assert receiver.poll(seconds), "the child hangs"
        return receiver.recv()
    finally:
        process.kill()
        process.join()


@pytest.mark.parametrize("detector", [True, False])
def test_a_fork_while_another_thread_makes_its_first_batch(make_nlp, monkeypatch, detector):
    nlp = make_nlp(detector=detector)
    expected = tag(nlp, "news")
    nlp.get_pipe("multibert_ner").model.weights_changed()
    making, make = threading.Event(), adapted_module.make_engine

    def slow(*args, **kwargs):
        making.set()
        time.sleep(0.3)
        return make(*args, **kwargs)

    monkeypatch.setattr(adapted_module, "make_engine", slow)
    with ThreadPoolExecutor(1) as pool:
        own = pool.submit(tag, nlp, "news")
        assert making.wait(20)
        assert in_child(tag, nlp, "news") == expected
        assert own.result(20) == expected


def test_a_fork_while_others_tag_and_domains_change(two_versions):
    nlp, folders, expected = two_versions
    model, stop = nlp.get_pipe("multibert_ner").model, threading.Event()

    def swap():
        for i in range(10**6):
            if stop.is_set():
                return
            model.read_domain(folders[i % 2], "travel")

    with Readers(lambda: tag(nlp)), ThreadPoolExecutor(1) as pool:
        job = pool.submit(swap)
        try:
            for _ in range(3):
                assert in_child(tag, nlp) in expected
        finally:
            stop.set()
        job.result(20)


def test_a_lock_that_another_thread_holds_is_free_in_the_child():
    lock, held, go_on = ForkLock(), threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            go_on.wait(60)

    def take():
        with lock, lock:
            return "taken"

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert held.wait(20)
        assert in_child(take) == "taken"
    finally:
        go_on.set()
        holder.join()


def test_a_fork_waits_for_work_and_work_for_a_fork():
    done, inside, order = threading.Event(), threading.Event(), []

    def work():
        with WHOLE, WHOLE:
            inside.set()
            time.sleep(0.3)
            order.append("work")

    worker = threading.Thread(target=work)
    worker.start()
    assert inside.wait(20)
    assert in_child(list, order) == ["work"]
    worker.join()
    with WHOLE:  # in one's own work one does not wait for it
        assert in_child(enter) == "entered"
    done.set()


def enter():
    with WHOLE:
        return "entered"


def test_a_fork_waits_no_longer_than_it_must(monkeypatch):
    """For a thread that hangs."""
    whole, hung, go_on = Whole(), threading.Event(), threading.Event()
    monkeypatch.setattr("multibert_spacy.forks.LONGEST", 0.2)

    def hang():
        with whole:
            hung.set()
            go_on.wait(60)

    def enter_own():
        with whole:
            return "entered"

    thread = threading.Thread(target=hang)
    thread.start()
    try:
        assert hung.wait(20)
        assert in_child(enter_own) == "entered"
    finally:
        go_on.set()
        thread.join()
