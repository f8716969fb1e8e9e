"""Two experts on what domain a group of texts belongs to, and which of them to believe.

    bag of pieces ─Gaussians─► knows its corpora ──────────────────┐
                       how sure of itself is it? ─────────────────► gate ─► domain
    sentence embedding by the bare core ─┬─cosine to descriptions─► knows topics ─┘
                                         └─Gaussians

Why two. A classifier that is trained on corpora knows 99 % of their groups and a quarter of the
groups that somebody wrote without having seen them: it reads how a corpus looks. The core was made
for sentence embeddings, so the cosine between a group and a few words that describe each domain
needs no training; it knows 85 % outside and 60 % inside. The first is right where it is sure, and
mostly unsure outside, so it is believed by how sure it is. An adapter in its place is sure outside
as well (AUROC of the gate .70 to .88 on groups of eight, the bag .93), and costs a forward pass.

Why other topics. Texts that belong to no domain are mostly like something: a law, a recipe, a
sermon. Descriptions of such topics stand beside those of the domains, and what they take of the
probability is missing from the domains': the scores of a group sum to less than 1 (Jiang et al.
2024, "Negative label guided OOD detection").

Everything is closed-form: a mean per domain, two covariances that all share, a description. No
text is kept. A further domain is a mean and a description, of its own texts alone. It comes after
the others: they are scored as if it were not there, apart from their topics, and it takes of their
scores what its own Gaussians claim against the best of theirs. So a group changes its domain only
to the new one, or where nobody was sure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..types import Floats2d

__all__ = ["Mixture", "Weights", "fit_mixture"]

PIECES_OF_A_TEXT = 32
PIECES_OF_A_GROUP = 250
KNOWN = 0.05
"""Squared distance from the mean of all domains, in standard deviations, below which the bag says
nothing of a domain: one that came from a detector with another bag (`knowledge.py`) lies there.
"""
NEAR = 0.3
"""The cosine from which on another topic is a domain's."""
SHRINK = 0.3
"""Of a covariance, the share that is its own diagonal: there are fewer groups than values."""


@dataclass(frozen=True)
class Weights:
    """The few numbers that no corpus gives. Chosen on the dev part of the corpora and on
    assets/outside/dev.jsonl; results hardly change within a factor of 1.5 of each.

    cosine (float): What a cosine of 1 to a description counts.
    topic (float): What the Gaussians of sentence embeddings count beside it.
    expert (float): What those of the bag count.
    gate, sure, longer (float): The bag is believed by sigmoid(gate * (logit of its best
        probability - needed)), where `sure` is needed for one text, and more for more.
    late, late_topic, late_cosine, late_longer, late_bias (float): What a domain that was added
        later claims: sigmoid(late * (by how much its Gaussian of the bag is above the best other's
        + late_topic * the same of the embeddings + late_cosine * the same of the cosines +
        late_bias)), less for fewer than PIECES_OF_A_GROUP pieces.
    """

    cosine: float = 40.0
    topic: float = 0.15
    expert: float = 0.25
    gate: float = 2.0
    sure: float = 0.25
    longer: float = 0.5
    late: float = 0.5
    late_topic: float = 0.3
    late_cosine: float = 20.0
    late_longer: float = 2.5
    late_bias: float = 4.5


