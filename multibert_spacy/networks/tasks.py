"""What heads are for: the same adapters carry entities, one tag per word, or one class per doc."""

from dataclasses import dataclass

__all__ = ["CLASS", "ENTITIES", "TAG", "TASKS", "Task"]


@dataclass(frozen=True)
class Task:
    """What a head says of a text.

    name (str): In a manifest.
    component (str): The factory whose heads are of this task.
    chained (bool): Whether its outputs are the BIO tags of a chain; else they are its labels.
    """

    name: str
    component: str
    chained: bool = False

    def n_outputs(self, n_labels: int) -> int:
        """Return k for a head of so many labels."""
        return 2 * n_labels + 1 if self.chained else n_labels


ENTITIES = Task("entities", "multibert_ner", chained=True)
TAG = Task("tag", "multibert_tagger")
CLASS = Task("class", "multibert_textcat")
TASKS = {task.name: task for task in (ENTITIES, TAG, CLASS)}
