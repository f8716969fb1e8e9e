"""Threads of texts, cut into train, dev and test.

The `shared` texts of a head and part come from one pool, so that the very same sentence with
the very same name stands in several domains, with different labels. In a thread at least every
third text is of its domain's own sentences: they make the domain clear, the shared ones do not.
"""

from collections.abc import Iterator
from random import Random

from ...domains import DOMAINS, HEADS
from ..sentence import SPLITS
from .gazetteers import Gazetteer, build_gazetteer
from .noise import apply_noise
from .render import SHARES, Draft, Text, draw_own, draw_shared, render
from .tables import NEUTRAL, PROFILES, SIZES, TEMPLATES

# In the formal head more names of shared texts are no entity, hence more of these texts.
KINDS = {
    "formal": {"own": 0.38, "shared": 0.54, "common": 0.08},
    "social": {"own": 0.46, "shared": 0.46, "common": 0.08},
}
MIN_OWN = 1 / 3
THREAD_SIZES = (3, 12)
MAX_REDRAWS = 30  # of a shared sentence that is in the pool already
# How often one shared sentence stands in a part, on average.
REPEATS = {"formal": 2, "social": 4}


def _thread_sizes(n_texts: int, rng: Random) -> list[int]:
    """Cut a number of texts into threads of legal size."""
    smallest, largest = THREAD_SIZES
    sizes = []
    while n_texts:
        rests = {n: n_texts - n for n in range(smallest, largest + 1)}
        fits = [n for n, rest in rests.items() if rest == 0 or rest >= smallest]
        sizes.append(rng.choice(fits))
        n_texts -= sizes[-1]
    return sizes


def _draw_kinds(n_texts: int, shares: dict[str, float], rng: Random) -> list[str]:
    """Draw the kinds of a thread's texts, with enough of the domain's own."""
    n_own = max(1, round(MIN_OWN * n_texts))
    kinds = rng.choices(list(shares), list(shares.values()), k=n_texts)
    for i in rng.sample(range(n_texts), n_texts):
        if kinds.count("own") >= n_own:
            break
        kinds[i] = "own"
    return kinds


def _cycle(pool: list[Draft], rng: Random) -> Iterator[Draft]:
    """Go through the pool in random order, again and again."""
    while True:
        yield from rng.sample(pool, len(pool))


class _Part:
    """One part of the corpus in the making."""

    def __init__(self, part: str, seed: int, scale: float, gazetteer: Gazetteer) -> None:
        self.part = part
        self.seed = seed
        self.gazetteer = gazetteer
        rng = self._rng("layout")
        self.layout: dict[str, list[list[str]]] = {}
        for domain, n_train in SIZES.items():
            n_texts = max(THREAD_SIZES[0], round(scale * SHARES[part] * n_train))
            shares = KINDS[DOMAINS[domain].head]
            sizes = _thread_sizes(n_texts, rng)
            self.layout[domain] = [_draw_kinds(n, shares, rng) for n in sizes]
        self.pools = {head: self._make_pool(head) for head in HEADS}

    def _rng(self, purpose: str) -> Random:
        return Random(f"{self.seed}/{self.part}/{purpose}")

    def _make_pool(self, head: str) -> list[Draft]:
        """Draw the shared sentences: few enough to recur, enough that no domain repeats one."""
        counts = [sum(k.count("shared") for k in self.layout[d]) for d in HEADS[head]]
        n_drafts = max(1, *counts, sum(counts) // REPEATS[head])
        rng = self._rng(f"pool/{head}")
        shared = TEMPLATES[head].shared
        pool: dict[Draft, None] = {}
        for _ in range(MAX_REDRAWS * n_drafts):
            pool[draw_shared(shared, self.part, self.seed, self.gazetteer, rng)] = None
            if len(pool) == n_drafts:
                return list(pool)
        raise ValueError(
            f"The {head} head has only {len(pool)} shared sentences for {self.part!r}, this scale "
            f"needs {n_drafts}. Choose a smaller scale, or write more sentences."
        )

    def make_domain(self, domain: str, n_threads_before: int) -> list[list[Text]]:
        """Make the threads of a domain, numbered on from those of earlier parts."""
        rng = self._rng(domain)
        head = DOMAINS[domain].head
        shared = _cycle(self.pools[head], rng)
        threads = []
        for number, kinds in enumerate(self.layout[domain], n_threads_before + 1):
            fresh = list(TEMPLATES[head].own[domain])
            thread = []
            for kind in kinds:
                if kind == "shared":
                    draft = next(shared)
                else:
                    templates = fresh if kind == "own" else TEMPLATES[head].common
                    draft = draw_own(templates, self.part, self.seed, self.gazetteer, rng)
                if kind == "own":
                    fresh.remove(draft.template)
                fillers, tokens = render(draft, domain, self.gazetteer, rng)
                profile = PROFILES[domain] if kind == "own" else NEUTRAL[head]
                noisy = tuple(apply_noise(tokens, profile, rng))
                name = f"{domain}/{number}"
                thread.append(Text(domain, name, kind, draft.template, fillers, noisy))
            threads.append(thread)
        return threads


def make_texts(seed: int = 0, *, scale: float = 1.0) -> dict[str, list[Text]]:
    """Make the whole corpus. The same seed gives the same texts, with the same release of Faker.

    scale (float): Factor of all sizes; every domain keeps at least one thread in each part.
    RETURNS (dict): The texts of each part; those of one thread are neighbours.
    """
    if not scale > 0:
        raise ValueError(f"scale must be above 0, got {scale}. Use 1 for the full corpus.")
    gazetteer = build_gazetteer(seed)
    n_threads = dict.fromkeys(DOMAINS, 0)
    corpus: dict[str, list[Text]] = {}
    for name in SPLITS:
        part = _Part(name, seed, scale, gazetteer)
        threads: list[list[Text]] = []
        for domain in DOMAINS:
            threads += part.make_domain(domain, n_threads[domain])
            n_threads[domain] += len(part.layout[domain])
        Random(f"{seed}/{name}/order").shuffle(threads)
        corpus[name] = [text for thread in threads for text in thread]
    return corpus
