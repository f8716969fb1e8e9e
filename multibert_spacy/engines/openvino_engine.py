"""The core and a component's adapters as one OpenVINO graph.

    graph of the core, with a slot for each stack of a bank   kept on disk, see `openvino_graph`
    + the bank's stacks as constants in the slots             when the component first runs
    = a compiled model (ids, lengths, adapter of each row) -> hidden states

The adapters are not part of what is kept, so that one may be added, replaced or removed without a
new graph. Whatever was compiled is compared with torch before it is used (`self_check`): a few
short rows, each time, since the processor, the graph and the adapters may all be new.
"""

import copy
import math
import os
import queue
import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from openvino import opset13 as ops
from torch import Tensor

from ..adapters.bank import Bank
from ..adapters.kinds import Adapter
from ..core.encoder import Core
from ..errors import ConfigError, EngineError
from ..text.batching import batch_by_pieces
from .openvino_graph import find_graph
from .self_check import find_fault
from .threads import n_streams
from .torch_engine import run_rows

__all__ = ["OpenvinoEngine", "group_size"]


_user: list[int] = []
"""The process that first used OpenVINO, if one has."""


def _check_process() -> None:
    """Check that OpenVINO was not used before this process was forked.

    OpenVINO's threads do not survive a fork, and a child that waits for them waits for ever.

    RAISES (ConfigError): If it was.
    """
    if not _user:
        _user.append(os.getpid())
    elif _user[0] != os.getpid():
        raise ConfigError(
            'engine = "openvino" was used before this process was forked, and cannot be used in '
            'it: call multiprocessing.set_start_method("spawn") first, use n_process=1 (OpenVINO '
            'uses all cores by itself), or choose engine = "torch"'
        )


class OpenvinoEngine:
    """A compiled graph."""

    def __init__(
        self, core: Core, adapters: Sequence[Adapter], n_layers: int | None, folder: Path | None
    ) -> None:
        """Make the graph of a core and its adapters, or read it; it is compiled when a row comes.

        core, adapters, n_layers, folder: As `make_engine` takes them; `folder` is its `graph`.
        RAISES (ConfigError): After a fork.
        """
        _check_process()
        self.core = core
        bank = Bank(adapters, torch.float32)
        self._bank = bank
        self._n_layers = n_layers
        self._folder = folder
        self._place = np.array(bank.place, dtype=np.int64)
        self._graph = _fill(find_graph(core, bank, n_layers, folder), bank)
        self._free: queue.SimpleQueue[Any] | None = None
        self._fault: str | None = None
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> "OpenvinoEngine":
        return self  # the core is shared by design

    def __call__(self, ids: Tensor, lengths: Tensor, index: Sequence[int]) -> Tensor:
        """Run a batch; see `Engine.__call__`.

        RETURNS (b, t, h): Hidden states in float32.
        RAISES (ConfigError): After a fork.
        RAISES (EngineError): If what was compiled does not compute what torch computes.
        """
        _check_process()
        requests = self._requests()
        request = requests.get()
        try:
            return self._infer(request, ids, lengths, index)
        finally:
            requests.put(request)

    def prepare(self) -> None:
        """Compile and check now what would otherwise be compiled when the first row comes.

        RAISES (ConfigError): After a fork.
        RAISES (EngineError): If what was compiled does not compute what torch computes.
        """
        _check_process()
        self._requests()

    def _infer(self, request: Any, ids: Tensor, lengths: Tensor, index: Sequence[int]) -> Tensor:
        rows = self._place[np.asarray(index, dtype=np.int64)]
        outputs = request.infer([ids.numpy(), lengths.numpy(), rows])
        return torch.from_numpy(outputs[0])

    def batches(
        self, lengths: Sequence[int], index: Sequence[int], budget: int
    ) -> list[list[int]]:
        """Divide rows into batches by their pieces; see `Engine.batches`."""
        return batch_by_pieces(lengths, budget)

    def _requests(self) -> "queue.SimpleQueue[Any]":
        """Return the queue of requests that no thread is using, since two cannot share one.

        There are as many as cores, each of which works on a batch of its own: that is faster than
        all cores on one batch.
        """
        with self._lock:
            if self._fault is not None:
                raise EngineError(self._fault)  # compiled again it would be the same
            if self._free is None:
                streams = n_streams(self.core.engine)
                try:
                    compiled = self._compile(streams)
                    requests = [compiled.create_infer_request() for _ in range(streams)]
                    fault = self._find_fault(requests[0])
                except RuntimeError as err:
                    fault = f"it fails ({str(err).strip().splitlines()[-1].strip()})"
                if fault is not None:
                    self._fault = self._message(fault)
                    raise EngineError(self._fault)
                free: queue.SimpleQueue[Any] = queue.SimpleQueue()
                for request in requests:
                    free.put(request)
                self._free = free
            return self._free

    def _find_fault(self, request: Any) -> str | None:
        """Return how far the results are from torch's; None if they are near."""
        plain = copy.copy(self.core)
        plain.dtype = torch.float32

        def run(ids: Tensor, lengths: Tensor, index: Sequence[int]) -> Tensor:
            return self._infer(request, ids, lengths, index)

        def right(ids: Tensor, lengths: Tensor, index: Sequence[int]) -> Tensor:
            return run_rows(plain, self._bank, ids, lengths, index, n_layers=self._n_layers)

        place = self._bank.place
        adapters = [place.index(i) for i in range(self._bank.n)]
        return find_fault(run, right, self.core, adapters, self._precision)

    def _message(self, fault: str) -> str:
        """Return an error message that says what is wrong and what to do."""
        processor = ov.Core().get_property("CPU", "FULL_DEVICE_NAME")
        message = (
            f'engine = "openvino", precision {self._precision}, does not compute on this '
            f"processor ({processor}, {torch.backends.cpu.get_cpu_capability()}) what torch "
            f'computes: {fault}. Choose engine = "torch" or another precision on the '
            "frozen_transformer"
        )
        if self._folder is not None:
            message += f", or delete {self._folder}, so that the graph is made anew"
        return message

    @property
    def _precision(self) -> str:
        return "int8" if self.core.int8 else _PRECISIONS[self.core.dtype][1]

    def _compile(self, streams: int) -> Any:
        config = {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[self.core.dtype][0],
            "INFERENCE_NUM_THREADS": streams,
            "NUM_STREAMS": streams,
            "CPU_RUNTIME_CACHE_CAPACITY": KEPT_PRODUCTS,
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": group_size(int8_widths(self._graph)),
        }
        return ov.Core().compile_model(self._graph, "CPU", config)


