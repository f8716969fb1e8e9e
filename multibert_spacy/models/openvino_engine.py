"""The core and a component's adapters as one OpenVINO graph.

    graph of the core, with a slot for each stack of a bank   kept on disk, see `openvino_graph`
    + the bank's stacks as constants in the slots             when the component first runs
    = a compiled model (ids, lengths, adapter of each row) -> hidden states

The adapters are not part of what is kept, so that one may be added, replaced or removed without a
new graph.
"""

import os
import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from openvino import opset13 as ops
from torch import Tensor

from ..errors import ConfigError
from ..text.batching import batch_by_pieces
from .adapters import Adapter
from .bank import Bank
from .compute import n_streams
from .core import Core
from .openvino_graph import find_graph

__all__ = ["OpenvinoRunner"]


_user: list[int] = []
"""The process that first used OpenVINO, if one has."""


def _check_process() -> None:
    """OpenVINO's threads do not survive a fork, and a child that waits for them waits for ever.
    RAISES (ConfigError): If it was used in the process from which this one was forked.
    """
    if not _user:
        _user.append(os.getpid())
    elif _user[0] != os.getpid():
        raise ConfigError(
            'engine = "openvino" was used before this process was forked, and cannot be used in '
            'it: call multiprocessing.set_start_method("spawn") first, use n_process=1 (OpenVINO '
            'uses all cores by itself), or choose engine = "torch"'
        )


class OpenvinoRunner:
    """A compiled graph."""

    def __init__(
        self, core: Core, adapters: Sequence[Adapter], n_layers: int | None, folder: Path | None
    ) -> None:
        """See `make_runner`. RAISES (ConfigError): After a fork."""
        _check_process()
        self.core = core
        bank = Bank(adapters, torch.float32)
        self._place = np.array(bank.place, dtype=np.int64)
        self._graph = _fill(find_graph(core, bank, n_layers, folder), bank)
        self._free: queue.SimpleQueue[Any] | None = None
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> "OpenvinoRunner":
        return self  # the core is shared by design

    def __call__(self, ids: Tensor, lengths: Tensor, index: Sequence[int]) -> Tensor:
        """See `Runner`. RETURNS (b, t, h) float32. RAISES (ConfigError): After a fork."""
        _check_process()
        requests = self._requests()
        request = requests.get()
        try:
            rows = self._place[np.asarray(index, dtype=np.int64)]
            outputs = request.infer([ids.numpy(), lengths.numpy(), rows])
            return torch.from_numpy(outputs[0])
        finally:
            requests.put(request)

    def batches(
        self, lengths: Sequence[int], index: Sequence[int], budget: int
    ) -> list[list[int]]:
        """See `Runner`."""
        return batch_by_pieces(lengths, budget)

    def _requests(self) -> "queue.SimpleQueue[Any]":
        """Those that no thread is using: one cannot be used by two. As many as there are cores,
        each of which works on a batch of its own: 640 texts, LoRA in int8, took 8.3 s with two
        cores on one batch, and 5.4 s with a batch for each.
        """
        with self._lock:
            if self._free is None:
                streams = n_streams(self.core.engine)
                compiled = self._compile(streams)
                free: queue.SimpleQueue[Any] = queue.SimpleQueue()
                for _ in range(streams):
                    free.put(compiled.create_infer_request())
                self._free = free
            return self._free

    def _compile(self, streams: int) -> Any:
        config = {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[self.core.dtype],
            "INFERENCE_NUM_THREADS": streams,
            "NUM_STREAMS": streams,
            "CPU_RUNTIME_CACHE_CAPACITY": KEPT_PRODUCTS,
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP,  # of use where weights are in int8
        }
        return ov.Core().compile_model(self._graph, "CPU", config)


KEPT_PRODUCTS = 32
"""Compiled products that each stream keeps, by shape; OpenVINO's own 5,000 are a leak in a stream
of texts. After five times 320 texts the process had 2,033 MB with these, 1,434 MB with 32 and
1,460 MB with none, in the same time (none: a tenth more).
"""
GROUP = 64
"""Numbers that share a scale in int8, of what is multiplied with the weights. 720 sentences took
3.3 s with 32, 3.0 with 64, 2.9 with 128 to 384, 3.6 with a scale per word; 97 to 98 % of the
entities are fp32's with 32 to 192. 64 divides the width of every common core.
"""
_PRECISIONS = {torch.float32: "f32", torch.bfloat16: "bf16"}


def _fill(graph: Any, bank: Bank) -> Any:
    """graph (ov.Model): With open slots, changed in place.
    RETURNS (ov.Model): The bank's stacks in their place.
    """
    for name, stack in bank.stacks.items():
        slot = graph.input(name).get_node()
        slot.output(0).replace(ops.constant(stack.contiguous().numpy()).output(0))
        graph.remove_parameter(slot)
    graph.validate_nodes_and_infer_types()
    return graph
