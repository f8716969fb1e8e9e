"""One domain in training, apart from the pipeline that it will be of.

The pipeline is not touched before all is done: it goes on tagging meanwhile, an error or a Ctrl-C
leaves nothing half-learnt in it, and whatever is evaluated has one adapter to run. So a domain
learns in a tagger of its own on the same core, which is handed back as it is to be stored: in
fp16, so that what is in memory is what will be loaded.
"""

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.batchers import minibatch_by_padded_size
from thinc.api import Adam, warmup_linear

from ..core.encoder import Core
from ..core.listener import CoreListener
from ..errors import ConfigError
from ..networks.tagger_model import TaggerModel
from ..pipeline.domain_detector import join_docs
from ..pipeline.multibert_ner import MultibertNER
from ..training.augmenters import build_entity_swap_v1

__all__ = [
    "Budget",
    "Course",
    "budget_for",
    "lent_core",
    "own_tagger",
    "score_entities",
    "train_domain",
]

Tell = Callable[[int, float | None], None]
"""Is told the number of the step, and the F1 on dev if it was just measured."""


@dataclass(frozen=True)
class Budget:
    """How a domain is trained.

    steps (int): Updates.
    learn_rate (float): Highest, after the warm-up; it falls to zero.
    batch_words (int): Words of an update, padding counted.
    core_dropout (float): In the frozen core.
    swapped (float): Share of the entities that are replaced by others of their label.
    """

    steps: int
    learn_rate: float = 0.001
    batch_words: int = 384
    core_dropout: float = 0.1
    swapped: float = 0.0


STEPS = {400: 30, 2500: 60, 12_500: 150, 125_000: 900}
"""Words -> updates; between these a straight line in the logarithms of both. They are those of 16,
100, 500 and 5,000 sentences of newspapers.
"""
PREFIX_RATE = 10.0
"""A prefix learns that much more slowly."""


def budget_for(n_words: int, *, kind: str, steps: int | None = None) -> Budget:
    """How to train a domain.

    n_words (int): In the texts.
    kind (str): Of the adapter. steps (int): If somebody said.
    """
    xs, ys = np.log(list(STEPS)), np.log(list(STEPS.values()))
    rate = Budget.learn_rate * (PREFIX_RATE if kind == "prefix" else 1.0)
    return Budget(
        steps=steps or round(float(np.exp(np.interp(np.log(n_words), xs, ys)))), learn_rate=rate
    )


@dataclass(frozen=True)
class Course:
    """How a training went.

    kept (int): The step whose weights were kept.
    stopped (int): The last step that was done, where Ctrl-C ended it; else None.
    """

    kept: int
    stopped: int | None


WARM_UP = 0.1
"""Share of the steps in which the learning rate rises."""
MOST_EVALUATIONS = 8
FEWEST_STEPS_BETWEEN = 20


class _Lender:
    """Lends a core whose engine is torch: a graph would be compiled anew at each evaluation."""

    trainable = False
    adapted = False

    def __init__(self, listener: CoreListener) -> None:
        owner = listener.owner()
        self.name = owner.name
        self.stock_listeners: list[Any] = []
        self.fingerprint = owner.fingerprint
        self.core: Core = copy.copy(owner.core)
        self.core.engine = "torch"


def lent_core(tagger: MultibertNER) -> CoreListener:
    """Lend the core of a tagger's pipeline to a model that is not in it, in torch."""
    listener = CoreListener()
    listener.receive(_Lender(tagger.model.listener))
    return listener


def own_tagger(tagger: MultibertNER, *, core_dropout: float) -> MultibertNER:
    """A tagger without domains on the same core, with the same settings.

    tagger (MultibertNER): The pipeline's.
    core_dropout (float): While an adapter is trained.
    RAISES (ConfigError): If the core is trained as well: then the other domains would change.
    """
    if tagger.model.core.trainable:
        raise ConfigError(
            "The core of this pipeline is trainable, and a further domain would change it for all "
            "others: set trainable = false on the frozen_transformer"
        )
    module = tagger.model.module
    return MultibertNER(
        tagger.vocab,
        TaggerModel(module.settings, lent_core(tagger), module.dropout.p, core_dropout),
        tagger.name,
        normalizer=tagger.normalizer,
        window=tagger.window,
        overlap=tagger.overlap,
        batch_pieces=tagger.batch_pieces,
        spans_key=tagger.spans_key,
        hashtag_heads=tagger.hashtag_heads,
        scorer=tagger.scorer,
    )


