"""Processes of this machine."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

from ...errors import EngineError
from ..worker import Counts, Worker, worker_for

__all__ = ["run"]

Tell = Callable[[int], None]
_queue: list[Any] = []


def run(output: str, indices: Sequence[int], workers: int, tell: Tell) -> Iterator[Counts]:
    """Do parts of a plan.

    output (str): The run's folder.
    indices (Sequence[int]): The parts to do.
    workers (int): Processes; with one it is this process, which has all cores for each batch.
    tell (Callable): Is told of the texts on the way.
    YIELDS (dict): Counts of each part, as they come.
    RAISES (EngineError): If a process died.
    """
    if workers == 1:
        yield from map(partial(Worker(output), tell=tell), indices)
        return
    # "fork" would copy a process that has threads; what is set here, torch reads when it starts
    context = get_context("spawn")
    queue = context.Queue()
    with _threads(max(1, (os.cpu_count() or 1) // workers)):
        pool = ProcessPoolExecutor(
            workers, mp_context=context, initializer=_start, initargs=(queue,)
        )
        pending: set[Future[Counts]] = {pool.submit(_do, output, index) for index in indices}
    try:
        while pending:
            done, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            while not queue.empty():
                tell(queue.get())
            yield from (future.result() for future in done)
        while not queue.empty():
            tell(queue.get())
    except BrokenProcessPool as e:
        raise EngineError(
            "A worker process died; the system may have run out of memory. Continue with fewer "
            "--workers and --resume"
        ) from e
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _threads(n: int) -> Iterator[None]:
    """Let processes that are started now compute with n threads, unless the user chose."""
    name = "OMP_NUM_THREADS"
    if name in os.environ:
        yield
        return
    os.environ[name] = str(n)
    try:
        yield
    finally:
        del os.environ[name]


def _start(queue: Any) -> None:
    """In a new process: end with the one that made it, even if that was killed."""
    _queue[:] = [queue]
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(output: str, index: int) -> Counts:
    return worker_for(output)(index, _queue[0].put)
