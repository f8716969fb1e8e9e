"""`add_domain`: a further domain for a loaded pipeline, from annotated texts.

texts -> checks -> which adapter is the best start -> training, apart from the pipeline
      -> tagger, detector and meta take it over together
"""

import copy
import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..core.seeds import same_seed
from ..errors import ConfigError, DomainError
from ..names import check_description, check_head_name, check_labels, check_new_name
from ..pipeline.multibert_ner import MultibertNER
from ..pipeline.undo import all_or_nothing
from .components import follow, let_side_tasks_read, tagger_of
from .data import check_data, labels_in, read_examples
from .learning import able_detectors, learn_domain
from .progress import progress_bar
from .starts import choose_start, new_head
from .training import budget_for, own_tagger, score_entities, train_domain

__all__ = ["add_domain"]

logger = logging.getLogger(__name__)

AUTO = "auto"
MOST_SEEDS = 2**32
"""That numpy takes."""


def add_domain(
    nlp: Language,
    name: str,
    train: str | Path | Iterable[Example | Doc],
    *,
    dev: str | Path | Iterable[Example | Doc] | None = None,
    labels: Sequence[str] | None = None,
    head: str | None = None,
    start: str = AUTO,
    description: str | None = None,
    steps: int | None = None,
    detect: bool = True,
    seed: int = 0,
) -> dict[str, Any]:
    """Add a domain to a pipeline: an adapter of its own is trained, the other domains stay bit for
    bit as they were. A Ctrl-C ends the training early and keeps what is best so far; one before or
    after it leaves the pipeline as it was.

    nlp (Language): A loaded pipeline, which is ready to run and to save afterwards.
    name (str): The new domain's.
    train (Path or Iterable): Annotated texts: Examples, Docs, a `.spacy` file or a folder of
        them. Those without `doc._.domain` are of the new domain.
    dev (Path or Iterable): Other texts, on which the start and the best step are chosen. Without
        them a share of `train` chooses the start, and the last step is kept.
    labels (Sequence[str]): Labels of its own, which make a new head. None keeps the head of the
        start.
    head (str): Of labels of its own, the head's name, else the domain's; without labels, the head
        that the start must have.
    start (str): The domain whose adapter it starts as; "auto" is the best of all.
    description (str): What belongs to the domain, in a sentence, for the detector.
    steps (int): Updates; None has as many as are good for so many texts.
    detect (bool): Whether the detector learns it too; else it is used only where it is given.
    seed (int): Of all that is drawn.
    RETURNS (dict): Scores on dev as spaCy names them (`ents_f`, `ents_p`, `ents_r`,
        `ents_per_type`; None without dev), `start_f`, the F1 of the start before training,
        `domain`, `start`, `head`, `labels`, `step`, the one that was kept, `stopped`, the one at
        which Ctrl-C ended it (None if none did), and `minutes`.
    RAISES (DomainError): If there is such a domain already, no such start or head, or if the
        labels do not fit.
    RAISES (CorpusError): If texts are missing, damaged or of other domains.
    RAISES (ConfigError): If a name or setting is illegal, or the detector cannot learn.
    """
    begin = time.monotonic()
    tagger = tagger_of(nlp)
    labels = None if labels is None else check_labels(labels)
    _check_settings(tagger, name, labels, head, start, description)
    _check_numbers(steps, seed, detect=detect)
    detectors = able_detectors(nlp) if detect else []
    examples = read_examples(train, nlp.vocab, name, "train")
    held_out = [] if dev is None else read_examples(dev, nlp.vocab, name, "dev")
    candidates, own_labels = _candidates(tagger, examples, labels, head, start)
    known = own_labels or tagger.labels_of(candidates[0])
    check_data(nlp, examples, held_out, known, new=bool(own_labels)).say()
    kind = tagger.model.module.settings.kind
    n_words = sum(len(eg.predicted) for eg in examples)
    budget = budget_for(n_words, kind=kind, steps=steps)
    bench = own_tagger(tagger, core_dropout=budget.core_dropout)
    bar = progress_bar(unit="step", total=budget.steps, desc=name)
    with same_seed(seed), bar:
        found = None
        if candidates:
            bar.set_postfix_str("looks for the best start")
            found = choose_start(
                tagger,
                bench,
                held_out or examples,
                candidates,
                own_labels=bool(own_labels),
                mix=start == AUTO,
                seed=seed,
            )
        head = _put(tagger, bench, name, head, own_labels, found, examples)
        bar.set_postfix_str("")
        bar.reset()  # the time that a step takes begins here

        def tell(step: int, f: float | None) -> None:
            bar.update()
            if f is not None:
                bar.set_postfix_str(f"dev F1 {100 * f:.1f}")

        course = train_domain(
            nlp,
            bench,
            name,
            examples,
            budget,
            heads=bool(own_labels),
            dev=held_out,
            seed=seed,
            tell=tell,
        )
    _round(bench, name, heads=bool(own_labels))
    scores = score_entities(bench, held_out) if held_out else {}
    before = tagger.domains
    with all_or_nothing(nlp):
        _take(tagger, bench, name, head, description)
        for detector in detectors:
            docs = [eg.predicted for eg in examples]
            learn_domain(detector, name, docs, description, seed=seed)
        let_side_tasks_read(nlp, name, None if found is None else found.domain)
        follow(nlp, before, {})
        _note(nlp, name, scores)
    keys = ("ents_f", "ents_p", "ents_r", "ents_per_type")
    return {
        **{key: scores.get(key) for key in keys},
        "domain": name,
        "start": None if found is None else found.name,
        "start_f": None if found is None else found.f,
        "head": head,
        "labels": list(tagger.labels_of(name)),
        "step": course.kept,
        "stopped": course.stopped,
        "minutes": round((time.monotonic() - begin) / 60, 2),
    }


