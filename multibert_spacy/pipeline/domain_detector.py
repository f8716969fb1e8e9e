"""`domain_detector`: finds the domain of a group of docs.

    stream -> groups by thread -> one text per group -> any spaCy text classifier -> domain

How groups are made is in `group_stream.py`, how the tagger's domains are known in `follow.py`.

spaCy's `TextCategorizer` with groups in place of docs: the model may be our adapter on the core
(the paper's) or any architecture of spaCy's, and sees one doc that holds the group's words. In
training such docs come ready-made from `multibert_spacy.GroupCorpus.v1`.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import Config, Model

from ..adapters.storage import check_saved_labels
from ..engines.runner import GRAPH
from ..errors import AdapterError, ConfigError
from ..names import check_labels
from ..networks.classifier import ClassifierModel
from ..serialization.archive import FolderBytes, read_model, write_model
from ..serialization.drafts import draft_in
from ..serialization.manifest import MANIFEST, file_hash, verify_files, write_json
from ..serialization.parts import is_whole
from ..serialization.saves import SavedPart, check_save, read_settings
from ..text.blank import is_blank
from ..text.spans import check_finite
from ..text.threads import install_extensions
from ..types import Floats2d
from .domain_learning import DomainLearning
from .follow import FollowsTaggers
from .group_stream import GroupStream, Row, join_docs
from .linking import LinkedPipe

__all__ = ["DomainDetector", "join_docs", "make_domain_detector"]

DEFAULT_CONFIG = Config().from_str("""
[domain_detector]
group_size = 8
max_thread = 1000
threshold = 0.0
fallback_domain = null

[domain_detector.scorer]
@scorers = "multibert_spacy.domain_scorer.v1"

[domain_detector.model]
@architectures = "multibert_spacy.DomainClassifier.v1"
max_pieces = 512
batch_pieces = 4096
pooling = "mean"
dropout = 0.1

[domain_detector.model.adapter]
@misc = "multibert_spacy.LoRA.v1"

[domain_detector.model.core]
@architectures = "multibert_spacy.CoreListener.v1"
upstream = "*"

