"""Registered functions: what a config can name."""

from collections.abc import Callable

from spacy.util import registry

from ..adapters.kinds import (
    ALL_LINEAR,
    QUERY_VALUE,
    AdapterSettings,
    LoraSettings,
    NoSettings,
    PrefixSettings,
)
from ..core.listener import CoreListener
from .classifier import ClassifierModel
from .mixture_model import MixtureModel
from .tagger_model import TaggerModel

__all__ = [
    "build_core_listener_v1",
    "build_domain_classifier_v1",
    "build_domain_mixture_v1",
    "build_lora_v1",
    "build_no_adapter_v1",
    "build_paper_lora_v1",
    "build_paper_prefix_v1",
    "build_prefix_v1",
    "build_tagger_v1",
]


@registry.misc("multibert_spacy.LoRA.v1")
def build_lora_v1(
    rank: int = 16,
    alpha: int = 32,
    target_modules: list[str] = list(ALL_LINEAR),  # noqa: B006
    first_layer: int = 0,
    dropout: float = 0.0,
    shared: bool = False,
) -> AdapterSettings:
    """LoRA on linear layers of the core.

    rank (int): Rank of the update.
    alpha (int): The update is scaled by alpha / rank.
    target_modules (list[str]): Names of linear layers inside a transformer layer, as the core
        calls them; "all-linear" is all of any core, "query-value" what PEFT would adapt.
    first_layer (int): Layers below it carry no adapter.
    dropout (float): On the update's input, while training.
    shared (bool): Whether layers that share their weights, as ALBERT's, share the update as well;
        otherwise each depth has its own.
    """
    return LoraSettings(rank, alpha, tuple(target_modules), first_layer, dropout, shared)


@registry.misc("multibert_spacy.PaperLoRA.v1")
def build_paper_lora_v1() -> AdapterSettings:
    """The paper's LoRA: r = 3, alpha = 1, on PEFT's default targets for BERT: query and value."""
    return LoraSettings(3, 1, QUERY_VALUE)


@registry.misc("multibert_spacy.Prefix.v1")
def build_prefix_v1(
    n_virtual: int = 22, projection: bool = False, projection_width: int = 0, init: str = "text"
) -> AdapterSettings:
    """Prefix tuning.

    n_virtual (int): Virtual tokens.
    projection (bool): Whether a two-layer network makes the prefix while it is trained.
    projection_width (int): Width of that network's hidden layer; 0 is the core's.
    init (str): "text" starts at the keys and values of training text, "noise" at small noise.
    """
    return PrefixSettings(n_virtual, projection, projection_width, init)


@registry.misc("multibert_spacy.PaperPrefix.v1")
def build_paper_prefix_v1() -> AdapterSettings:
    """The paper's prefix: 22 virtual tokens, with the projection network, started at noise."""
    return PrefixSettings(22, projection=True, init="noise")


@registry.misc("multibert_spacy.NoAdapter.v1")
def build_no_adapter_v1() -> AdapterSettings:
    """No adapter: full fine-tuning, with `trainable = true` on the frozen_transformer."""
    return NoSettings()


@registry.architectures("multibert_spacy.CoreListener.v1")
def build_core_listener_v1(upstream: str = "*") -> CoreListener:
    """The core of the `frozen_transformer` named `upstream`; "*" takes the one there is."""
    return CoreListener(upstream)


@registry.architectures("multibert_spacy.Tagger.v1")
def build_tagger_v1(
    adapter: AdapterSettings,
    core: CoreListener,
    dropout: float = 0.1,
    core_dropout: float = 0.0,
) -> TaggerModel:
    """The tagger: see `TaggerModel`.

    adapter (AdapterSettings): Of domains made here.
    core (CoreListener): The core.
    dropout (float): In front of the head, and in a core that is trained.
    core_dropout (float): In a frozen core, while an adapter is trained.
    """
    return TaggerModel(adapter, core, dropout, core_dropout)


@registry.architectures("multibert_spacy.DomainClassifier.v1")
def build_domain_classifier_v1(
    adapter: AdapterSettings,
    core: CoreListener,
    normalizer: Callable[[str], str],
    max_pieces: int = 512,
    batch_pieces: int = 4096,
    pooling: str = "mean",
    dropout: float = 0.1,
    layers: int = 0,
    bag: bool = False,
) -> ClassifierModel:
    """A text classifier on the core with an adapter of its own (section 5 of the paper).

    adapter (AdapterSettings): The adapter.
    core (CoreListener): The core.
    normalizer (Callable): Normal form of a word.
    max_pieces (int): Pieces of a group that are read, with the two special ones.
    batch_pieces (int): Pieces of one forward pass.
    pooling (str): "mean" or "first".
    dropout (float): In front of the linear layer.
    layers (int): Of the core that are run, from the first; 0 is all, as in the paper. The cost of
        detection is in proportion to it.
    bag (bool): Whether a bag of all the group's pieces is added to what the core says.
    RETURNS (Model[list[Doc], Floats2d]): Probabilities that sum to 1.
    """
    return ClassifierModel(
        adapter,
        core,
        normalizer,
        max_pieces=max_pieces,
        batch_pieces=batch_pieces,
        pooling=pooling,
        dropout=dropout,
        layers=layers,
        bag=bag,
    )


@registry.architectures("multibert_spacy.DomainMixture.v1")
def build_domain_mixture_v1(
    core: CoreListener,
    normalizer: Callable[[str], str],
    pieces: int = 50,
    batch_pieces: int = 4096,
    layers: int = 0,
    dropout: float = 0.1,
) -> MixtureModel:
    """A bag of pieces that knows its corpora, and the bare core that knows topics, mixed.

    Which of both to believe is learnt: see `mixture.py`. What is trained is the bag;
    `multibert_spacy.fit_mixture.v1` fits the rest when the pipeline is saved, and until then the
    bag decides alone.

    core (CoreListener): The core.
    normalizer (Callable): Normal form of a word, for the bag.
    pieces (int): Of a group that its sentence embedding is read from, with the two special ones.
    batch_pieces (int): Pieces of one forward pass.
    layers (int): Of the core that are run, from the first; 0 is all.
    dropout (float): Share of a group's pieces that are left out in training.
    RETURNS (Model[list[Doc], Floats2d]): Scores that sum to at most 1.
    """
    return MixtureModel(
        core,
        normalizer,
        pieces=pieces,
        batch_pieces=batch_pieces,
        layers=layers,
        dropout=dropout,
    )
