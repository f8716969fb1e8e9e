"""Two experts on what domain a group of texts belongs to, and which of them to believe.

    bag of pieces ─┬─ classes, and how near the corpora's means ─► knows its corpora ─────┐
                   └─ is it of a corpus at all? ────────────────────────────────► gate ─► domain
    sentence embedding by the bare core ─┬─ regression on what was written ─► knows topics ┘
                                         └─ cosine to descriptions

Why two. A classifier that is trained on corpora knows nearly all of their groups and a fifth of
those that somebody wrote without having seen them: it reads how a corpus looks. The core was made
for sentence embeddings: with texts that were written about each domain, and a few words that
describe it, it knows topics wherever they come from, and is the worse of the two inside.

Which of them. The bag has one class more than there are domains: texts of no corpus, learned from
those that were written. What it leaves to that class, or to a domain that is no longer there, says
how much of the group is the other's to decide. A bag without it is believed by how sure it is.

What belongs to none. Texts of no domain are mostly like something: a law, a recipe, a sermon. What
was written of that kind is a class of the regression, and descriptions of such topics stand beside
those of the domains; what they take of the probability is missing from the domains', so that the
scores of a group sum to less than 1 (Jiang et al. 2024, "Negative label guided OOD detection").

No text is kept. A further domain is a mean and a description, of its own texts alone. It comes
after the others: they are scored as if it were not there, apart from their topics, and it takes of
their scores what its own Gaussians claim against the best of theirs. So a group changes its domain
only to the new one, or where nobody was sure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..text.softmax import probabilities
from ..types import Floats2d
from .regression import fit_regression

__all__ = ["Mixture", "Weights", "fit_mixture"]

PIECES_OF_A_TEXT = 32
PIECES_OF_A_GROUP = 250
LENGTHS = (8, 256)
"""Pieces between which it matters how long a group is."""
STRENGTH = 0.5
"""Of the regression: inverse of the L2 penalty, as scikit-learn has it."""
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
    """The few numbers that no corpus gives. Chosen by likelihood on the corpora's dev part and on
    folds of what was written; `growth` and `written` by how well scores are calibrated on
    assets/outside/dev.jsonl; those of later domains by leaving out one domain after the other.

    cosine (float): What a cosine of 1 to a description counts for a group of PIECES_OF_A_TEXT.
    written (float): What the regression on what was written counts beside it.
    growth (float): The power of a group's length by which both grow.
    expert (float): What the bag's classes count.
    topic (float): What the corpora's Gaussians of embeddings count beside them.
    gate, corpus (float): The bag is believed by sigmoid(gate + corpus * logit of what it gives to
        the domains), or of its best probability, if it has no class for texts of no corpus.
    late, late_topic, late_cosine, late_longer, late_bias (float): What a domain that was added
        later claims: sigmoid(late * (by how much its Gaussian of the bag is above the best other's
        + late_topic * the same of the embeddings + late_cosine * the same of the cosines +
        late_bias)), less for fewer than PIECES_OF_A_GROUP pieces.
    """

    cosine: float = 9.6
    written: float = 1.2
    growth: float = 0.2
    expert: float = 0.58
    topic: float = 0.13
    gate: float = -1.75
    corpus: float = 0.61
    late: float = 0.3
    late_topic: float = 0.6
    late_cosine: float = 40.0
    late_longer: float = 4.0
    late_bias: float = 10.0


@dataclass(frozen=True)
class Mixture:
    """What a detector knows of k domains. h is the core's width, m the bag's classes.

    labels (tuple[str, ...]): The domains, in the order of all rows.
    descriptions (tuple[str, ...]): What belongs to each; "" if nobody said.
    columns (tuple[int, ...]): Which class of the bag it is; -1 of a domain that was added later:
        of it the bag knows what it makes of its texts, and leaves them to the other expert.
    others (tuple[str, ...]): Descriptions of topics that belong to none of them.
    centre (h,), origin (h,): Mean embedding of groups, and of descriptions.
    described (k, h), other (n, h): Embeddings of the descriptions, of length 1.
    topics (k, h), topic_spread (h, h): Mean embeddings of each domain's groups, and their
        covariance within a domain.
    means (k, m), spread (m, m): The same of what the bag gives.
    written (k + 1, h + 1): Regression on texts that were written: a row for each domain, the last
        for texts of none; the last column is added. Zeros where nothing was written.
    elsewhere (bool): Whether the bag's last class is texts of no corpus.
    """

    labels: tuple[str, ...]
    descriptions: tuple[str, ...]
    columns: tuple[int, ...]
    others: tuple[str, ...]
    centre: Floats2d
    origin: Floats2d
    described: Floats2d
    other: Floats2d
    topics: Floats2d
    topic_spread: Floats2d
    means: Floats2d
    spread: Floats2d
    written: Floats2d
    elsewhere: bool = False
    weights: Weights = field(default_factory=Weights)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Mixture":
        return self  # nothing in it is ever changed

    def tensors(self) -> dict[str, Floats2d]:
        """Return its arrays by name."""
        return {name: getattr(self, name) for name in array_shapes(0, 0, 0, 0)}

    def texts(self) -> dict[str, Any]:
        """Return the rest, as JSON values."""
        return {
            "descriptions": dict(zip(self.labels, self.descriptions, strict=True)),
            "columns": list(self.columns),
            "elsewhere": self.elsewhere,
            "others": list(self.others),
            "weights": asdict(self.weights),
        }

    @cached_property
    def trained(self) -> Any:
        """Return whether the bag was trained on a domain (k,)."""
        return np.array(self.columns) >= 0

    @cached_property
    def _topic_gaussians(self) -> tuple[Floats2d, Floats2d]:
        return _linear(self.topics, self.topic_spread)

    @cached_property
    def _expert_gaussians(self) -> tuple[Floats2d, Floats2d]:
        return _linear(self.means, self.spread)

    @cached_property
    def _left_topics(self) -> Floats2d:
        """Return other topics (n, h), without those that are like a domain which was added later:
        they are its own now, until it goes again.
        """
        added = _unit(self.described[~self.trained] - self.origin)
        near = (_unit(self.other - self.origin) @ added.T >= NEAR).any(1)
        left: Floats2d = self.other[~near]
        return left

    def predict(self, embeddings: Floats2d, outputs: Floats2d, n_pieces: Floats2d) -> Floats2d:
        """Score groups.

        embeddings (n, h): Of groups, of length 1.
        outputs (n, m): What the bag gives.
        n_pieces (n,): Pieces of each group.
        RETURNS (n, k): Scores, of which those of a row sum to at most 1.
        """
        weight, bias = self._topic_gaussians
        by_topic = embeddings @ weight.T + bias
        cosines = self.cosines(embeddings, self.described)
        others = self.cosines(embeddings, self._left_topics)
        topic = self._by_topic(embeddings, cosines, others, n_pieces)
        expert, trust = self._by_bag(outputs, by_topic)
        mixed: Floats2d = (trust * expert + (1 - trust) * topic).astype(np.float32)
        if self._late:
            weight, bias = self._expert_gaussians
            by_all = (outputs @ weight.T + bias, by_topic, np.hstack([cosines, others]))
            self._claim(mixed, by_all, n_pieces)
        return mixed

    def _claim(
        self, mixed: Floats2d, by_all: tuple[Floats2d, Floats2d, Floats2d], n_pieces: Floats2d
    ) -> None:
        """Give domains that were added later what they claim of the scores of the others.

        mixed (n, k): Scores, which are changed.
        by_all (tuple): How near groups are to each domain by the bag, by their embeddings, and to
            each description.
        """
        w = self.weights
        by_bag, by_topic, cosines = by_all
        short = np.log(np.clip(n_pieces, PIECES_OF_A_TEXT, PIECES_OF_A_GROUP) / PIECES_OF_A_GROUP)
        for i in self._late:
            margin = _margin(by_bag, i) + w.late_topic * _margin(by_topic, i)
            margin += w.late_cosine * _margin(cosines, i)
            claim = _sigmoid(w.late * (margin + w.late_longer * short + w.late_bias))
            mixed *= 1 - claim[:, None]
            mixed[:, i] += claim

    def _by_topic(
        self, embeddings: Floats2d, cosines: Floats2d, others: Floats2d, n_pieces: Floats2d
    ) -> Floats2d:
        """Return the probability of each domain by its topic (n, k)."""
        w = self.weights
        told = _unit(embeddings - self.centre) @ self.written[:, :-1].T + self.written[:, -1]
        own = w.cosine * cosines + w.written * told[:, :-1]
        if others.shape[1]:
            none = w.cosine * others.max(1) + w.written * told[:, -1]
            own = np.hstack([own, none[:, None]])
        length = np.clip(n_pieces, *LENGTHS) / PIECES_OF_A_TEXT
        return probabilities(own * length[:, None] ** w.growth)[:, : len(self.labels)]

    def _by_bag(self, outputs: Floats2d, by_topic: Floats2d) -> tuple[Floats2d, Floats2d]:
        """Return the probability of each domain by the bag (n, k), and how much it is to be
        believed (n, 1); 0 if it was trained on none of them.
        """
        w = self.weights
        expert = np.zeros((len(outputs), len(self.labels)), dtype=np.float32)
        if not self.trained.any():
            return expert, expert[:, :1] * 0
        columns = [column for column in self.columns if column >= 0]
        like = by_topic[:, self.trained] - by_topic[:, self.trained].mean(1, keepdims=True)
        expert[:, self.trained] = probabilities(w.expert * outputs[:, columns] + w.topic * like)
        if self.elsewhere:
            known = probabilities(outputs)[:, columns].sum(1, keepdims=True)
        else:
            known = expert.max(1, keepdims=True)
        return expert, _sigmoid(w.gate + w.corpus * _logit(known))

    @cached_property
    def _late(self) -> list[int]:
        """Return the domains that were added later, of which the bag says something.

        Where all others are gone there is nothing to be later than: topics alone decide.
        """
        if not self.trained.any():
            return []
        away = self.means - self.means[self.trained].mean(0)
        far = (away * np.linalg.solve(self.spread.astype(np.float64), away.T).T).sum(1)
        return [int(i) for i in np.flatnonzero(~self.trained & (far >= KNOWN))]

    def cosines(self, embeddings: Floats2d, described: Floats2d) -> Floats2d:
        """Return what groups and descriptions have in common (n, k) once what all groups, and all
        descriptions, have is taken away.

        embeddings (n, h): Of groups.
        described (k, h): Of descriptions.
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
        column: int = -1,
        written: Floats2d | None = None,
    ) -> "Mixture":
        """A further domain, of its own texts alone, or a known one anew.

        label (str), description (str), described (h,): Its name, what belongs to it, and that
            sentence's embedding; without one the mean of its texts stands for it.
        embeddings (n, h), outputs (n, m): Of groups of its texts.
        column (int): Which class of the bag it is, if it was trained on it.
        written (h + 1,): Its row of the regression, if there is one.
        RETURNS (Mixture): With it last.
        """
        left = self.without_domain(label) if label in self.labels else self
        if described is None:
            described = _stand_in(embeddings.mean(0), self.centre, self.origin)
        return replace(
            left,
            labels=(*left.labels, label),
            descriptions=(*left.descriptions, description),
            columns=(*left.columns, column),
            described=np.vstack([left.described, _half(described)]),
            topics=np.vstack([left.topics, _half(embeddings.mean(0))]),
            means=np.vstack([left.means, _half(outputs.mean(0))]),
            written=np.insert(
                left.written, len(left.labels), 0 if written is None else _half(written), axis=0
            ),
        )

    def without_domain(self, label: str) -> "Mixture":
        """Return a mixture without one of its domains."""
        kept = [i for i, other in enumerate(self.labels) if other != label]
        return replace(
            self,
            labels=tuple(self.labels[i] for i in kept),
            descriptions=tuple(self.descriptions[i] for i in kept),
            columns=tuple(self.columns[i] for i in kept),
            described=self.described[kept],
            topics=self.topics[kept],
            means=self.means[kept],
            written=self.written[[*kept, len(self.labels)]],
        )

    def renamed(self, old: str, new: str) -> "Mixture":
        """Return a mixture with another name for one of its domains."""
        labels = tuple(new if label == old else label for label in self.labels)
        return replace(self, labels=labels)


