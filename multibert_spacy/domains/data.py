"""Annotated texts of a new domain: read, and checked before anything is trained.

What would end in an error after minutes, or be learnt wrongly without a word, is said at once and
all together: a table of what was found, where, and how often.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from wasabi.tables import table

from ..errors import ConfigError, CorpusError, DomainError
from ..pipeline.batching import has_entities
from ..pipeline.domain_detector import join_docs
from ..training.corpus import read_docs

__all__ = ["Findings", "check_data", "labels_in", "read_examples"]

logger = logging.getLogger(__name__)

FEWEST = 5
"""Examples of a label, from which on something can be learnt of it."""
FEWEST_TEXTS = 30
"""Texts, from which on a domain is learnt rather than a few sentences."""
FEWEST_NAMES = 20
"""Names in dev, from which on one more or less does not decide."""
MOST_SHOWN = 5
OF_PERSIAN = frozenset("که از به در را است این با برای های می شد آن".split())
URDU = frozenset("ٹڈڑےںھ")


def read_examples(
    source: "str | Path | Iterable[Example | Doc]", vocab: Vocab, domain: str, what: str
) -> list[Example]:
    """Read annotated texts; those of other domains are left out.

    source (Path or Iterable): A `.spacy` file, a folder of them, Examples, or Docs.
    vocab (Vocab): The pipeline's.
    domain (str): What texts are of that name none.
    what (str): "train" or "dev", for messages.
    RETURNS (list[Example]): Predicted docs with the domain and nothing else.
    RAISES (CorpusError): If a file is missing or damaged, or no text is left.
    RAISES (ConfigError): If it is something else.
    """
    if isinstance(source, str | Path):
        docs: Iterable[Example | Doc] = read_docs(source, vocab)
        name = str(source)
    elif isinstance(source, Iterable) and not isinstance(source, bytes | dict | Doc):
        docs, name = source, what
    else:
        raise ConfigError(
            f"{what} must be a path to .spacy files, Examples or annotated Docs, got a "
            f"{type(source).__name__}"
        )
    examples, others = [], Counter[str]()
    for one in docs:
        if not isinstance(one, Example | Doc):
            raise ConfigError(
                f"{what} must be a path to .spacy files, Examples or annotated Docs; one of it is "
                f"a {type(one).__name__}"
            )
        words, gold = (one, one) if isinstance(one, Doc) else (one.predicted, one.reference)
        own = gold._.domain or words._.domain
        if own not in (None, domain):
            others[str(own)] += 1
        elif len(words):
            for ent in gold.ents:
                vocab.strings.add(ent.label_)  # the doc may be of another vocabulary
            predicted = join_docs([words], vocab)
            predicted._.domain = domain
            examples.append(Example(predicted, gold))
    if not examples:
        found = ", ".join(f"{key} ({n})" for key, n in others.most_common()) or "no text"
        raise CorpusError(
            f"{name} has no text of {domain!r}, but {found}. Texts without doc._.domain would be "
            "of the new domain"
        )
    if others:
        logger.warning(
            "%s: left out %d texts of other domains: %s",
            name,
            sum(others.values()),
            ", ".join(others),
        )
    return examples


def labels_in(examples: Iterable[Example]) -> Counter[str]:
    """Count how many entities have which label."""
    return Counter(ent.label_ for eg in examples for ent in eg.reference.ents)


@dataclass
class Findings:
    """What is wrong with annotated texts.

    errors, doubts (list): What it is, how often it is there, and where.
    """

    errors: list[tuple[str, int, str]] = field(default_factory=list)
    doubts: list[tuple[str, int, str]] = field(default_factory=list)

    def say(self) -> None:
        """Log the doubts as a table.

        RAISES (DomainError): If there are errors, in one sentence.
        """
        if self.errors:
            told = "; ".join(f"{what} ({n} times), {where}" for what, n, where in self.errors)
            raise DomainError(f"Nothing was trained: {told}")
        if self.doubts:
            header = ("in the data", "times", "where")
            shown = table(self.doubts, header=header, divider=True, max_col=80)
            logger.warning("Doubts about the data:\n%s", shown.strip())


def check_data(
    nlp: Language,
    train: Sequence[Example],
    dev: Sequence[Example],
    labels: Sequence[str],
    *,
    new: bool = False,
) -> Findings:
    """Look at annotated texts before they are learnt.

    nlp (Language): The pipeline: its tokenizer makes the words that names can begin and end with.
    labels (Sequence[str]): That the domain will have.
    new (bool): Whether its head is a new one, which knows nothing of a label without examples.
    RETURNS (Findings): Of both parts.
    """
    found = Findings()
    counts, of_dev = labels_in(train), labels_in(dev)
    strange = sorted((counts | of_dev).keys() - set(labels))
    for label in strange:
        found.errors.append(
            (
                f"label {label!r} that the head lacks",
                counts[label] + of_dev[label],
                f"which has {' '.join(labels)}: name all labels to make another head "
                "(labels=[…], --labels)",
            )
        )
    if not counts or not any(map(has_entities, train)):
        found.errors.append(("no entity at all", len(train), "train"))
    for label in labels:
        if (new or counts[label]) and counts[label] < FEWEST:
            found.doubts.append(
                (f"label {label!r} with fewer than {FEWEST} examples", counts[label], "train")
            )
    if len(train) < FEWEST_TEXTS:
        found.doubts.append(
            (f"fewer than {FEWEST_TEXTS} texts: too few to learn from", len(train), "train")
        )
    if dev and sum(of_dev.values()) < FEWEST_NAMES:
        found.doubts.append(
            (f"fewer than {FEWEST_NAMES} names: scores are noise", sum(of_dev.values()), "dev")
        )
    for what, own in (("train", train), ("dev", dev)):
        apart = [eg.reference.text.strip()[:40] for eg in own if not _aligns(eg)]
        if apart:
            found.errors.append(
                ("Examples whose two docs are different texts", len(apart), _some(what, apart))
            )
        cut = [place for eg in own for place in _misaligned(nlp, eg)]
        if cut:
            found.doubts.append(("names that end inside a word", len(cut), _some(what, cut)))
        if nlp.lang == "fa":
            foreign = [
                eg.reference.text.strip()[:40] for eg in own if not is_persian(eg.reference)
            ]
            if foreign:
                found.doubts.append(
                    ("texts that are not Persian", len(foreign), _some(what, foreign))
                )
    seen = {eg.reference.text.strip() for eg in train}
    both = [eg.reference.text.strip()[:40] for eg in dev if eg.reference.text.strip() in seen]
    if both:
        found.doubts.append(("texts in train and in dev", len(both), _some("dev", both)))
    return found


def _some(what: str, places: Sequence[str]) -> str:
    shown = ", ".join(dict.fromkeys(places[:MOST_SHOWN]))
    return f"{what}: {shown}{', …' if len(places) > MOST_SHOWN else ''}"


def _aligns(eg: Example) -> bool:
    """Whether spaCy can align the words of an Example's docs."""
    try:
        return eg.alignment is not None
    except ValueError:
        return False


