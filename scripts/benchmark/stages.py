"""Where the time of one of our pipelines goes, by timers around its parts.

A timer costs half a microsecond and a part that is called once per word is called 50,000 times
for 640 texts, so the shares are a little unfair to small parts; the timed rounds have no timers.
With OpenVINO batches run one after the other here, since parts that run at once have no shares.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from spacy.language import Language

from multibert_spacy.models import compute
from multibert_spacy.models.bank import Bank
from multibert_spacy.models.core import Core
from multibert_spacy.models.tagger import TaggerModule
from multibert_spacy.models.tagger_model import TaggerModel
from multibert_spacy.pipeline import multibert_ner, readings, tagging

from .systems import tag

__all__ = ["STAGES", "Clock", "measure_stages", "timers"]

STAGES = (
    "tokenising",
    "detecting",
    "normalising",
    "pieces, windows, batches",
    "adapters of the rows",
    "core",
    "head",
    "decoding",
    "writing to docs",
    "rest of spaCy",
)


class Clock:
    """Seconds of each stage, without those of the stages inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside: list[float] = []
        self._closed = False

    def timed(
        self, stage: str, function: Callable[..., Any], *, closed: bool = False
    ) -> Callable[..., Any]:
        """function (Callable): What to time; not a generator.
        closed (bool): Whether the stages inside it count as its own.
        RETURNS (Callable): The function with a timer.
        """

        def with_timer(*args: Any, **kwargs: Any) -> Any:
            if self._closed:
                return function(*args, **kwargs)
            self._inside.append(0.0)
            self._closed = closed
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.perf_counter() - start
                self._closed = False
                self.seconds[stage] += spent - self._inside.pop()
                if self._inside:
                    self._inside[-1] += spent

        return with_timer


@contextmanager
def timers(nlp: Language) -> Iterator[Clock]:
    """Put timers around the parts of a pipeline, and take them off again."""
    clock = Clock()
    tagger: Any = nlp.get_pipe("multibert_ner")
    batching = "pieces, windows, batches"
    places: list[tuple[Any, str, str]] = [
        (nlp, "make_doc", "tokenising"),
        (tagger, "normalizer", "normalising"),
        (readings, "doc_rows", batching),
        (TaggerModel, "batches", batching),
        (tagging, "pack_rows", batching),
        (readings, "join_by_doc", batching),
        (Bank, "rows", "adapters of the rows"),
        (Core, "forward", "core"),
        (TaggerModule, "forward", "head"),
        (TaggerModule, "scatter", "head"),
        (multibert_ner, "decode_entities", "decoding"),
        (tagger, "set_annotations", "writing to docs"),
    ]
    if tagger.model.core.engine == "openvino":
        from multibert_spacy.models.openvino_engine import OpenvinoRunner

        places.append((OpenvinoRunner, "__call__", "core"))
    with ExitStack() as stack:
        stack.enter_context(patch.object(compute, "n_streams", lambda engine: 1))
        for owner, name, stage in places:
            timed = clock.timed(stage, getattr(owner, name))
            stack.enter_context(patch.object(owner, name, timed))
        if "domain_detector" in nlp.pipe_names:
            detector: Any = nlp.get_pipe("domain_detector")
            timed = clock.timed("detecting", detector.annotate_groups, closed=True)
            stack.enter_context(patch.object(detector, "annotate_groups", timed))
        yield clock


def measure_stages(
    nlp: Language, texts: Sequence[str], domains: Sequence[str] | None
) -> dict[str, Any]:
    """Tag texts twice, the second time with timers.

    domains (Sequence[str]): None where they are to be detected.
    RETURNS (dict): "seconds" with timers, and "shares", which sum to 1.
    """
    tag(nlp, texts, domains)
    with timers(nlp) as clock:
        start = time.perf_counter()
        tag(nlp, texts, domains)
        total = time.perf_counter() - start
    seconds = dict(clock.seconds)
    seconds["rest of spaCy"] = total - sum(seconds.values())
    shares = {stage: seconds[stage] / total for stage in STAGES if stage in seconds}
    return {"seconds": total, "shares": shares}