def array_shapes(k: int, n: int, width: int, m: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a mixture's arrays by name.

    k, n (int): Domains, and other topics.
    width (int): Of the core.
    m (int): Classes of the bag.
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
        "written": (k + 1, width + 1),
    }


def fit_mixture(
    labels: Sequence[str],
    groups: Sequence[tuple[str, int]],
    embeddings: Floats2d,
    outputs: Floats2d,
    descriptions: Mapping[str, tuple[str, Floats2d]],
    others: Mapping[str, Floats2d],
    weights: Weights,
    *,
    written: tuple[Sequence[str | None], Floats2d] | None = None,
    elsewhere: bool = False,
) -> Mixture:
    """Learn what there is to learn of groups of several sizes; each size of each domain counts
    the same.

    labels (Sequence[str]): The domains.
    groups (Sequence[tuple]): Domain and number of texts of each group.
    embeddings (n, h), outputs (n, m): Of the groups.
    descriptions (Mapping): Domain -> its description and that one's embedding.
    others (Mapping): Description of another topic -> its embedding.
    written (tuple), optional: Domains (n,), None for none of them, and embeddings (n, h) of
        groups of texts that were written for the purpose.
    elsewhere (bool): Whether the bag's last class is texts of no corpus.
    RAISES (ConfigError): If there is no group of a domain.
    """
    if missing := [label for label in labels if label not in {name for name, _ in groups}]:
        raise ConfigError(f"There is no text of {missing[0]!r} to learn a detector from")
    topics, topic_spread = _gaussians(labels, groups, embeddings)
    means, spread = _gaussians(labels, groups, outputs)
    centre = topics.mean(0)
    rows = np.zeros((len(labels) + 1, len(centre) + 1), dtype=np.float32)
    if written is not None:
        names, told = written
        centre = told.mean(0)
        truth = [labels.index(name) if name in labels else len(labels) for name in names]
        rows = fit_regression(_unit(told - _half(centre)), truth, len(labels) + 1, STRENGTH)
    known = [descriptions[label][1] for label in labels if label in descriptions]
    origin = np.mean(known, axis=0) if known else centre
    described = [
        descriptions[label][1] if label in descriptions else _stand_in(topics[i], centre, origin)
        for i, label in enumerate(labels)
    ]
    return Mixture(
        labels=tuple(labels),
        descriptions=tuple(descriptions[n][0] if n in descriptions else "" for n in labels),
        columns=tuple(range(len(labels))),
        others=tuple(others),
        centre=_half(centre),
        origin=_half(origin),
        described=_half(np.stack(described)),
        other=_half(np.array(list(others.values())).reshape(-1, embeddings.shape[1])),
        topics=_half(topics),
        topic_spread=_half(topic_spread),
        means=_half(means),
        spread=_half(spread),
        written=_half(rows),
        elsewhere=elsewhere,
        weights=weights,
    )


