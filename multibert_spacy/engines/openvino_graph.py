"""Graphs of the core for OpenVINO: made, quantised, kept in the pipeline's folder.

    graph/float, graph/int8   in each:
      graph.xml, graph.bin    the core, with a slot for each stack of a bank of adapters
      graph.json              what it was made of, and hashes of the two

A graph is kept for: the core's fingerprint, the layers that are run, the adapters' shapes, and
whether it is int8. If one of them differs, or a file is damaged, it is made anew. Which adapters
there are does not matter; see `openvino_engine`.

int8. The core's own weights are kept in int8, with a scale for each output. What is multiplied
with them is made int8 as it comes, in groups (`openvino_engine.GROUPS`), so that nothing has to be
known beforehand of how large it becomes (`nncf.quantize` fixes ranges beforehand, and found fewer
of fp32's entities). The products of adapters stay in floats: they are small.
"""

import contextlib
import copy
import hashlib
import io
import json
import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openvino as ov
import torch
from torch import Tensor, nn

from ..adapters.bank import Bank
from ..core.dtypes import exact_halves
from ..core.encoder import Core
from ..errors import AdapterError, ConfigError
from ..serialization.manifest import verify_files

__all__ = ["find_graph", "keep_graph", "make_graph"]

FORMAT = 2
MANIFEST = "graph.json"
logger = logging.getLogger(__name__)


def find_graph(core: Core, bank: Bank, n_layers: int | None, folder: Path | None) -> ov.Model:
    """Read a graph, or make and keep it.

    core (Core): The core.
    bank (Bank): In fp32.
    n_layers (int): Of the core that are run; None is all.
    folder (Path): Where the graph is kept; None keeps none.
    RETURNS (ov.Model): ids (b, t), lengths (b,), row (b,) int64 and the bank's stacks, by name
        -> hidden states (b, t, h).
    RAISES (ConfigError): If it has to be int8 and NNCF is not installed.
    """
    if folder is None or not folder.parent.is_dir():  # as when a pipeline came as bytes
        return make_graph(core, bank, n_layers)
    graph = _read(folder / _kind(core), _key(core, bank, n_layers))
    return graph if graph is not None else keep_graph(core, bank, n_layers, folder)


def keep_graph(core: Core, bank: Bank, n_layers: int | None, folder: Path) -> ov.Model:
    """Make a graph and keep it in the place of what is there; see `find_graph`."""
    logger.info("Making an OpenVINO graph in %s", folder)
    graph = make_graph(core, bank, n_layers)
    key = _key(core, bank, n_layers)
    _write(graph, key, folder / _kind(core), halves=_is_half(core))
    return graph


def make_graph(core: Core, bank: Bank, n_layers: int | None) -> ov.Model:
    """Make a graph; see `keep_graph`."""
    stacks = bank.stacks()
    plain = copy.copy(core)
    plain.dtype = torch.float32
    ids, lengths = torch.full((2, 4), core.eos), torch.tensor([3, 4])
    example = (ids, lengths, torch.tensor([0, bank.n - 1]), *stacks.values())
    with _quiet():
        graph = ov.convert_model(_Traced(plain, bank, n_layers), example_input=example)
        for port, name in zip(graph.inputs, ["ids", "lengths", "row", *stacks], strict=True):
            port.get_tensor().set_names({name})
        return _compress(graph) if core.int8 else graph


class _Traced(nn.Module):
    """`Core.forward` with the bank's stacks as inputs."""

    def __init__(self, core: Core, bank: Bank, n_layers: int | None) -> None:
        super().__init__()
        self.model = core.model
        self.core = core
        self.bank = bank
        self.n_layers = n_layers

    def forward(self, ids: Tensor, lengths: Tensor, row: Tensor, *stacks: Tensor) -> Tensor:
        rows = self.bank.gather_from(stacks, row)
        return self.core.forward(ids, lengths, rows, n_layers=self.n_layers)


def _compress(graph: ov.Model) -> ov.Model:
    """Put the weights of linear layers in int8.

    Embeddings, which are only looked up, stay as they are.
    """
    try:
        import nncf
    except ImportError as e:
        raise ConfigError(
            'precision = "int8" needs an extra: pip install "multibert-spacy[openvino]"'
        ) from e
    nncf.set_log_level(logging.ERROR)
    return nncf.compress_weights(
        graph,
        mode=nncf.CompressWeightsMode.INT8_SYM,
        ignored_scope=nncf.IgnoredScope(types=["Gather"], validate=False),
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenVINO and NNCF from changing the logging and from reporting their use.

    They draw progress bars, warn about tracing, change the level of all logging and of its
    handlers, and report their use to their maker unless told that they run in a continuous
    integration.
    """
    root = logging.getLogger()
    before, level = os.environ.get("CI"), root.level
    handlers = [(handler, handler.level) for handler in root.handlers]
    os.environ["CI"] = "true"
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)
        for handler, own in handlers:
            handler.setLevel(own)
        os.environ.pop("CI")
        if before is not None:
            os.environ["CI"] = before


def _kind(core: Core) -> str:
    """Return the weights' type in a graph, of which bf16 and fp32 share one."""
    return "int8" if core.int8 else "float"


def _key(core: Core, bank: Bank, n_layers: int | None) -> dict[str, Any]:
    """Return all that a graph depends on."""
    return {
        "core": core.fingerprint(),
        "settings": core.settings,
        "layers": n_layers or core.n_layers,
        "slots": _hash_slots(bank),
        "kind": _kind(core),
    }


def _hash_slots(bank: Bank) -> str:
    """Hash the names and shapes of the stacks, leaving the number of adapters out."""
    axis = 2 if bank.kv is not None else 0
    slots = [
        [name, *shape[:axis], *shape[axis + 1 :]]
        for name, shape in ((name, stack.shape) for name, stack in bank.stacks().items())
    ]
    return hashlib.sha256(json.dumps(slots).encode()).hexdigest()


def _is_half(core: Core) -> bool:
    """Return whether the core's weights came in fp16, so that they may be kept in it."""
    kept = exact_halves(core.model.state_dict()).values()
    return all(t.dtype == torch.float16 for t in kept if t.is_floating_point())


def _read(folder: Path, key: dict[str, Any]) -> ov.Model | None:
    """Read a graph from its folder; None if there is none, or one that must be made anew."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf8"))
        if manifest["format"] != FORMAT or manifest["key"] != key:
            logger.info("The graph in %s was made for something else", folder)
            return None
        if set(manifest["files"]) != {"graph.xml", "graph.bin"}:
            raise ValueError("it must name graph.xml and graph.bin")
        verify_files(folder, manifest["files"], AdapterError)
        return ov.Core().read_model(folder / "graph.xml")
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as e:
        logger.warning("The graph in %s is damaged and is made anew: %s", folder, e)
        return None


def _write(graph: ov.Model, key: dict[str, Any], folder: Path, *, halves: bool) -> None:
    """Beside, then renamed. A folder that cannot be written to costs time, not results."""
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        draft.mkdir(parents=True)
        ov.save_model(graph, draft / "graph.xml", compress_to_fp16=halves)
        hashes = {
            name: hashlib.sha256((draft / name).read_bytes()).hexdigest()
            for name in ("graph.xml", "graph.bin")
        }
        manifest = {"format": FORMAT, "key": key, "files": hashes}
        text = json.dumps(manifest, indent=2) + "\n"
        (draft / MANIFEST).write_text(text, encoding="utf8")
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    except (OSError, RuntimeError) as e:
        logger.warning("The OpenVINO graph cannot be kept in %s: %s", folder, e)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
