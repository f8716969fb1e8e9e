"""`domain_detector`: finds the domain of a group of docs.

    stream -> groups by thread -> one text per group -> any spaCy text classifier -> domain

spaCy's `TextCategorizer` with groups in place of docs: the model may be our adapter on the core
(the paper's) or any architecture of spaCy's, and sees one doc that holds the group's words. In
training such docs come ready-made from `multibert_spacy.GroupCorpus.v1`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.pipeline import TextCategorizer
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import Config, Model

from ..drafts import draft_in
from ..errors import AdapterError, ConfigError
from ..models.classifier import ClassifierModel
from ..models.manifest import write_json
from ..models.names import check_labels
from ..models.runner import GRAPH
from ..models.saves import SavedPart, check_save, read_settings
from ..models.storage import MANIFEST, check_saved_labels, file_hash, verify_files
from ..parts import is_whole
from ..text.spans import check_finite
from ..text.threads import apply_context, buffer_groups, group_docs
from ..types import Floats2d
from .folders import FolderBytes, read_model, write_model

__all__ = ["DomainDetector", "join_docs", "make_domain_detector"]

DEFAULT_CONFIG = Config().from_str("""
[domain_detector]
group_size = 8
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
    assigns=["doc.cats", "doc._.domain"],
    default_config=DEFAULT_CONFIG,
    default_score_weights={"domain_acc": 1.0, "domain_per_type": None},
)
def make_domain_detector(
    nlp: Language,
    name: str,
    model: Model[list[Doc], Floats2d],
    group_size: int,
    threshold: float,
    fallback_domain: str | None,
    scorer: Callable[..., dict[str, Any]] | None,
) -> "DomainDetector":
    """Construct the detector.

    model (Model): A text classifier whose outputs sum to 1.
    group_size (int): Docs per group where no thread is given (the paper's 8).
    threshold (float): Below this best score, fallback_domain is chosen.
    fallback_domain (str): Needed if threshold is above 0.
    scorer (Callable): The scoring method.
    """
    return DomainDetector(
        nlp.vocab,
        model,
        name,
        group_size=group_size,
        threshold=threshold,
        fallback_domain=fallback_domain,
        scorer=scorer,
    )


