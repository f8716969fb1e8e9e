"""Work that no fork may cut in two, and locks that a child finds free.

A fork copies the memory of a process and one of its threads. What the others were doing is never
finished in the child: a lock stays held by a thread that is not there, a module stays half
imported, oneDNN waits for a product that somebody else was about to compile. Our own locks can be
made anew in the child, those of Python's imports and of libraries cannot. So a fork waits until no
other thread is in the middle of such work, and holds up those that would begin some: a few
milliseconds for a batch, longer where a graph is made. (`subprocess` does not wait: it runs
nothing of ours in the child.) Forks of a process that has done no such work are left alone.
"""

import os
import threading

__all__ = ["WHOLE", "ForkLock", "Whole"]

LONGEST = 60.0
"""Seconds that a fork waits; then it goes on, since a thread that hangs must not stop it too."""


class ForkLock:
    """A lock that is free in a child, whoever held it in the parent. The same thread may take it
    again. It lives as long as the process: make one for a module, not for an object.
    """

    def __init__(self) -> None:
        self._registered = False
        self._renew()

    def _renew(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        if not self._registered:
            self._registered = True
            os.register_at_fork(after_in_child=self._renew)
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


class Whole:
    """`with WHOLE:` around work that a fork has to wait for. Any number of threads may be inside,
    each as often as it likes; none may wait there for another that is yet to come in.
    """

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._inside: dict[int, int] = {}
        self._n_forks = 0
        self._registered = False

    def __enter__(self) -> None:
        own = threading.get_ident()
        with self._turn:
            if not self._registered:
                self._registered = True
                os.register_at_fork(
                    before=self._wait, after_in_parent=self._go_on, after_in_child=self._renew
                )
            while self._n_forks and own not in self._inside:
                self._turn.wait()
            self._inside[own] = self._inside.get(own, 0) + 1

    def __exit__(self, *error: object) -> None:
        own = threading.get_ident()
        with self._turn:
            self._inside[own] -= 1
            if not self._inside[own]:
                del self._inside[own]
                self._turn.notify_all()

    def _wait(self) -> None:
        """Before a fork. The lock is held until after it, so that nobody comes in."""
        own = threading.get_ident()
        self._turn.acquire()
        self._n_forks += 1
        self._turn.wait_for(lambda: self._inside.keys() <= {own}, timeout=LONGEST)

    def _go_on(self) -> None:
        if not self._n_forks:  # the first work began while the process was being forked
            return
        self._n_forks -= 1
        self._turn.notify_all()
        self._turn.release()

    def _renew(self) -> None:
        """In the child, whose only thread may have been inside itself."""
        own = threading.get_ident()
        self._turn = threading.Condition()
        self._inside = {own: self._inside[own]} if own in self._inside else {}
        self._n_forks = 0


WHOLE = Whole()
"""Making what runs a core, each pass through one, the import of a large library."""
