"""How long one text takes by itself, and what it brings to hand over many at once."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from .systems import MANY, Setup, System, tag

BATCHES = (1, 4, 16, 64, 256, 1000)
"""Values of `batch_size`; the last is more than there are texts."""
WARM = 20
"""Texts that do not count: with them products are compiled and copies of weights are made."""


def measure_latency(chosen: Sequence[System], setup: Setup) -> dict[str, Any]:
    """Tag all texts one by one, then in batches of every size: with pipelines as the shipped one.

    RETURNS (dict): Name -> milliseconds of one text, and texts per second by `batch_size`.
    """
    return {
        own.name: _measure(setup, own.engine, *own.pipeline)
        for own in chosen
        if own.pipeline and own.pipeline[:2] == ("lora", MANY)
    }


def _measure(setup: Setup, engine: str, *pipeline: Any) -> dict[str, Any]:
    nlp = setup.load(*pipeline, engine)
    given = None if pipeline[2] else setup.domains(MANY)
    took = []
    for text, domain in zip(setup.strings, given or [None] * len(setup.strings), strict=True):
        start = time.perf_counter()
        doc = nlp.make_doc(text)
        doc._.domain = domain
        nlp(doc)
        took.append(1000 * (time.perf_counter() - start))
    middle, slow = np.percentile(took[WARM:] or took, [50, 99])
    curve = {}
    for size in BATCHES:
        start = time.perf_counter()
        tag(nlp, setup.strings, given, size)
        curve[str(size)] = len(took) / (time.perf_counter() - start)
    return {"p50_ms": float(middle), "p99_ms": float(slow), "texts_per_second": curve}
