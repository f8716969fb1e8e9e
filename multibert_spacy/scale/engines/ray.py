"""Ray Data: an actor for each worker, on this machine or on all of a cluster.

A pipeline is loaded once for each actor. Ray schedules parts, starts what fails anew, and holds no
more than the actors ask for. `num_cpus` of an actor is what Ray sets `OMP_NUM_THREADS` to.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from spacy import prefer_gpu

from ...errors import EngineError
from ..extras import need
from ..worker import Counts, reason_of, worker_for

__all__ = ["run"]

MOST_BLOCKS = 2000
"""Ray keeps a block for each; of more parts several share one."""


class TagParts:
    """An actor. Takes a row with a part's number and returns one with its counts."""

    def __init__(self) -> None:
        if need("ray", "ray").get_gpu_ids():
            prefer_gpu()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"counts": json.dumps(worker_for(row["output"])(int(row["part"])))}


def run(
    output: str, indices: Sequence[int], workers: int, tell: Callable[[int], None]
) -> Iterator[Counts]:
    """Do parts of a plan; see `local.run`.

    A Ray that runs already is used as it is, and so is the cluster that `RAY_ADDRESS` names; else
    one is started on this machine and stopped again.

    RAISES (EngineError): If a part failed as often as Ray tries.
    """
    ray = need("ray", "ray")
    data = need("ray.data", "ray")
    own = not ray.is_initialized()
    if own:
        # Ray Data's own actors make Ray warn of Ray Data
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        total = ray.cluster_resources()
        resources = {"num_cpus": max(1, int(total.get("CPU", 1)) // workers)}
        if gpus := total.get("GPU", 0):
            resources["num_gpus"] = min(1, gpus / workers)
        data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what it says, we raise
        parts = data.from_items(
            [{"output": output, "part": index} for index in indices],
            override_num_blocks=min(len(indices), MOST_BLOCKS),
        )
        done = parts.map(
            TagParts,
            compute=data.ActorPoolStrategy(size=workers),
            **resources,
        )
        for row in done.iter_rows():
            counts = json.loads(row["counts"])
            tell(counts["texts"])
            yield counts
    except ray.exceptions.RayError as e:
        raise EngineError(f"Ray: {reason_of(e)}") from e
    finally:
        if own:
            ray.shutdown()