@dataclass(frozen=True)
class Mixture:
    """What a detector knows of k domains. h is the core's width, m the bag's classes.

    labels (tuple[str, ...]): The domains, in the order of all rows.
    descriptions (tuple[str, ...]): What belongs to each; "" if nobody said.
    trained (tuple[bool, ...]): Whether the bag was trained on it. Of a domain that was added later
        the bag knows what it makes of its texts, and leaves them to the other expert.
    others (tuple[str, ...]): Descriptions of topics that belong to none of them.
    centre (h,), origin (h,): Mean embedding of groups, and of descriptions.
    described (k, h), other (n, h): Embeddings of the descriptions, of length 1.
    topics (k, h), topic_spread (h, h): Mean embeddings of each domain's groups, and their
        covariance within a domain.
    means (k, m), spread (m, m): The same of what the bag gives.
    """

    labels: tuple[str, ...]
    descriptions: tuple[str, ...]
    trained: tuple[bool, ...]
    others: tuple[str, ...]
    centre: Floats2d
    origin: Floats2d
    described: Floats2d
    other: Floats2d
    topics: Floats2d
    topic_spread: Floats2d
    means: Floats2d
    spread: Floats2d
    weights: Weights = field(default_factory=Weights)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Mixture":
        return self  # nothing in it is ever changed

    def tensors(self) -> dict[str, Floats2d]:
        """RETURNS (dict): Its arrays by name."""
        return {name: getattr(self, name) for name in array_shapes(0, 0, 0, 0)}

    def texts(self) -> dict[str, Any]:
        """RETURNS (dict): The rest, as JSON values."""
        return {
            "descriptions": dict(zip(self.labels, self.descriptions, strict=True)),
            "trained": list(self.trained),
            "others": list(self.others),
            "weights": asdict(self.weights),
        }

    @cached_property
    def _topic_gaussians(self) -> tuple[Floats2d, Floats2d]:
        return _linear(self.topics, self.topic_spread)

    @cached_property
    def _expert_gaussians(self) -> tuple[Floats2d, Floats2d]:
        return _linear(self.means, self.spread)

    @cached_property
    def _left_topics(self) -> Floats2d:
        """RETURNS (n, h): Other topics, without those that are like a domain which was added
        later: they are its own now, until it goes again.
        """
        added = _unit(self.described[~np.array(self.trained)] - self.origin)
        near = (_unit(self.other - self.origin) @ added.T >= NEAR).any(1)
        left: Floats2d = self.other[~near]
        return left

    def predict(self, embeddings: Floats2d, outputs: Floats2d, n_pieces: Floats2d) -> Floats2d:
        """embeddings (n, h): Of groups, of length 1. outputs (n, m): What the bag gives.
        n_pieces (n,): Pieces of each group.
        RETURNS (n, k): Scores, of which those of a row sum to at most 1.
        """
        w, trained = self.weights, np.array(self.trained)
        weight, bias = self._expert_gaussians
        by_bag = outputs @ weight.T + bias
        late = np.isin(np.arange(len(trained)), self._late)
        expert = _softmax(np.where(late, -np.inf, w.expert * by_bag)) * trained
        needed = w.sure + w.longer * np.log(np.maximum(n_pieces, 1) / PIECES_OF_A_TEXT)
        trust = _sigmoid(w.gate * (_logit(expert.max(1)) - needed))[:, None]
        weight, bias = self._topic_gaussians
        by_topic = embeddings @ weight.T + bias
        like = by_topic - by_topic[:, trained if trained.any() else ~trained].mean(
            1, keepdims=True
        )
        cosines = self.cosines(embeddings, self.described)
        others = self.cosines(embeddings, self._left_topics)
        own, other = w.cosine * cosines + w.topic * like, w.cosine * others
        topic = _softmax(np.concatenate([own, other], axis=1))[:, : len(self.labels)]
        left = 1 - trust * expert.sum(1, keepdims=True)
        mixed: Floats2d = (trust * expert + left * topic).astype(np.float32)
        short = np.log(np.clip(n_pieces, PIECES_OF_A_TEXT, PIECES_OF_A_GROUP) / PIECES_OF_A_GROUP)
        for i in self._late:
            margin = _margin(by_bag, i) + w.late_topic * _margin(by_topic, i)
            margin += w.late_cosine * _margin(np.hstack([cosines, others]), i)
            claim = _sigmoid(w.late * (margin + w.late_longer * short + w.late_bias))
            mixed *= 1 - claim[:, None]
            mixed[:, i] += claim
        return mixed

    @cached_property
    def _late(self) -> list[int]:
        """RETURNS (list[int]): Domains that were added later, of which the bag says something.
        Where all others are gone there is nothing to be later than: topics alone decide.
        """
        trained = np.array(self.trained)
        if not trained.any():
            return []
        away = self.means - self.means[trained].mean(0)
        far = (away * np.linalg.solve(self.spread.astype(np.float64), away.T).T).sum(1)
        return [int(i) for i in np.flatnonzero(~trained & (far >= KNOWN))]

    def cosines(self, embeddings: Floats2d, described: Floats2d) -> Floats2d:
        """embeddings (n, h): Of groups. described (k, h): Of descriptions. RETURNS (n, k): What
        both have in common once what all groups, and all descriptions, have is taken away.
        """
        found: Floats2d = _unit(embeddings - self.centre) @ _unit(described - self.origin).T
        return found

    def with_domain(
        self,
        label: str,
        description: str,
        described: Floats2d | None,
        embeddings: Floats2d,
        outputs: Floats2d,
        *,
        trained: bool = False,
    ) -> "Mixture":
        """A further domain, of its own texts alone, or a known one anew.

        label (str), description (str), described (h,): Its name, what belongs to it, and that
            sentence's embedding; without one the mean of its texts stands for it.
        embeddings (n, h), outputs (n, m): Of groups of its texts.
        trained (bool): Whether the bag was trained on it.
        RETURNS (Mixture): With it last.
        """
        left = self.without_domain(label) if label in self.labels else self
        if described is None:
            described = _stand_in(embeddings.mean(0), self.centre, self.origin)
        return replace(
            left,
            labels=(*left.labels, label),
            descriptions=(*left.descriptions, description),
            trained=(*left.trained, trained),
            described=np.vstack([left.described, _half(described)]),
            topics=np.vstack([left.topics, _half(embeddings.mean(0))]),
            means=np.vstack([left.means, _half(outputs.mean(0))]),
        )

    def without_domain(self, label: str) -> "Mixture":
        """RETURNS (Mixture): Without one of its domains."""
        kept = [i for i, other in enumerate(self.labels) if other != label]
        return replace(
            self,
            labels=tuple(self.labels[i] for i in kept),
            descriptions=tuple(self.descriptions[i] for i in kept),
            trained=tuple(self.trained[i] for i in kept),
            described=self.described[kept],
            topics=self.topics[kept],
            means=self.means[kept],
        )

    def renamed(self, old: str, new: str) -> "Mixture":
        """RETURNS (Mixture): With another name for one of its domains."""
        labels = tuple(new if label == old else label for label in self.labels)
        return replace(self, labels=labels)


