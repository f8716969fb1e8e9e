"""Where a new domain starts: which of the adapters there are does best on its texts.

All of them tag the same few texts in one pass, batched as any other texts. Where the new domain
has labels of its own, a label of another head counts as that own label which it mostly covers: so
that heads with other names, or coarser ones, can be compared and, later, be what the new head
starts as. The mean of the best adapters is tried beside them.
"""

import copy
import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spacy.tokens import Doc
from spacy.training import Example

from ..adapters.kinds import Adapter
from ..networks.tagger import Head
from ..networks.tagger_model import TaggerModel
from ..pipeline.batching import tag_pairs
from ..pipeline.multibert_ner import MultibertNER
from .data import labels_in
from .training import tag_anew

__all__ = ["Start", "choose_start", "new_head"]

WORDS = 2000
"""That each candidate tags before it is chosen."""
ALL_WORDS = 8000
"""That all of them tag before a few are left to be looked at closely."""
FEWEST_WORDS = 80
FINALISTS = 4
MEAN_OF = 3
EVEN = 0.02
"""F1 by which one must be better than an adapter that more domains share: that has learnt from
more texts, and goes on learning better.
"""
COVERED = 0.3
"""Share of a label's names that one label of another head must cover, to be its start."""

Cover = Mapping[str, Counter[str]]
"""Label of a head -> how many names of each own label it touches."""


@dataclass(frozen=True)
class Start:
    """Where a new domain starts.

    name (str): Of a domain, or of several, whose mean it is.
    domain (str): The one that has the head.
    adapter (Adapter): Not to be changed.
    f (float): Strict F1 on the texts it was chosen on.
    cover (Mapping), gold (Counter): See `Cover`; and how many names there were of each own label.
    """

    name: str
    domain: str
    adapter: Adapter
    f: float
    cover: Cover
    gold: Counter[str]


