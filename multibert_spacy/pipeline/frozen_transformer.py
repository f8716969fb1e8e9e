"""The `frozen_transformer` component owns the one core and lends it to later components.

It is spacy-transformers' `Transformer` with three differences. It does nothing to docs unless
`annotate = true`, because each later component runs the core itself, with adapters of its own
(`adapted = true` has the tagger feed spacy-transformers' listeners, see `feeding.py`).
It is saved as a Hugging Face folder (safetensors, JSON), where the parent unpickles. And its
weights are frozen unless `trainable = true`.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from spacy_transformers.annotation_setters import null_annotation_setter
from spacy_transformers.data_classes import HFObjects
from spacy_transformers.layers import TransformerListener
from spacy_transformers.pipeline_component import DEFAULT_CONFIG_STR, Transformer
from thinc.api import Config, Model, Optimizer

from ..core.checkpoints import fetch_core, strip_pooler
from ..core.dtypes import check_finite_tensors
from ..core.encoder import Core
from ..core.families.kinds import FAMILIES
from ..core.gradients import drop_gradients, has_gradient
from ..core.listener import CoreListener
from ..core.saved_core import (
    drop_inputs,
    find_core,
    load_core,
    quiet_transformers,
    save_core,
)
from ..errors import ConfigError, CoreError, MultibertError
from ..serialization.archive import FolderBytes
from ..serialization.parts import is_whole
from ..text.surrogates import check_whole, whole_docs
from .feeding import hand_over, listens
from .linking import LinkedPipe
from .multibert_ner import MultibertNER

__all__ = ["FrozenTransformer", "make_frozen_transformer"]

DEFAULT_CONFIG = Config().from_str(DEFAULT_CONFIG_STR)["transformer"]
DEFAULT_CONFIG = {
    **DEFAULT_CONFIG,
    "model": {**DEFAULT_CONFIG["model"], "name": ""},  # there is no core that fits everybody
    "annotate": False,
    "adapted": False,
    "precision": "auto",
    "engine": "torch",
    "trainable": False,
    "max_batch_items": 4096,
}


@Language.factory("frozen_transformer", default_config=DEFAULT_CONFIG)
def make_frozen_transformer(
    nlp: Language,
    name: str,
    model: Model[list[Doc], Any],
    set_extra_annotations: Callable[..., None],
    max_batch_items: int,
    annotate: bool,
    adapted: bool,
    precision: str,
    engine: str,
    trainable: bool,
) -> "FrozenTransformer":
    """Construct the component that owns the core.

    model (Model): `spacy-transformers.TransformerModel.v3`: name or path of the core, and its
        tokenizer's settings.
    set_extra_annotations (Callable): As in spacy-transformers; used with annotate.
    max_batch_items (int): Padded pieces of a batch; used with annotate.
    annotate (bool): Write `doc._.trf_data`, as any transformer component does: spacy-transformers'
        own listeners read the core's hidden states in prediction and in training.
    adapted (bool): They read those with the adapter of each doc's domain instead. The tagger
        writes them, so that listeners stand behind it; its windows and batch_pieces hold in place
        of get_spans and max_batch_items.
    precision (str): "auto", "fp32", "bf16", "fp16" or "int8": what later components compute in.
    engine (str): "torch" or "openvino": what later components predict with. "openvino" is an
        extra, for CPUs; "int8" needs it.
    trainable (bool): The paper's mode for a core that is not yet pre-trained.
    """
    return FrozenTransformer(
        nlp.vocab,
        model,
        set_extra_annotations,
        name=name,
        max_batch_items=max_batch_items,
        annotate=annotate,
        adapted=adapted,
        precision=precision,
        engine=engine,
        trainable=trainable,
    )


class FrozenTransformer(LinkedPipe, FolderBytes, Transformer):
    """Pipeline component that lends a frozen core to later ones."""

    _has_feeder = False

    def __init__(
        self,
        vocab: Vocab,
        model: Model[list[Doc], Any],
        set_extra_annotations: Callable[..., None] = null_annotation_setter,
        *,
        name: str = "transformer",
        max_batch_items: int = 4096,
        annotate: bool = False,
        adapted: bool = False,
        precision: str = "auto",
        engine: str = "torch",
        trainable: bool = False,
    ) -> None:
        """Make a component without a core; see `make_frozen_transformer`.

        RAISES (ConfigError): If an option would be without effect.
        """
        if adapted and set_extra_annotations is not null_annotation_setter:
            raise ConfigError(
                f"'{name}' has adapted = true, which takes no set_extra_annotations: leave them "
                "out, or set annotate = true in place of adapted"
            )
        super().__init__(
            vocab, model, set_extra_annotations, name=name, max_batch_items=max_batch_items
        )
        model.attrs["set_transformer"] = partial(_set_core, model.attrs["set_transformer"])
        self.annotate = annotate
        self.adapted = adapted
        self.precision = precision
        self.engine = engine
        self.trainable = trainable
        self._core: Core | None = None
        self._fingerprint: str | None = None

    @property
    def _writes(self) -> bool:
        """Whether the transformer itself writes `doc._.trf_data`."""
        return self.annotate and not self.adapted

    @property
    def stock_listeners(self) -> list[TransformerListener]:
        """The listeners of spacy-transformers."""
        return [own for own in self.listeners if isinstance(own, TransformerListener)]

    @property
    def core(self) -> Core:
        """The core that is lent.

        RAISES (CoreError): If there is none yet, or its architecture is not supported.
        """
        if self._core is None:
            if not self.model.attrs["has_transformer"]:
                self._check_name()
                raise CoreError(
                    f"The component '{self.name}' has no core yet: initialize or load the pipeline"
                )
            strip_pooler(self.model.transformer)
            # spacy-transformers' forward sets padding and truncation on its tokenizer
            tokenizer = self.model.tokenizer
            self._core = Core(
                self.model.transformer,
                copy.deepcopy(tokenizer) if self.annotate else tokenizer,
                precision=self.precision,
                engine=self.engine,
                trainable=self.trainable,
            )
        return self._core

    def freeze(self) -> None:
        """Freeze a core that was trained. The pipeline's config is the caller's to change."""
        self.trainable = False
        self._core = None
        self._fingerprint = None

    def fingerprint(self) -> str:
        """Return the identity of the core's weights, which adapters are bound to."""
        if self._fingerprint is None or self.trainable:
            self._fingerprint = self.core.fingerprint()
        return self._fingerprint

    def _settings_changed(self) -> None:
        """A core is made for its settings."""
        self._core = None

    def find_listeners(self, component: Any) -> None:
        """Lend the core to a component whose model holds a `CoreListener`.

        spacy-transformers' own listeners are found as well.

        RAISES (ConfigError): If nothing would feed those.
        """
        self._check_fed(component)
        super().find_listeners(component)
        if isinstance(getattr(component, "model", None), Model):
            for node in component.model.walk():
                if isinstance(node, CoreListener) and node.upstream in ("*", self.name):
                    self.add_listener(node, component.name)
                    node.receive(self)
                    self._has_feeder |= isinstance(component, MultibertNER)

    def _linked(self, nlp: Language) -> None:
        """Find anew which component feeds listeners."""
        super()._linked(nlp)
        self._has_feeder = False

    def _check_fed(self, component: Any) -> None:
        """Check that somebody feeds a component that listens.

        Where nobody writes `doc._.trf_data`, spaCy's own listeners read zeros, in training and
        after it.

        component (Any): What stands behind this one.
        RAISES (ConfigError): If it listens, and nobody writes.
        """
        if not listens(component, self.name) or self._is_another_s(component):
            return
        if self.adapted and not self._has_feeder:
            raise ConfigError(
                f"'{component.name}' listens to '{self.name}', which has adapted = true: what it "
                "reads is written by the multibert_ner, behind which it has to stand"
            )
        if not self.adapted and not self.annotate:
            raise ConfigError(
                f"'{component.name}' listens to '{self.name}', which has annotate = false and "
                f"writes nothing: it would read zeros. Set [components.{self.name}] annotate = "
                "true (the core's hidden states) or adapted = true (those of each doc's domain); "
                "of a pipeline that exists: "
                f'spacy.load(…, config={{"components.{self.name}.annotate": True}})'
            )

    def _is_another_s(self, component: Any) -> bool:
        """Return whether a stock transformer in front feeds it: a listener may listen to any."""
        for _, proc in self._pipeline.pipeline if self._pipeline is not None else ():
            if proc is component:
                return False
            stock = isinstance(proc, Transformer) and not isinstance(proc, FrozenTransformer)
            if stock and listens(component, proc.name):
                return True
        return False

    def __call__(self, doc: Doc) -> Doc:
        """Do nothing to a doc, unless annotate: then do as the parent.

        RAISES (MultibertError): If the text is not valid; see `text/surrogates.py`.
        """
        check_whole(doc)
        return super().__call__(doc) if self._writes else doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Do nothing to docs, unless annotate: then do as the parent.

        A text that is not valid goes to the error handler.
        """
        stream = whole_docs(stream, partial(self.get_error_handler(), self.name, self))
        yield from super().pipe(stream, batch_size=batch_size) if self._writes else stream

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Hand spacy-transformers' listeners what they read, if it is written here. No gradient
        comes back: those of a trainable core come from the components that run it.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        if self._writes and self.stock_listeners:
            docs = [eg.predicted for eg in examples]
            hand_over(self.stock_listeners, docs, self.predict(docs).doc_data)
        return losses

    def finish_update(self, sgd: Optimizer) -> None:
        """Apply the gradients that later components left in a trainable core."""
        if self.trainable and has_gradient(self.model):
            self.model.finish_update(sgd)
            drop_gradients(self.model)

    def initialize(
        self, get_examples: Callable[[], Iterable[Example]], *, nlp: Language | None = None
    ) -> None:
        """Load the core, unless there is one: it is frozen, and nothing here starts anew.

        It is loaded by name or path, as the parent does, or by the name of an installed pipeline
        or the path of another that has it.

        RAISES (ConfigError): If no core is named.
        RAISES (CoreError): If there is none of that name, it cannot be read, or its weights are
            not whole.
        """
        if not self.model.attrs["has_transformer"]:
            self._check_name()
            self.model.attrs["name"] = find_core(self.model.attrs["name"])
            self.model.attrs["set_transformer"](self.model, self._fetch(self.model.attrs["name"]))
        super().initialize(get_examples, nlp=nlp)
        self._core = None

    def _fetch(self, name: str) -> HFObjects:
        """Read a core by name or path.

        RAISES (CoreError): If there is none of that name, or it cannot be read.
        """
        tokenizer, settings = (
            self.model._init_tokenizer_config,
            self.model._init_transformer_config,
        )
        try:
            with quiet_transformers():
                return fetch_core(name, tokenizer, settings)
        except MultibertError:
            raise
        except Exception as e:  # transformers checks little of what it reads
            place = f"{name!r} ([components.{self.name}.model] name)"
            if Path(name).is_dir():
                reason = " ".join(f"{type(e).__name__}: {e}".split())
                raise CoreError(f"The core in {place} cannot be read: {reason:.300}") from e
            reason = (str(e).strip().splitlines() or [""])[0]
            raise CoreError(
                f"There is no core {place}: it is not a folder here, and the hub did not help: "
                f"{reason}"
            ) from e

    def _check_name(self) -> None:
        """Check that the core has a name, since it would otherwise be some default.

        RAISES (ConfigError): If it has none.
        """
        if not self.model.attrs["name"]:
            raise ConfigError(
                f"'{self.name}' has no core. Set [components.{self.name}.model] name = … to a "
                f"folder or a Hugging Face name of an encoder ({', '.join(FAMILIES)}), or to a "
                'pipeline that has one, such as "fa_multibert"; or source the component: '
                f'[components.{self.name}] source = "fa_multibert"'
            )

    def check_savable(self) -> None:
        """Check that all weights are finite.

        RAISES (ConfigError): If a weight of the core is not a finite number.
        """
        if self.model.attrs["has_transformer"]:
            check_finite_tensors(self.name, self.core.model.state_dict(), halves=False)

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the core as a Hugging Face folder, unless "model" is excluded. All settings are
        the config's.
        """
        path = Path(path)
        path.mkdir(parents=True, exist_ok=True)
        if "model" not in exclude and self.model.attrs["has_transformer"]:
            config = path.parent / "config.cfg"
            save_core(
                self.core, path / "model", self.fingerprint(), config, whole=is_whole(exclude)
            )

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "FrozenTransformer":
        """Read what `to_disk` wrote; uses no network.

        RAISES (CoreError): If a file is missing or damaged.
        """
        if "model" not in exclude:
            path = Path(path)
            config = path.parent / "config.cfg"
            objects, self._fingerprint = load_core(path / "model", config, whole=is_whole(exclude))
            self.model.attrs["has_transformer"] = False
            self.model.attrs["set_transformer"](self.model, objects)
            self._core = None
        return self


def _set_core(set_transformer: Callable[..., None], model: Model[Any, Any], core: Any) -> None:
    """In the place of spacy-transformers' own. core (HFObjects): Model and tokenizer."""
    drop_inputs(core.transformer, core.tokenizer)
    set_transformer(model, core)