class DomainDetector(FolderBytes, TextCategorizer):
    """Pipeline component that writes `doc.cats` and `doc._.domain`."""

    def __init__(
        self,
        vocab: Vocab,
        model: Model[list[Doc], Floats2d],
        name: str = "domain_detector",
        *,
        group_size: int = 8,
        threshold: float = 0.0,
        fallback_domain: str | None = None,
        scorer: Callable[..., dict[str, Any]] | None = None,
    ) -> None:
        """See `make_domain_detector`. RAISES (ConfigError): For settings that make no sense."""
        if group_size < 1:
            raise ConfigError(f"group_size must be at least 1, got {group_size}")
        if not 0.0 <= threshold <= 1.0:
            raise ConfigError(f"threshold must be in [0, 1], got {threshold}")
        if threshold > 0 and fallback_domain is None:
            raise ConfigError(f"threshold = {threshold} needs a fallback_domain")
        super().__init__(vocab, model, name, threshold=threshold, scorer=scorer)
        self.group_size = group_size
        self.fallback_domain = fallback_domain

    def __call__(self, doc: Doc) -> Doc:
        """A doc on its own is a group of one."""
        return next(iter(self.pipe([doc])), doc)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Detect the domains of a stream. spaCy's own `pipe` would cut a group at the border of a
        batch; here a batch is as many whole groups as hold batch_size docs.

        stream (Iterable[Doc]): Docs.
        batch_size (int): Docs to buffer.
        YIELDS (Doc): The docs, in order.
        """
        for groups in buffer_groups(group_docs(stream, self.group_size), batch_size):
            try:
                self.annotate_groups(groups)
                done = groups
            except Exception:
                done = list(self._one_by_one(groups))
            for group in done:
                yield from group

    def _one_by_one(self, groups: Sequence[list[Doc]]) -> Iterator[list[Doc]]:
        """A doc that fails goes to the error handler alone, and its group is read without it. If
        none fails alone, the group does as a whole.
        """
        for group in groups:
            sound, error = group, None
            try:
                self.annotate_groups([group])
            except Exception as e:
                sound, error = [doc for doc in group if self._is_sound(doc)], e
            if error is not None and len(sound) < len(group):
                yield from self._one_by_one([sound])
            elif error is not None:
                self.get_error_handler()(self.name, self, group, error)
            elif sound:
                yield sound

    def _is_sound(self, doc: Doc) -> bool:
        """Whether a doc can be read on its own; if not, the error handler is told."""
        try:
            if _open(doc):
                self.predict([join_docs([doc], self.vocab)])
        except Exception as e:
            self.get_error_handler()(self.name, self, [doc], e)
            return False
        return True

    def annotate_groups(self, groups: Sequence[list[Doc]]) -> None:
        """Detect and write the domain of each group's docs that have none.

        groups (Sequence[list[Doc]]): Groups of docs.
        """
        open_groups = [[doc for doc in group if _open(doc)] for group in groups]
        open_groups = [group for group in open_groups if group]
        if open_groups:
            scores = self.predict([join_docs(group, self.vocab) for group in open_groups])
            for group, row in zip(open_groups, scores, strict=True):
                self.set_annotations(group, np.tile(row, (len(group), 1)))

    def predict(self, docs: Iterable[Doc]) -> Floats2d:
        """docs (Iterable[Doc]): One doc per group.
        RETURNS (n, labels): Probabilities. A doc without words has the same for every domain.
        """
        docs = list(docs)
        scores = np.full((len(docs), len(self.labels)), 1 / max(len(self.labels), 1), dtype="f")
        filled = [i for i, doc in enumerate(docs) if len(doc)]
        if filled:
            output = self.model.predict([docs[i] for i in filled])
            scores[filled] = self.model.ops.to_numpy(output)
        check_finite(scores, self.name)
        return scores

    def set_annotations(self, docs: Iterable[Doc], scores: Floats2d) -> None:
        """Write `doc.cats` and `doc._.domain`.

        docs (Iterable[Doc]): The docs.
        scores (n, labels): Probabilities, one row per doc.
        """
        for doc, row in zip(docs, scores, strict=True):
            doc.cats = {label: float(p) for label, p in zip(self.labels, row, strict=True)}
            best = int(row.argmax())
            sure = row[best] >= self.cfg["threshold"]
            doc._.domain = self.labels[best] if sure else self.fallback_domain

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
        labels (Iterable[str]): The domains; none at all takes those of the examples, sorted.
        folder (str): What `to_disk` of another detector wrote, read instead.
        RAISES (AdapterError): If that is missing, damaged, or made for another core.
        """
        if folder is not None:
            self._read(Path(folder))
            return
        labels = list(labels or ())
        if not labels:
            labels = sorted({label for eg in get_examples() for label in eg.reference.cats})
        check_labels(labels)
        super().initialize(get_examples, nlp=nlp, labels=labels)

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
        return self._read(Path(path), exclude=exclude, graph=Path(path) / GRAPH)

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


def _open(doc: Doc) -> bool:
    """Whether a doc's domain is to be detected."""
    apply_context(doc)
    return doc._.domain is None


def join_docs(docs: Sequence[Doc], vocab: Vocab) -> Doc:
    """docs (Sequence[Doc]): A group.
    RETURNS (Doc): A new doc with all their words; nothing else is copied.
    """
    words = [word for doc in docs for word in doc]
    spaces = [bool(word.whitespace_) for word in words]
    for i in np.cumsum([len(doc) for doc in docs])[:-1]:
        if i:
            spaces[i - 1] = True
    return Doc(vocab, words=[word.text for word in words], spaces=spaces)
