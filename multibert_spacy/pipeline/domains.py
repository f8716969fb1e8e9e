"""The domains of a tagger: make, copy, read, write. What runs them is in `multibert_ner.py`.

One folder per domain on disk; the folders that are there are the domains, under the names that
the folders have, so that one can be copied in, published or removed without touching the others.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Self

from spacy.language import Language
from spacy.training import Example, validate_get_examples

from ..drafts import carry_over, draft_in
from ..errors import AdapterError, DomainError
from ..files import inside
from ..models.manifest import write_json
from ..models.names import check_labels, check_name
from ..models.runner import GRAPH
from ..models.saves import SavedPart, check_save, read_settings, say_domains
from ..models.storage import MANIFEST, file_hash
from ..models.tagger_model import TaggerModel
from ..parts import is_whole
from .folders import FolderBytes
from .tagging import tag_pairs

__all__ = ["TaggerDomains"]


class TaggerDomains(FolderBytes):
    """The half of `MultibertNER` that knows which domains, heads and labels there are."""

    model: TaggerModel
    cfg: dict[str, Any]
    configured_domain: str | None
    normalizer: Callable[[str], str]

    @property
    def domains(self) -> tuple[str, ...]:
        """RETURNS (tuple[str]): Names of the domains."""
        return self.model.module.domains

    @property
    def labels(self) -> tuple[str, ...]:
        """RETURNS (tuple[str]): Union of the labels of all domains."""
        heads = self.model.module.heads.values()
        return tuple(dict.fromkeys(chain.from_iterable(head.labels for head in heads)))

    @property
    def label_data(self) -> tuple[str, ...]:
        """RETURNS (tuple[str]): The labels, for `spacy init labels`."""
        return self.labels

    def labels_of(self, domain: str) -> tuple[str, ...]:
        """RETURNS (tuple[str]): Labels of one domain. RAISES (DomainError): If unknown."""
        return self.model.module.labels_of(domain)

    def add_label(self, label: str) -> int:
        """Labels belong to heads: RAISES (DomainError) unless the label is known."""
        if label in self.labels:
            return 0
        raise DomainError(
            f"Labels belong to heads and cannot be added to the component: {label!r}. "
            "Add a domain with a new head instead (initialize, or add_domain of the model)"
        )

    def train_only(self, domains: Iterable[str], *, heads: bool) -> None:
        """Choose what `update` changes.

        domains (Iterable[str]): Domains whose adapters are trained.
        heads (bool): Whether their heads are.
        """
        self.model.set_trainable(domains, heads=heads)

    def start_domain(self, domain: str, *, copy_from: str | None, freeze_head: bool) -> None:
        """Make a domain that starts as a copy of another one, and train only it.

        domain (str): The new domain, which becomes the default one.
        copy_from (str): The domain whose head it shares. Its adapter is copied. None takes the
            default domain, or the only one there is, and replaces it.
        freeze_head (bool): Whether the head stays as it is, as in the paper.
        RAISES (DomainError): If copy_from is unknown.
        """
        default = self.cfg["default_domain"]
        if default is None and len(self.domains) == 1:
            default = self.domains[0]
        source = copy_from if copy_from is not None else default
        head = self.model.module.head_name(source)
        self.model.add_domain(check_name(domain), head=head, copy_from=source)
        if source != domain and copy_from is None:
            self.model.module.remove_domain(source)
        self.cfg["default_domain"] = domain
        self.train_only([domain], heads=not freeze_head)

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        domain: str | None = None,
        head: str = "default",
        labels: Sequence[str] | None = None,
        adapters: str | None = None,
        start: str | None = None,
    ) -> None:
        """Make one domain to train, or read trained ones.

        get_examples (Callable): Examples: labels and a prefix's start values come from them.
        nlp (Language): The pipeline.
        domain (str): Name of the domain to make; None is the default domain, or else the head's
            name. It becomes the default domain unless there is one.
        head (str): Name of its head.
        labels (Sequence[str]): The head's labels; None takes those of the examples, sorted.
        adapters (str): A folder with one folder per domain, read instead.
        start (str): A domain's folder, whose adapter the new one starts as.
        RAISES (DomainError): If there are no labels.
        RAISES (AdapterError): If there is no adapter in the folder, or a damaged one.
        """
        if adapters is not None:
            self._read_domains(Path(adapters))
            if not self.domains:
                raise AdapterError(f"There is no adapter in {adapters}")
            return
        validate_get_examples(get_examples, "MultibertNER.initialize")
        references = [eg.reference for eg in get_examples()]
        if labels is None:
            labels = sorted({ent.label_ for doc in references for ent in doc.ents})
        domain = check_name(domain or self.cfg["default_domain"] or head)
        labels = check_labels(labels)
        core = self.model.core
        words = [[self.normalizer(word.text) for word in doc] for doc in references[:50]]
        pieces = chain.from_iterable(core.pieces(list(chain.from_iterable(words))))
        self.model.add_domain(
            domain,
            head=head,
            labels=labels,
            start=None if start is None else Path(start),
            pieces=list(pieces),
            pairs=tag_pairs(references, labels),
        )
        self.cfg["default_domain"] = self.cfg["default_domain"] or domain
        self.train_only([domain], heads=True)

    def _read_domains(self, folder: Path, check: Callable[[], None] = lambda: None) -> None:
        """Replace the domains by all in a folder of folders, or by none if one is damaged.

        check (Callable): Called when all have been read and none has been taken.
        """
        if not folder.is_dir():
            raise AdapterError(f"{folder} is missing: it should hold one folder per domain")
        paths = sorted(folder.iterdir())
        names = [path.name for path in paths if path.is_dir() and path.name[0] != "."]
        self.model.read_domains(folder, names, check)
        self.train_only(self.domains, heads=False)

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write settings and one folder per domain, all of them or, if that fails, none. Folders
        of domains that are no longer here are removed; what else is there stays.
        """
        path = Path(path)
        part = SavedPart(path, whole=is_whole(exclude))
        with draft_in(path) as draft:
            cfg, hashes = dict(self.cfg), {}
            names = ["cfg"]
            if "model" not in exclude:
                names.append("domains")
                cfg["domains"] = sorted(self.domains)
                new, old = draft / "domains", path / "domains"
                new.mkdir()
                for domain in self.domains:
                    self.model.write_domain(domain, inside(new, domain), new=True)
                    hashes[domain] = file_hash(new / domain / MANIFEST)
                ours = {own.parent.name for own in old.glob(f"*/{MANIFEST}")}
                carry_over(old, new, skip=ours)
            write_json(draft / "cfg", cfg | part.ids([cfg, hashes]))
            part.put(draft, names)
        (path / "domains").mkdir(exist_ok=True)  # whoever adds domains by hand finds the place

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Self:
        """Read what `to_disk` wrote: the domains are the folders that are there, so that one can
        be copied in or taken away. A default_domain in the config overrules the saved one. Heads
        are frozen until `train_only` says otherwise.
        RAISES (AdapterError): If a file is missing, damaged, or made for another core.
        """
        path = Path(path)
        cfg = read_settings(path, AdapterError)
        check = partial(check_save, path, cfg, AdapterError, whole=is_whole(exclude))
        if "model" in exclude:
            check()
        else:
            self._read_domains(path / "domains", check)
            say_domains(path, cfg.get("domains"), self.domains)
        self.model.module.graph = path / GRAPH
        self.cfg["default_domain"] = cfg.get("default_domain")
        if self.configured_domain is not None:
            self.cfg["default_domain"] = self.configured_domain
        return self