def _stand_in(mean: Floats2d, centre: Floats2d, origin: Floats2d) -> Floats2d:
    """A domain's mean in the place of its description's embedding."""
    found: Floats2d = origin + _unit(mean - centre)
    return found


def _gaussians(
    labels: Sequence[str], groups: Sequence[tuple[str, int]], x: Floats2d
) -> tuple[Floats2d, Floats2d]:
    """Return means (k, d), and the covariance (d, d) within a domain and size."""
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
    """Return the discriminant of Gaussians that share a covariance: weight (k, d), bias (k,)."""
    weight = np.linalg.solve(spread.astype(np.float64), means.T.astype(np.float64)).T
    bias = -0.5 * (weight * means).sum(1)
    return weight.astype(np.float32), bias.astype(np.float32)


def _margin(scores: Floats2d, i: int) -> Floats2d:
    """Return by how much one column is above the best other (n,)."""
    margin: Floats2d = scores[:, i] - np.delete(scores, i, axis=1).max(1)
    return margin


def _half(x: Any) -> Floats2d:
    """As it is stored: a detector that was read is the one that was written."""
    rounded: Floats2d = np.asarray(x).astype(np.float16).astype(np.float32)
    return rounded


def _unit(x: Any) -> Any:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9)


def _sigmoid(x: Floats2d) -> Floats2d:
    value: Floats2d = 1 / (1 + np.exp(-np.clip(x, -30, 30)))
    return value


def _logit(p: Floats2d) -> Floats2d:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    value: Floats2d = np.log(p / (1 - p))
    return value
