"""Make examples from examples, with augmenters as spaCy's corpus readers call them.

Swapping the mentions of entities (Dai and Adel 2020, "mention replacement") shows a small domain's
names in more contexts and its contexts with more names.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import registry

from ..errors import ConfigError
from ..pipeline.domain_detector import join_docs

__all__ = ["Augmenter", "Mention", "build_chain_v1", "build_entity_swap_v1", "example_of", "replace_mentions"]

Augmenter = Callable[[Language, Example], Iterator[Example]]
Mention = tuple[tuple[str, bool], ...]
"""Words of an entity, each with whether a space follows it."""


@registry.augmenters("multibert_spacy.EntitySwap.v1")
def build_entity_swap_v1(level: float = 0.3, seed: int = 0) -> Augmenter:
    """Replace entities by others of the same label and domain that came by before.

    level (float): Share of the entities that are replaced, in [0, 1].
    seed (int): Of the drawing.
    RAISES (ConfigError): If level is out of range.
    """
    if not 0 <= level <= 1:
        raise ConfigError(f"level must be in [0, 1], got {level}")
    rng = random.Random(seed)
    pool: dict[tuple[str | None, str], dict[Mention, None]] = defaultdict(dict)
    drawn: dict[tuple[str | None, str], list[Mention]] = defaultdict(list)

    def pick(domain: str | None, ent: Span) -> Mention | None:
        mention: Mention = tuple((word.text, bool(word.whitespace_)) for word in ent)
        key = (domain, ent.label_)
        if mention not in pool[key]:
            pool[key][mention] = None
            drawn[key].append(mention)
        return rng.choice(drawn[key]) if rng.random() < level else None

    def augment(nlp: Language, example: Example) -> Iterator[Example]:
        gold = example.reference
        chosen = [(ent, pick(gold._.domain, ent)) for ent in gold.ents]
        if not any(mention for _, mention in chosen):
            yield example
            return
        yield example_of(nlp, example, replace_mentions(gold, chosen))

    return augment


@registry.augmenters("multibert_spacy.Chain.v1")
def build_chain_v1(*augmenters: Augmenter) -> Augmenter:
    """One augmenter after the other, each on what the one before made.

    augmenters (Callable): In a config, sections `[….augmenter.*.a_name]`, in that order.
    """

    def augment(nlp: Language, example: Example) -> Iterator[Example]:
        examples = [example]
        for augmenter in augmenters:
            examples = [new for own in examples for new in augmenter(nlp, own)]
        yield from examples

    return augment


def example_of(nlp: Language, example: Example, reference: Doc) -> Example:
    """Return the example of a changed reference; the predicted doc's domain stays as it was."""
    predicted = join_docs([reference], nlp.vocab)
    for name in ("domain", "thread"):
        predicted._.set(name, example.predicted._.get(name))
    return Example(predicted, reference)


def replace_mentions(doc: Doc, chosen: list[tuple[Span, Mention | None]]) -> Doc:
    """A new doc with the chosen entities' words in place of theirs; the space behind stays."""
    words: list[str] = []
    spaces: list[bool] = []
    spans: list[tuple[int, int, str]] = []
    done = 0

    def take(start: int, end: int) -> None:
        words.extend(word.text for word in doc[start:end])
        spaces.extend(bool(word.whitespace_) for word in doc[start:end])

    for ent, mention in chosen:
        take(done, ent.start)
        first = len(words)
        if mention is None:
            take(ent.start, ent.end)
        else:
            words.extend(word for word, _ in mention)
            spaces.extend(space for _, space in mention)
            spaces[-1] = bool(ent[-1].whitespace_)
        spans.append((first, len(words), ent.label_))
        done = ent.end
    take(done, len(doc))
    new = Doc(doc.vocab, words=words, spaces=spaces)
    new.set_ents([Span(new, start, end, label=label) for start, end, label in spans])
    new._.domain, new._.thread = doc._.domain, doc._.thread
    return new
