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
from spacy.tokens import Doc
from spacy.training import Example, validate_get_examples

from ..engines.runner import GRAPH
from ..errors import AdapterError, DomainError
from ..names import check_labels, check_name
from ..networks.tagger_model import TaggerModel
from ..serialization.archive import FolderBytes
from ..serialization.drafts import carry_over, draft_in
from ..serialization.manifest import MANIFEST, file_hash, write_json
from ..serialization.parts import is_whole
from ..serialization.saves import SavedPart, check_save, read_settings, say_domains
from ..text.blank import is_blank
from ..text.threads import apply_context
from .batching import has_entities, tag_pairs
from .given_scores import GivenScores

__all__ = ["TaggerDomains"]


class TaggerDomains(GivenScores, FolderBytes):
    """The half of `MultibertNER` that knows which domains, heads and labels there are."""

    name: str
    model: TaggerModel
    cfg: dict[str, Any]
    check_core: Callable[[], None]
    configured_domain: str | None
    normalizer: Callable[[str], str]
    get_error_handler: Callable[[], Callable[..., Any]]
    _just_read: bool

    @property
    def domains(self) -> tuple[str, ...]:
        """RETURNS (tuple[str]): Names of the domains."""
        return self.model.module.domains

    @property
    def labels(self) -> tuple[str, ...]:
        """RETURNS (tuple[str]): Union of the labels of all domains."""
        with self.model.module.unchanged():
            heads = self.model.module.heads.values()
            return tuple(dict.fromkeys(chain.from_iterable(head.labels for head in heads)))

    @property
    def label_data(self) -> tuple[str, ...]:
        """RETURNS (tuple[str]): The labels, for `spacy init labels`."""
        return self.labels

    def labels_of(self, domain: str) -> tuple[str, ...]:
        """RETURNS (tuple[str]): Labels of one domain. RAISES (DomainError): If unknown."""
        return self.model.module.labels_of(domain)

    def domain_of(self, doc: Doc, domains: Sequence[str] | None = None) -> str:
        """doc (Doc): A doc. What a context of `nlp.pipe(as_tuples=True)` says of it is taken.
        domains (Sequence[str]): Those there are; None are those there are now.
        RETURNS (str): Its domain, or else the default one. A doc of nothing needs none.
        RAISES (DomainError): If the domain is unknown.
        """
        apply_context(doc)
        domain = doc._.domain if doc._.domain is not None else self.cfg["default_domain"]
        domains = self.domains if domains is None else domains
        if domain is None and domains and is_blank(doc):
            return domains[0]  # where it has no entities either
        if isinstance(domain, str) and domain in domains:
            return domain
        if not domains:
            self.check_core()
        raise DomainError.unknown(domain, domains, component=self.name)

    def with_domain(self, docs: Iterable[Doc]) -> list[Doc]:
        """RETURNS (list): The docs whose domain is known; the error handler has the others, so
        that one of them costs no other doc its batch.
        """
        known = []
        for doc in docs:
            try:
                self.domain_of(doc)
            except Exception as e:
                self.get_error_handler()(self.name, self, [doc], e)
            else:
                known.append(doc)
        return known

    def check_default(self) -> None:
        """To be called once all is loaded; says what is wrong once.
        RAISES (DomainError): If the default domain was loaded and is no domain.
        """
        just_read, self._just_read = self._just_read, False
        default = self.cfg["default_domain"]
        if just_read and default is not None and self.domains and default not in self.domains:
            raise DomainError(
                f"The default_domain {default!r} of component '{self.name}' is none of its "
                f"domains: {', '.join(sorted(self.domains))}. "
                f"Set components.{self.name}.default_domain to one of these"
            )

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
        with self.model.module.changing():
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
        """Make one domain to train, or read trained ones. A component that has domains and is told
        nothing keeps them and their labels, and starts their weights anew, as spaCy's do.

        get_examples (Callable): Examples: labels and a prefix's start values come from them.
        nlp (Language): The pipeline.
        domain (str): Name of the domain to make; None is the default domain, or else one for each
            that a detector in front finds, or else the head's name. One alone becomes the default
            domain unless there is one.
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
        examples = list(get_examples())
        told = list(filter(has_entities, examples)) or examples
        references = [eg.reference for eg in told]
        if self.domains and domain is None and start is None and labels is None:
            self._start_anew(references)
            return
        if labels is None:
            labels = sorted({ent.label_ for doc in references for ent in doc.ents})
        labels = check_labels(labels)
        domain = domain or self.cfg["default_domain"]
        names = _detected(nlp, self) if domain is None else ()
        for name in names or [domain or head]:
            self.model.add_domain(
                check_name(name),
                head=head,
                labels=labels,
                start=None if start is None else Path(start),
                pieces=self._pieces(references),
                pairs=tag_pairs(references, labels),
            )
        if not names:
            self.cfg["default_domain"] = self.cfg["default_domain"] or domain or head
        self.train_only(names or [domain or head], heads=True)

    def _start_anew(self, references: Sequence[Doc]) -> None:
        module = self.model.module
        known = {name: (module.head_name(name), self.labels_of(name)) for name in self.domains}
        pieces = self._pieces(references)
        with module.changing():  # other threads go on with the old ones till then
            for name in known:
                module.remove_domain(name)
            for name, (head, labels) in known.items():
                pairs = tag_pairs(references, labels)
                self.model.add_domain(name, head=head, labels=labels, pieces=pieces, pairs=pairs)
        self.train_only(known, heads=True)

    def _pieces(self, docs: Sequence[Doc]) -> list[int]:
        """RETURNS (list[int]): Pieces of some of the docs: a prefix's start values."""
        core = self.model.core
        words = [[self.normalizer(word.text) for word in doc] for doc in docs[:50]]
        return list(chain.from_iterable(core.pieces(list(chain.from_iterable(words)))))

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
                self.model.write_domains(new)
                hashes = {name: file_hash(new / name / MANIFEST) for name in self.domains}
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
        self._just_read = True
        return self


def _detected(nlp: Language | None, tagger: object) -> Sequence[str]:
    """RETURNS (Sequence[str]): The domains that a component in front of the tagger writes."""
    for name, proc in nlp.pipeline if nlp is not None else ():
        if proc is tagger:
            break
        if "doc._.domain" in nlp.get_pipe_meta(name).assigns:  # type: ignore[union-attr]
            labels: Sequence[str] = getattr(proc, "labels", ())
            return labels
    return ()
