"""The one function that every engine calls: a part's number in, its counts out.

The pipeline is loaded once for each process, never pickled. Words that are met on the way are
forgotten at the end of a part (`nlp.memory_zone`), so that a process does not grow with its texts.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc

from .outputs import result_of, write_results
from .places import DRAFTS, open_place
from .plan import read_plan
from .rows import BadRow, Row, read_rows

__all__ = [
    "COUNTS_NAME",
    "ERRORS_NAME",
    "Counts",
    "Worker",
    "add_counts",
    "reason_of",
    "worker_for",
]

Counts = dict[str, Any]
"""`texts` that were read, `rows` that were written, `errors`, `entities`; `domains`, how many rows
are of which."""
Tell = Callable[[int], None]
"""Takes how many more texts have been read."""
TELL_EACH = 64
COUNTS_NAME = DRAFTS + "/{:06d}.json"
ERRORS_NAME = DRAFTS + "/{:06d}.errors.jsonl"


class Worker:
    """A loaded pipeline and a plan."""

    def __init__(self, output: str) -> None:
        """Load the plan and its pipeline.

        output (str): Folder of the run, in which the plan lies.
        """
        self.place = open_place(output)
        self.plan = read_plan(self.place)
        self.nlp = spacy.load(self.plan.settings.model)

    def __call__(self, index: int, tell: Tell = lambda n: None) -> Counts:
        """Do a part.

        index (int): Which.
        tell (Callable): Is told of the texts.
        RETURNS (dict): Its counts, which are in the output too. The output file comes last: where
            it is, the part is done.
        """
        plan, place = self.plan, self.place
        part = plan.parts[index]
        source = plan.files[part.file]
        home = place if plan.settings.grouped else open_place(plan.settings.input)
        rows = read_rows(
            home.fs,
            source,
            plan.settings.columns,
            max_length=plan.settings.max_length,
            start=part.start,
            line=part.line,
        )
        counts = Counter[str]()
        domains = Counter[str]()
        errors: list[BadRow] = []

        def results() -> Iterator[dict[str, Any]]:
            for row, doc in tag(self.nlp, islice(rows, part.n_records), errors.append, tell):
                result = result_of(row, doc, plan)
                counts.update(rows=1, entities=len(result["entities"]))
                domains[str(result["domain"])] += 1
                yield result

        with place.draft(plan.part_name(index)) as file, self.nlp.memory_zone():
            write_results(file, results(), plan)
            errors.sort(key=lambda row: row.start)
            whole: Counts = {
                **{"texts": counts["rows"] + len(errors), "rows": counts["rows"]},
                **{"errors": len(errors), "entities": counts["entities"]},
                "domains": dict(sorted(domains.items())),
            }
            if errors:
                lines = (json.dumps(row.as_json(), ensure_ascii=False) for row in errors)
                place.write(ERRORS_NAME.format(index), "".join(f"{x}\n" for x in lines).encode())
            place.write_json(COUNTS_NAME.format(index), whole)
        return whole


def tag(
    nlp: Language,
    rows: Iterable[Row | BadRow],
    refuse: Callable[[BadRow], None],
    tell: Tell = lambda n: None,
) -> Iterator[tuple[Row, Doc]]:
    """Tag a partition's rows, whose groups are whole.

    nlp (Language): The pipeline. Its error handler is replaced: a text that fails costs only its
        own row.
    rows (Iterable[Row | BadRow]): The rows.
    refuse (Callable): Takes each row that has no result.
    tell (Callable): Is told of the rows that were read.
    YIELDS (tuple): A row and its doc, in order.
    """
    waiting: dict[int, Row] = {}
    n = 0

    def stream() -> Iterator[tuple[str, dict[str, Any]]]:
        nonlocal n
        for n, row in enumerate(rows, 1):
            if n % TELL_EACH == 0:
                tell(TELL_EACH)
            if isinstance(row, BadRow):
                refuse(row)
                continue
            waiting[row.start] = row
            yield row.text, {"thread": row.thread, "domain": row.domain, "row": row}
        tell(n % TELL_EACH)

    def fail(name: str, proc: Any, docs: Iterable[Doc], error: Exception) -> None:
        for doc in docs:
            row = waiting.pop(doc._context["row"].start, None)
            if row is not None:
                reason = " ".join(f"{type(error).__name__} in {name}: {error}".split())
                refuse(BadRow(row.file, row.line, row.start, reason))

    nlp.set_error_handler(fail)
    for doc, context in nlp.pipe(stream(), as_tuples=True):
        row = context["row"]
        del waiting[row.start]
        yield row, doc
    for row in waiting.values():
        refuse(BadRow(row.file, row.line, row.start, "the pipeline returned nothing for it"))


def add_counts(every: Iterable[Counts]) -> Counts:
    """Return the sums of some counts."""
    total: Counts = {"texts": 0, "rows": 0, "errors": 0, "entities": 0, "domains": {}}
    for counts in every:
        for name in ("texts", "rows", "errors", "entities"):
            total[name] += counts[name]
        for domain, n in counts["domains"].items():
            total["domains"][domain] = total["domains"].get(domain, 0) + n
    total["domains"] = dict(sorted(total["domains"].items()))
    return total


def reason_of(error: BaseException | None) -> str:
    """Find out why a part failed elsewhere.

    error (BaseException): What an engine raised because of it: the traceback from there is its
        text, or that of one of its causes.
    RETURNS (str): What was raised there, in one line.
    """
    texts = []
    while error is not None:
        texts.append(str(error).strip())
        error = getattr(error, "cause", None) or error.__cause__
    found = re.search(r"^[\w.]*(?:Error|Exception): .+", "\n".join(texts[::-1]), re.MULTILINE)
    return found[0] if found else texts[0].splitlines()[-1]


@lru_cache(maxsize=1)
def worker_for(output: str) -> Worker:
    """Return the worker that this process makes once and keeps."""
    return Worker(output)