KEPT_PRODUCTS = 32
"""Compiled products that each stream keeps, by shape; OpenVINO's own 5,000 are a leak in a stream
of texts.
"""
GROUPS = (64, 32)
"""Numbers that may share a scale in int8, of what is multiplied with the weights; the first that
divides every width is taken: larger groups are hardly faster. OpenVINO ignores what is not a
multiple of 16 and recommends 32, 64 and 128.
"""


def group_size(widths: Collection[int]) -> int:
    """Return a group size that OpenVINO's int8 can use for layers of these widths.

    OpenVINO makes int8 of whole groups only, and otherwise multiplies what it finds in memory
    where the rest of a row should be, without a word. It does so on processors with VNNI alone.

    widths (Collection[int]): Inputs of the layers with weights in int8.
    RETURNS (int): A legal group that divides all; 0 if there is none: then weights are in int8,
        and what is multiplied with them is not.
    """
    whole = math.gcd(*widths)
    return next((group for group in GROUPS if whole and whole % group == 0), 0)


def int8_widths(graph: Any) -> set[int]:
    """Return the input widths of a graph's products that have constant weights in int8."""
    widths = set()
    for node in graph.get_ops():
        if node.get_type_name() == "MatMul":
            weights = node.input_value(1)
            source = weights.get_node()
            while source.get_type_name() in ("Convert", "Multiply", "Subtract", "Reshape"):
                source = source.input_value(0).get_node()
            if source.get_type_name() == "Constant" and source.get_element_type() in _INT8:
                axis = -1 if node.get_attributes()["transpose_b"] else -2
                widths.add(weights.get_partial_shape()[axis].get_length())
    return widths


_INT8 = (ov.Type.i8, ov.Type.u8)
_PRECISIONS = {torch.float32: ("f32", "fp32"), torch.bfloat16: ("bf16", "bf16")}
"""OpenVINO's names and ours."""


def _fill(graph: Any, bank: Bank) -> Any:
    """Fill the open slots of a graph with the bank's stacks.

    graph (ov.Model): A graph with open slots, changed in place.
    RETURNS (ov.Model): The same graph, which has no slots left.
    """
    for name, stack in bank.stacks().items():
        slot = graph.input(name).get_node()
        slot.output(0).replace(ops.constant(stack.contiguous().numpy()).output(0))
        graph.remove_parameter(slot)
    graph.validate_nodes_and_infer_types()
    return graph