def array_shapes(k: int, n: int, width: int, m: int) -> dict[str, tuple[int, ...]]:
    """RETURNS (dict): The shapes of a mixture's arrays by name.
    k, n (int): Domains, and other topics. width (int): Of the core. m (int): Classes of the bag.
    """
    return {
        "centre": (width,),
        "origin": (width,),
        "described": (k, width),
        "other": (n, width),
        "topics": (k, width),
        "topic_spread": (width, width),
        "means": (k, m),
        "spread": (m, m),
    }


def fit_mixture(
    labels: Sequence[str],
    groups: Sequence[tuple[str, int]],
    embeddings: Floats2d,
    outputs: Floats2d,
    descriptions: Mapping[str, tuple[str, Floats2d]],
    others: Mapping[str, Floats2d],
    weights: Weights,
) -> Mixture:
    """Learn what there is to learn of groups of several sizes; each size of each domain counts
    the same.

    labels (Sequence[str]): The domains.
    groups (Sequence[tuple]): Domain and number of texts of each group.
    embeddings (n, h), outputs (n, m): Of the groups.
    descriptions (Mapping): Domain -> its description and that one's embedding.
    others (Mapping): Description of another topic -> its embedding.
    RAISES (ConfigError): If there is no group of a domain.
    """
    if missing := [label for label in labels if label not in {name for name, _ in groups}]:
        raise ConfigError(f"There is no text of {missing[0]!r} to learn a detector from")
    topics, topic_spread = _gaussians(labels, groups, embeddings)
    means, spread = _gaussians(labels, groups, outputs)
    centre = topics.mean(0)
    known = [descriptions[label][1] for label in labels if label in descriptions]
    origin = np.mean(known, axis=0) if known else centre
    described = [
        descriptions[label][1] if label in descriptions else _stand_in(topics[i], centre, origin)
        for i, label in enumerate(labels)
    ]
    return Mixture(
        labels=tuple(labels),
        descriptions=tuple(descriptions[n][0] if n in descriptions else "" for n in labels),
        trained=(True,) * len(labels),
        others=tuple(others),
        centre=_half(centre),
        origin=_half(origin),
        described=_half(np.stack(described)),
        other=_half(np.array(list(others.values())).reshape(-1, embeddings.shape[1])),
        topics=_half(topics),
        topic_spread=_half(topic_spread),
        means=_half(means),
        spread=_half(spread),
        weights=weights,
    )


