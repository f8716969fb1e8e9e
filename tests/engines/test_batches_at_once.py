"""How many batches run at once."""

import threading

import pytest
import torch

from multibert_spacy.engines.threads import n_streams, run_batches


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_torch_gives_all_its_threads_to_one_batch(three_threads):
    assert n_streams("torch") == 1
    assert n_streams("openvino") == 3


def test_with_openvino_batches_run_at_once_and_results_stay_in_order(three_threads):
    all_there = threading.Barrier(3, timeout=20)  # breaks unless three wait at the same time

    def run(batch: int) -> int:
        all_there.wait()
        return 10 * batch

    assert list(run_batches(run, [3, 1, 2, 6, 4, 5], "openvino")) == [30, 10, 20, 60, 40, 50]


def test_with_torch_batches_run_one_by_one_in_the_callers_thread(three_threads):
    seen = []

    def run(batch: int) -> int:
        seen.append((batch, threading.current_thread()))
        return batch

    assert list(run_batches(run, [2, 1], "torch")) == [2, 1]
    assert seen == [(2, threading.current_thread()), (1, threading.current_thread())]


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_no_batches_are_no_results(engine):
    assert list(run_batches(abs, [], engine)) == []


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_the_error_of_a_batch_reaches_the_caller(three_threads, engine):
    def run(batch: int) -> float:
        return 1 / batch

    with pytest.raises(ZeroDivisionError):
        list(run_batches(run, [1, 0, 2], engine))