[domain_detector.model.normalizer]
@misc = "multibert_spacy.HazmNormalizer.v1"
""")["domain_detector"]


@Language.factory(
    "domain_detector",
    assigns=["doc.cats", "doc._.domain", "doc._.domain_score"],
    default_config=DEFAULT_CONFIG,
    default_score_weights={"domain_acc": 1.0, "domain_per_type": None},
)
def make_domain_detector(
    nlp: Language,
    name: str,
    model: Model[list[Doc], Floats2d],
    group_size: int,
    max_thread: int,
    threshold: float,
    fallback_domain: str | None,
    scorer: Callable[..., dict[str, Any]] | None,
) -> "DomainDetector":
    """Construct the detector.

    model (Model): A text classifier whose outputs sum to 1.
    group_size (int): Docs per group where no thread is given (the paper's 8).
    max_thread (int): Docs by which a thread's domain is decided, its first; all that follow have
        it too and are not waited for, so that a thread may be endless.
    threshold (float): Below this best score, fallback_domain is chosen.
    fallback_domain (str): Needed if threshold is above 0. Also chosen where nothing can be read.
    scorer (Callable): The scoring method.
    """
    return DomainDetector(
        nlp.vocab,
        model,
        name,
        group_size=group_size,
        max_thread=max_thread,
        threshold=threshold,
        fallback_domain=fallback_domain,
        scorer=scorer,
    )


class DomainDetector(LinkedPipe, GroupStream, FollowsTaggers, FolderBytes, DomainLearning):
    """Pipeline component that writes `doc.cats`, `doc._.domain` and `doc._.domain_score`."""

    def __init__(
        self,
        vocab: Vocab,
        model: Model[list[Doc], Floats2d],
        name: str = "domain_detector",
        *,
        group_size: int = 8,
        max_thread: int = 1000,
        threshold: float = 0.0,
        fallback_domain: str | None = None,
        scorer: Callable[..., dict[str, Any]] | None = None,
    ) -> None:
        """See `make_domain_detector`. RAISES (ConfigError): For settings that make no sense."""
        if group_size < 1:
            raise ConfigError(f"group_size must be at least 1, got {group_size}")
        if max_thread < 1:
            raise ConfigError(f"max_thread must be at least 1, got {max_thread}")
        if not 0.0 <= threshold <= 1.0:
            raise ConfigError(f"threshold must be in [0, 1], got {threshold}")
        if threshold > 0 and fallback_domain is None:
            raise ConfigError(
                f"threshold = {threshold} needs a fallback_domain: set [components.{name}] "
                "fallback_domain to one of the domains"
            )
        super().__init__(vocab, model, name, threshold=threshold, scorer=scorer)
        install_extensions()  # again: someone may have registered plain ones of the same names
        self.group_size = group_size
        self.max_thread = max_thread
        self.fallback_domain = fallback_domain

    def predict(self, docs: Iterable[Doc]) -> Floats2d:
        """docs (Iterable[Doc]): One doc per group.
        RETURNS (n, labels): Probabilities. A doc of nothing has the same for every domain.
        """
        docs = list(docs)
        self.check_ready(self.labels)
        scores = np.full((len(docs), len(self.labels)), 1 / max(len(self.labels), 1), dtype="f")
        filled = [i for i, doc in enumerate(docs) if not is_blank(doc)]
        if filled:
            output = self.model.predict([docs[i] for i in filled])
            scores[filled] = self.model.ops.to_numpy(output)
        check_finite(scores, self.name)
        return scores

    def set_annotations(self, docs: Iterable[Doc], scores: Floats2d) -> None:
        """Write `doc.cats`, `doc._.domain` and `doc._.domain_score`.

        docs (Iterable[Doc]): The docs.
        scores (n, labels): Probabilities, one row per doc.
        """
        for doc, row in zip(docs, scores, strict=True):
            self.write_domain(doc, row)

    def write_domain(self, doc: Doc, row: Row | None) -> None:
        """Write what is known of one doc. Only domains that the taggers have are chosen from.
        Their probabilities are made to sum to 1 in `doc.cats`, not in the score: a text of a
        domain that was taken away is of none of those that are left. Keys of `doc.cats` that are
        no label stay.

        doc (Doc): The doc.
        row (labels,): Probabilities; None if there was nothing to read.
        """
        index = self.choosable()
        labels = [self.labels[i] for i in index]
        own = np.zeros(len(index), dtype=np.float32) if row is None else row[index]
        score = 0.0 if row is None or not index else min(float(own.max()), 1.0)
        total = float(own.sum())
        if total <= 0:
            own = np.full(len(index), 1 / max(len(index), 1), dtype=np.float32)
        elif len(index) < len(self.labels):
            own = own / total
        others = {key: value for key, value in doc.cats.items() if key not in self.labels}
        doc.cats = {**others, **dict(zip(labels, own.tolist(), strict=True))}
        sure = row is not None and bool(index) and score >= self.cfg["threshold"]
        doc._.domain = labels[int(own.argmax())] if sure else self.fallback()
        doc._.domain_score = score  # after the domain: it says that it was detected

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        labels: Iterable[str] | None = None,
        folder: str | None = None,
    ) -> None:
        """Make the network, or read a trained one.

        get_examples (Callable): Examples with the domain in `reference.cats`.
        nlp (Language): The pipeline.
        labels (Iterable[str]): The domains; none at all takes those of the examples, sorted, or
            those that there are.
        folder (str): What `to_disk` of another detector wrote, read instead.
        RAISES (AdapterError): If that is missing, damaged, or made for another core.
        """
        if folder is not None:
            self._read(Path(folder))
            return
        names = list(labels or ())
        if not names:
            names = sorted({label for eg in get_examples() for label in eg.reference.cats})
        names = names or list(self.labels)
        self.check_ready(names)
        check_labels(names)

        def told() -> Iterator[Example]:
            for eg in get_examples():
                if any(name in eg.reference.cats for name in names):
                    yield eg

        some = any(True for _ in told())
        super().initialize(told if some else get_examples, nlp=nlp, labels=names)

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the labels, and our classifier as an adapter folder or another as `model`. The
        settings are the config's, so that one given to `spacy.load` is not overruled.
        """
        path = Path(path)
        cfg: dict[str, Any] = {"labels": self.labels}
        names, hashes = ["cfg"], {}
        part = SavedPart(path, whole=is_whole(exclude))
        with draft_in(path) as draft:
            if "model" not in exclude and self.labels:
                if isinstance(self.model, ClassifierModel):
                    names.append("adapter")
                    self.model.write(draft / "adapter", self.labels, new=True)
                    hashes["adapter"] = file_hash(draft / "adapter" / MANIFEST)
                else:
                    names.append("model")
                    write_model(self.model, draft / "model")
                    cfg["files"] = {"model": file_hash(draft / "model")}
            write_json(draft / "cfg", cfg | part.ids([cfg, hashes]))
            part.put(draft, names)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "DomainDetector":
        """Read what `to_disk` wrote.
        RAISES (AdapterError): If a file is missing, damaged, or made for another core.
        """
        path = Path(path)
        self._read(path, exclude=exclude, graph=path / GRAPH)
        self._just_read = True
        return self

    def _read(
        self, path: Path, *, exclude: Iterable[str] = (), graph: Path | None = None
    ) -> "DomainDetector":
        """Nothing is taken before all has been read."""
        cfg = read_settings(path, AdapterError)
        check = partial(check_save, path, cfg, AdapterError, whole=is_whole(exclude))
        labels = cfg.get("labels")
        check_saved_labels(path / "cfg", labels)
        if "model" in exclude or not labels:
            check()
        elif isinstance(self.model, ClassifierModel):
            self.model.read(path / "adapter", labels, check=check, graph=graph)
        else:
            verify_files(path, cfg.get("files", {}), AdapterError)
            check()
            read_model(self.model, path / "model")
        self.cfg["labels"] = labels
        return self
