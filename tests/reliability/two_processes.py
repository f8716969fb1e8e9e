"""Run by `test_threads_and_processes.py` in a fresh interpreter:

    python two_processes.py START_METHOD PIPELINE

Prints what one and two processes say about the same texts, the second after a forward pass with
torch's threads on. A module of its own, since "spawn" imports the main module anew.
"""

import json
import multiprocessing
import sys

import spacy
import torch

TEXTS = ["سفر ایران هتل", "گل تبریز برد", "خبر وزیر ایران", "سپاهان دریا", "رای مجلس ایران"] * 4


def main() -> None:
    multiprocessing.set_start_method(sys.argv[1])
    torch.set_num_threads(2)
    nlp = spacy.load(sys.argv[2])
    pairs = [(text, {"thread": i // 4, "id": i}) for i, text in enumerate(TEXTS)]
    results = []
    for n_process in (1, 2):
        docs = nlp.pipe(pairs, as_tuples=True, batch_size=4, n_process=n_process)
        results.append(
            [
                (
                    context["id"],
                    doc._.domain,
                    [(ent.start, ent.end, ent.label_) for ent in doc.ents],
                )
                for doc, context in docs
            ]
        )
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
