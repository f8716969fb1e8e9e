"""The network that the detector's two kinds share: how it is installed, written and read."""

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from spacy.tokens import Doc
from thinc.api import Model
from torch import Tensor

from ..adapters.storage import SETTINGS, say_unproven, write_files, write_folder
from ..core.dtypes import check_finite_tensors
from ..core.listener import CoreListener, ModuleShim
from ..engines.adapted_module import AdaptedModule
from ..errors import ConfigError
from ..types import Floats2d
from .knowledge import Knowledge

__all__ = ["DetectorModel"]

M = TypeVar("M", bound=AdaptedModule)


class DetectorModel(Model[list[Doc], Floats2d], Generic[M]):
    """Docs, each a group, -> scores of domains. A subclass sets what stands here before anything
    else.

    graph (Path), settable before there is a network: Where a graph of the core is kept.
    """

    listener: CoreListener
    n_layers: int
    graph: Path | None

    @property
    def module(self) -> M:
        """The module with the weights.

        RAISES (ConfigError): If the model was not initialised or read.
        """
        if not self.shims:
            raise ConfigError("The domain detector has no weights yet: train or load it first")
        module: M = self.shims[0]._model
        return module

    def _check_layers(self) -> None:
        """Check that the core has as many layers as are to be run.

        RAISES (ConfigError): If it has fewer.
        """
        n_layers = self.listener.core.n_layers
        if self.n_layers > n_layers:
            raise ConfigError(f"layers = {self.n_layers}, but the core has {n_layers}")

    def remember(self) -> Callable[[], None]:
        """Return a function that puts the network back which is there now."""
        shims, n_outputs = list(self.shims), self._dims["nO"]

        def put_back() -> None:
            self.shims[:] = shims
            self._dims["nO"] = n_outputs

        return put_back

    def _install(self, module: M, n_outputs: int) -> None:
        """Set the network. Last, since other threads predict with what is there."""
        module.graph = self.graph
        self.shims[:] = [ModuleShim(module.to(self.listener.core.device))]
        self._dims["nO"] = n_outputs

    def knowledge(self, label: str) -> Knowledge | None:
        """Return what it knows of one domain; None if that means nothing to another detector."""
        return None

    def learn(self, label: str, known: Knowledge) -> bool:
        """Take over a domain.

        label (str): A new one.
        known (Knowledge): What another detector knows of it.
        RETURNS (bool): Whether this one can learn it; else nothing has changed.
        """
        return False

    @abstractmethod
    def forget(self, labels: Sequence[str], label: str) -> bool:
        """Lose a domain.

        labels (Sequence[str]): All there are. label (str): One of them.
        RETURNS (bool): Whether it could; else nothing has changed.
        """

    def rename(self, old: str, new: str) -> None:
        """Call a domain otherwise, where the network knows names."""

    @abstractmethod
    def _tensors(self, lent: Collection[str] = ()) -> dict[str, Tensor]:
        """Return the tensors that are saved beside the adapter.

        lent (Collection[str]): Domains that were learnt and are not saved.
        """

    @abstractmethod
    def _shape(self) -> dict[str, Any]:
        """Settings without which weights mean something else."""

    def _about(self, lent: Collection[str] = ()) -> Mapping[str, Any]:
        """Return what the manifest says besides labels and the core's settings."""
        return self._shape()

    @abstractmethod
    def _read(
        self, folder: Path, labels: Sequence[str]
    ) -> tuple[dict[str, Any], Callable[[], None]]:
        """Read the files, and return the manifest and a function that takes over what was read."""

    def check_savable(self) -> None:
        """Check that all weights are finite, so that the model can be saved.

        RAISES (ConfigError): If one is not.
        """
        if self.shims:
            (adapter,) = self.module.adapters
            tensors = {**adapter.export(), **self._tensors()}
            check_finite_tensors("domain_detector", tensors)

    def write(
        self,
        folder: Path,
        labels: Sequence[str],
        *,
        new: bool = False,
        lent: Collection[str] = (),
    ) -> None:
        """Write adapter and weights.

        labels (Sequence[str]): The domains, without those that are lent.
        new (bool): Whether the folder is a draft's, and nothing is there.
        lent (Collection[str]): Domains that were learnt and are not saved.
        """
        settings = self.listener.core.settings
        meta = {"labels": list(labels), **self._about(lent), SETTINGS: settings}
        (adapter,) = self.module.adapters
        write = write_files if new else write_folder
        write(folder, adapter, self._tensors(lent), meta, self.listener.fingerprint())

    def read(
        self,
        folder: Path,
        labels: Sequence[str],
        *,
        check: Callable[[], None] = lambda: None,
        graph: Path | None = None,
    ) -> None:
        """Replace the network by one that was written, or leave it if that one is damaged.

        folder (Path): What `write` wrote.
        labels (Sequence[str]): Those that it should be for.
        check (Callable): Called when all has been read, before it is taken.
        graph (Path): Where a graph of the core is kept; None leaves the place as it is.
        RAISES (AdapterError): If the folder is damaged or of another core or label set.
        """
        manifest, take = self._read(folder, labels)
        check()
        say_unproven(folder.parent, {folder.name: manifest})
        self.graph = graph or self.graph
        take()
