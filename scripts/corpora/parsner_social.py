"""ParsNER-social: ten Telegram channels, one file and one domain each, cut here by posts.

A post's sentences keep their order and share `doc._.thread`. The files cut URLs at their dots
and begin a new sentence there; that is left as it is, since the annotation follows it.
"""

from pathlib import Path

from ..domains import domains_of
from .archive import read_archive
from .conll import Layout, Source, read_sentences
from .sentence import SPLITS, Corpus, Sentence
from .splits import hold_out, posts_of

DOMAINS = domains_of("parsner_social")
ARCHIVE = "ParsNER.zip"
SHARES = {"dev": 0.1, "test": 0.1}
LAYOUT = Layout(
    columns=("token", "POS", "tag"),
    separator="\t",
    types={"pers": "PER", "org": "ORG", "loc": "LOC", "misc": "MISC"},
    post_gap=3,
)


def _words(post: list[Sentence]) -> list[str]:
    return [word for sentence in post for word in sentence.words]


def read_parsner_social(source: Path, *, fold: int = 1, seed: int = 0) -> Corpus:
    """Read the ten channels; of each, a tenth of the posts is dev and another tenth test.

    source (Path): Folder with a file `<domain>.pos` of each, or with the repository's zip.
    fold (int): Of no use: the corpus has no folds.
    seed (int): Seed of the splits.
    RETURNS (Corpus): Channel after channel in every split.
    RAISES (CorpusError): If a file is missing or breaks the format.
    """
    corpus = Corpus("parsner_social", {split: [] for split in SPLITS})
    archive = source / ARCHIVE
    for domain in DOMAINS:
        (file,) = (
            read_archive(archive, [f"{domain}.pos"])
            if archive.is_file() and not (source / f"{domain}.pos").is_file()
            else [Source.from_path(source / f"{domain}.pos")]
        )
        sentences, repaired, odd_tokens = read_sentences(file, LAYOUT, domain=domain)
        parts = hold_out(posts_of(sentences), SHARES, seed=seed, words_of=_words)
        for split, posts in parts.items():
            corpus.splits[split].extend(sentence for post in posts for sentence in post)
        corpus.repaired.update(repaired)
        corpus.odd_tokens.update(odd_tokens)
        corpus.inputs[f"{domain}.pos"] = file.sha256
    return corpus