def train_domain(
    nlp: Language,
    tagger: MultibertNER,
    domain: str,
    train: Sequence[Example],
    budget: Budget,
    *,
    heads: bool,
    dev: Sequence[Example] = (),
    seed: int = 0,
    tell: Tell = lambda step, f: None,
) -> Course:
    """Train a domain's adapter; afterwards its weights are those of the best evaluation, or of the
    last step where there is no dev part. Ctrl-C ends it early.

    tagger (MultibertNER): See `own_tagger`.
    train, dev (Sequence[Example]): Their predicted docs have the domain.
    heads (bool): Whether its head learns, too.
    RETURNS (Course): Which step was kept, and at which it was stopped.
    """
    module = tagger.model.module
    tagger.train_only([domain], heads=heads)
    learnt = [p for p in module.parameters() if p.requires_grad]
    sgd = Adam(
        warmup_linear(budget.learn_rate, max(int(WARM_UP * budget.steps), 1), budget.steps),
        L2=0.0,
        grad_clip=1.0,
    )
    batches = _batches(nlp, train, budget, seed)
    every = max(-(-budget.steps // MOST_EVALUATIONS), FEWEST_STEPS_BETWEEN)
    best, kept, weights = -1.0, 0, [p.data for p in learnt]
    done = 0
    stopped: int | None = None
    try:
        for step in range(1, budget.steps + 1):
            tagger.update(next(batches), sgd=sgd)
            sgd.step_schedules()
            done = step
            f = None
            if dev and (step % every == 0 or step == budget.steps):
                f = score_entities(tagger, dev)["ents_f"] or 0.0
            if f is None and not dev or f is not None and f > best:
                best, kept, weights = -1.0 if f is None else f, step, [p.data for p in learnt]
            tell(step, f)
    except KeyboardInterrupt:
        stopped = done
        if dev and not kept:
            kept, weights = done, [p.data for p in learnt]
    with module.changing():
        for p, own in zip(learnt, weights, strict=True):
            p.data = own
            p.grad = None
    return Course(kept, stopped)


def _batches(
    nlp: Language, train: Sequence[Example], budget: Budget, seed: int
) -> Iterator[list[Example]]:
    """Cut batches without end; each pass has an order of its own."""
    rng = random.Random(seed)
    augment = build_entity_swap_v1(budget.swapped, seed)
    while True:
        examples = [own for eg in rng.sample(train, len(train)) for own in augment(nlp, eg)]
        cut = minibatch_by_padded_size(
            examples, size=budget.batch_words, buffer=256, get_length=lambda eg: len(eg.predicted)
        )
        batches = list(cut)
        rng.shuffle(batches)
        yield from batches


def score_entities(tagger: MultibertNER, examples: Sequence[Example]) -> dict[str, Any]:
    """Score strict spans.

    examples (Sequence[Example]): Predicted docs with a domain; they are not changed.
    RETURNS (dict): ents_p, ents_r, ents_f and ents_per_type, as spaCy has them.
    """
    docs = [eg.predicted for eg in examples]
    tagged = tag_anew(tagger, docs, [doc._.domain for doc in docs])
    pairs = zip(tagged, examples, strict=True)
    scores: dict[str, Any] = get_ner_prf([Example(doc, eg.reference) for doc, eg in pairs])
    return scores


def tag_anew(tagger: MultibertNER, docs: Sequence[Doc], domains: Sequence[str]) -> list[Doc]:
    """Tag copies of docs, all in one pass.

    docs (Sequence[Doc]): Their words count. domains (Sequence[str]): As which they are tagged.
    RETURNS (list[Doc]): The copies.
    """
    copies = [join_docs([doc], doc.vocab) for doc in docs]
    for new, domain in zip(copies, domains, strict=True):
        new._.domain = domain
    tagger.set_annotations(copies, tagger.predict(copies))
    return copies