def _misaligned(nlp: Language, eg: Example) -> list[str]:
    """Find names that no prediction on the raw text can find, since one of the
    pipeline's words goes on; with that word.
    """
    gold = eg.reference
    spans = [(ent.text, ent.start_char, ent.end_char) for ent in gold.ents]
    lost = []
    if gold.has_annotation("ENT_IOB"):  # spaCy leaves out what does not fit the words
        lost = [word.text for word in gold if word.ent_iob == 0 and not word.is_space]
    if not spans and not lost:
        return []
    words = nlp.make_doc(gold.text)
    starts = {word.idx for word in words}
    ends = {word.idx + len(word) for word in words}
    for text, start, end in spans:
        if start not in starts or end not in ends:
            at = start if start not in starts else end - 1
            inside = next(word.text for word in words if word.idx + len(word) > at)
            lost.append(f"{text} in {inside}" if inside != text else text)
    return lost


def is_persian(doc: Doc) -> bool:
    """Whether a text may be Persian: in its script, and neither plainly Urdu nor plainly Arabic.
    A text without letters may.
    """
    letters = [char for char in doc.text if char.isalpha()]
    if not letters:
        return True
    ours = sum("\u0600" <= char <= "\u06ff" or "\ufb50" <= char <= "\ufefc" for char in letters)
    if 2 * ours < len(letters):
        return False
    if sum(char in URDU for char in letters) * 50 > len(letters):
        return False
    words = [word.text for word in doc if word.is_alpha]
    arabic = sum(word.startswith("ال") or "ة" in word for word in words)
    return 4 * arabic < len(words) or not OF_PERSIAN.isdisjoint(words)