def _stand_in(mean: Floats2d, centre: Floats2d, origin: Floats2d) -> Floats2d:
    """A domain's mean in the place of its description's embedding."""
    found: Floats2d = origin + _unit(mean - centre)
    return found


def _gaussians(
    labels: Sequence[str], groups: Sequence[tuple[str, int]], x: Floats2d
) -> tuple[Floats2d, Floats2d]:
    """RETURNS (tuple): Means (k, d), and the covariance (d, d) within a domain and size."""
    cells: dict[tuple[str, int], list[int]] = {}
    for i, cell in enumerate(groups):
        cells.setdefault(cell, []).append(i)
    x = x.astype(np.float64)
    centres = {cell: x[own].mean(0) for cell, own in cells.items()}
    means = np.stack(
        [np.mean([m for (name, _), m in centres.items() if name == label], 0) for label in labels]
    )
    rest = np.concatenate([x[own] - centres[cell] for cell, own in cells.items()])
    spread = rest.T @ rest / max(len(rest) - len(cells), 1)
    own = np.diag(np.diag(spread))
    floor = 1e-3 * np.trace(spread) / len(spread) + 1e-6
    return means, (1 - SHRINK) * spread + SHRINK * own + floor * np.eye(len(spread))


def _linear(means: Floats2d, spread: Floats2d) -> tuple[Floats2d, Floats2d]:
    """RETURNS (tuple): Weight (k, d) and bias (k,) of the discriminant of Gaussians that share a
    covariance.
    """
    weight = np.linalg.solve(spread.astype(np.float64), means.T.astype(np.float64)).T
    bias = -0.5 * (weight * means).sum(1)
    return weight.astype(np.float32), bias.astype(np.float32)


def _margin(scores: Floats2d, i: int) -> Floats2d:
    """RETURNS (n,): By how much one column is above the best other."""
    margin: Floats2d = scores[:, i] - np.delete(scores, i, axis=1).max(1)
    return margin


def _half(x: Any) -> Floats2d:
    """As it is stored: a detector that was read is the one that was written."""
    rounded: Floats2d = np.asarray(x).astype(np.float16).astype(np.float32)
    return rounded


def _unit(x: Any) -> Any:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9)


def _softmax(x: Floats2d) -> Floats2d:
    powers = np.exp(x - x.max(1, keepdims=True))
    total: Floats2d = powers / powers.sum(1, keepdims=True)
    return total


def _sigmoid(x: Floats2d) -> Floats2d:
    value: Floats2d = 1 / (1 + np.exp(-np.clip(x, -30, 30)))
    return value


def _logit(p: Floats2d) -> Floats2d:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    value: Floats2d = np.log(p / (1 - p))
    return value