def _check_settings(
    tagger: MultibertNER,
    name: str,
    labels: Sequence[str] | None,
    head: str | None,
    start: str,
    description: str | None,
) -> None:
    check_new_name(name, tagger.domains)
    if head is not None:
        check_head_name(head)
    if labels is not None and not labels:
        raise ConfigError("labels is empty: name some, or give None to keep the head of the start")
    if not isinstance(start, str):
        raise ConfigError(f'start must be a domain\'s name or "{AUTO}", got {start!r:.100}')
    if start != AUTO and start not in tagger.domains:
        raise DomainError.unknown(start, tagger.domains, component=tagger.name)
    if description is not None:
        check_description(description)


def _check_numbers(steps: object, seed: object, *, detect: object) -> None:
    if steps is not None and not (_is_whole(steps) and steps >= 1):
        raise ConfigError(f"steps must be a whole number of at least 1, got {steps!r:.100}")
    if not (_is_whole(seed) and 0 <= seed < MOST_SEEDS):
        raise ConfigError(
            f"seed must be a whole number from 0 to {MOST_SEEDS - 1}, got {seed!r:.100}"
        )
    if not isinstance(detect, bool):
        raise ConfigError(f"detect must be True or False, got {detect!r:.100}")


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _candidates(
    tagger: MultibertNER,
    examples: Sequence[Example],
    labels: Sequence[str] | None,
    head: str | None,
    start: str,
) -> tuple[list[str], tuple[str, ...]]:
    """Return the domains to start from, and labels of its own; () keeps a head."""
    heads = tagger.model.module.heads
    names = list(tagger.domains) if start == AUTO else [start]
    if labels is not None and head is not None and head not in heads:
        return names, tuple(labels)
    if head is not None:
        if head not in heads:
            known = ", ".join(heads) or "none"
            raise DomainError(f"Unknown head {head!r}; there are: {known}. Labels make a new one")
        names = [name for name in names if tagger.model.module.head_name(name) == head]
        if not names:
            raise DomainError(f"The start {start!r} has another head than {head!r}")
        if labels is not None and set(labels) != set(heads[head].labels):
            raise DomainError(
                f"There is a head {head!r} with the labels {', '.join(heads[head].labels)}: give "
                "the new one another name"
            )
    if labels is not None:
        same = [name for name in names if set(tagger.labels_of(name)) == set(labels)]
        return (same, ()) if same else (names, tuple(labels))
    if not names:
        raise DomainError("The pipeline has no domain to start from: give labels for a new head")
    there = set(labels_in(examples))
    return [n for n in names if there <= set(tagger.labels_of(n))] or names[:1], ()


def _put(
    tagger: MultibertNER,
    bench: MultibertNER,
    name: str,
    head: str | None,
    labels: Sequence[str],
    found: Any,
    examples: Sequence[Example],
) -> str:
    """Put the new domain on the bench, as it starts.

    found (Start): None where there is no domain yet; then there are labels.
    RETURNS (str): Its head's name.
    """
    module, model = tagger.model.module, bench.model
    old = None if found is None else module.heads[module.head_name(found.domain)]
    if found is None:
        adapter: Any = module.settings.build(model.core)
    else:
        adapter = model.mean_adapter([found.adapter])
    if labels:
        references = [eg.reference for eg in examples]
        own: Any = new_head(labels, references, model.core.width, found, old)
        head = head or _free_head_name(name, module.heads)
    else:
        own, head = copy.deepcopy(old), module.head_name(found.domain)
    with model.module.changing():
        model.module.add_head(head, own.to(model.core.device))
        model.module.add_domain(name, head, adapter.to(model.core.device))
    return head


def _free_head_name(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name = f"{name}/own"
    return name


def _round(bench: MultibertNER, name: str, *, heads: bool) -> None:
    """Round what was learnt to fp16, in which it is stored: what is in memory is what will be
    loaded. A head that others share stays as it is.
    """
    module = bench.model.module
    with module.changing():
        for p in module.adapter_of(name).parameters():
            p.data = p.data.half()
        for p in module.heads[module.head_name(name)].parameters() if heads else ():
            p.data = p.data.half().float()


def _take(
    tagger: MultibertNER, bench: MultibertNER, name: str, head: str, description: str | None
) -> None:
    """Give the pipeline's tagger the domain, frozen as all others."""
    module, made = tagger.model.module, bench.model.module
    made.set_trainable([], heads=False)
    with module.changing():
        if head not in module.heads:
            module.add_head(head, made.heads[head])
        module.add_domain(name, head, made.adapter_of(name))
    if description:
        tagger.model.descriptions[name] = description


def _note(nlp: Language, name: str, scores: dict[str, Any]) -> None:
    """Keep the pipeline's meta in step."""
    performance = nlp.meta.setdefault("performance", {})
    if scores:
        own = {key: scores[f"ents_{key}"] for key in ("p", "r", "f", "per_type")}
        performance.setdefault("ents_per_domain", {})[name] = own