def choose_start(
    tagger: MultibertNER,
    bench: MultibertNER,
    examples: Sequence[Example],
    candidates: Sequence[str],
    *,
    own_labels: bool,
    mix: bool,
    seed: int = 0,
) -> Start:
    """Choose the adapter that a new domain starts as.

    tagger (MultibertNER): The pipeline's.
    bench (MultibertNER): A tagger without domains on the same core, in which the mean is tried.
    examples (Sequence[Example]): Of the new domain, not yet learnt by any.
    candidates (Sequence[str]): Domains, at least one.
    own_labels (bool): Whether the new domain will have labels of its own.
    mix (bool): Whether the mean of the best is tried.
    seed (int): Of the texts that are drawn.
    """
    module = tagger.model.module
    shared = _distinct(tagger.model, candidates)
    names = list(shared)
    found: list[Start] = []
    limits = [max(ALL_WORDS // len(names), FEWEST_WORDS), WORDS]
    for limit in limits if len(names) * WORDS > ALL_WORDS else limits[1:]:
        drawn = _draw(examples, limit, seed)
        docs = [(eg.predicted, name) for name in names for eg in drawn]
        tagged = tag_anew(tagger, [doc for doc, _ in docs], [name for _, name in docs])
        found = []
        for i, name in enumerate(names):
            own = tagged[i * len(drawn) : (i + 1) * len(drawn)]
            f, cover = _compare(own, drawn, own_labels=own_labels)
            adapter = module.adapter_of(name)
            found.append(Start(name, name, adapter, f, cover, labels_in(drawn)))
        found.sort(key=lambda start: -start.f)
        names = [start.name for start in found[:FINALISTS]]
    best = max(
        (start for start in found if start.f > found[0].f - EVEN),
        key=lambda start: (shared[start.name], start.f),
    )
    good = [start for start in found[:MEAN_OF] if start.f > 0] if mix else []
    if mean := _mean_of(good, tagger.model):
        name, adapter = mean
        head = module.head_name(best.domain)
        with bench.model.module.changing():
            bench.model.module.add_head(head, copy.deepcopy(module.heads[head]))
            bench.model.module.add_domain(best.domain, head, adapter)
        own = tag_anew(bench, [eg.predicted for eg in drawn], [best.domain] * len(drawn))
        f, cover = _compare(own, drawn, own_labels=own_labels)
        bench.model.module.remove_domain(best.domain)
        if f > best.f:
            return Start(name, best.domain, adapter, f, cover, best.gold)
    return best


def _distinct(model: TaggerModel, names: Sequence[str]) -> Counter[str]:
    """Count domains, one of each that have equal weights, and how many have them."""
    seen: dict[tuple[str, str], str] = {}
    shared: Counter[str] = Counter()
    for name in names:
        digest = hashlib.sha256()
        for tensor in model.module.adapter_of(name).export().values():
            digest.update(tensor.detach().float().cpu().contiguous().numpy().data)
        shared[seen.setdefault((model.module.head_name(name), digest.hexdigest()), name)] += 1
    return shared


def _draw(examples: Sequence[Example], n_words: int, seed: int) -> list[Example]:
    """Draw some, of that many words at the most; one at least."""
    drawn: list[Example] = []
    for eg in random.Random(seed).sample(examples, len(examples)):
        n_words -= len(eg.predicted)
        if n_words < 0 and drawn:
            break
        drawn.append(eg)
    return drawn


def _compare(
    tagged: Sequence[Doc], examples: Sequence[Example], *, own_labels: bool
) -> tuple[float, Cover]:
    """Return strict F1, and what covers what."""
    cover: dict[str, Counter[str]] = defaultdict(Counter)
    pairs = [
        (list(doc.ents), list(eg.get_aligned_spans_y2x(eg.reference.ents)))
        for doc, eg in zip(tagged, examples, strict=True)
    ]
    for found, gold in pairs:
        for a in found:
            for b in gold:
                if a.start < b.end and b.start < a.end:
                    cover[a.label_][b.label_] += 1
    says = {label: own.most_common(1)[0][0] for label, own in cover.items()} if own_labels else {}
    right = n_found = n_gold = 0
    for found, gold in pairs:
        theirs = {(e.start, e.end, says.get(e.label_, e.label_)) for e in found}
        ours = {(e.start, e.end, e.label_) for e in gold}
        right += len(theirs & ours)
        n_found += len(theirs)
        n_gold += len(ours)
    return 2 * right / max(n_found + n_gold, 1), cover


def _mean_of(starts: Sequence[Start], model: TaggerModel) -> tuple[str, Adapter] | None:
    """Return the mean of several adapters and its name; None if there is none."""
    settings = {str(start.adapter.settings) for start in starts}
    if len(starts) < 2 or len(settings) > 1:
        return None
    adapter = model.mean_adapter([start.adapter for start in starts])
    return "mean of " + ", ".join(start.name for start in starts), adapter


def new_head(
    labels: Sequence[str],
    references: Sequence[Doc],
    width: int,
    start: Start | None,
    old: Head | None,
) -> Head:
    """A head for labels of its own, that starts as what the start's head knows of them.

    labels (Sequence[str]): The labels.
    references (Sequence[Doc]): Annotated docs, for start values of tags that nobody knows.
    width (int): Of the core.
    start (Start), old (Head): Where the domain starts; None starts from the docs alone.
    """
    head = Head(labels, width, tag_pairs(references, labels))
    if start is None or old is None:
        return head
    sources = {label: source for label in labels if (source := _source(label, start))}
    head.take_over(old, sources)
    return head


def _source(label: str, start: Start) -> str | None:
    """Return the start's label that covers a label best, if any covers enough of it."""
    shares = {source: own[label] for source, own in start.cover.items()}
    best = max(shares, key=lambda source: shares[source], default=None)
    if best is None or shares[best] < COVERED * max(start.gold[label], 1):
        return None
    return best
