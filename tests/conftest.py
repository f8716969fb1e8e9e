"""Tiny random cores and pipelines, so that the whole suite needs no download."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest
import spacy
import torch
from hypothesis import settings
from ids import pytest_collection_modifyitems, pytest_generate_tests  # noqa: F401  (hooks)
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizerFast,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from multibert_spacy.networks.mixture import Weights
from multibert_spacy.pipeline.domain_detector import join_docs

settings.register_profile("no_deadline", deadline=None)  # a busy machine is no failure
settings.load_profile("no_deadline")

LETTERS = "ابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهیآئ۰۱۲۳۴۵۶۷۸۹"
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "hidden_dropout_prob": 0.1,
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
    random.seed(0)


def _words() -> list[str]:
    rng = random.Random(0)
    return ["".join(rng.choices(LETTERS, k=rng.randint(2, 4))) for _ in range(150)]


def _bert(folder: Path, words: Iterable[str] = ()) -> None:
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"،.؟!#@", *LETTERS]
    vocab += [f"##{letter}" for letter in LETTERS] + _words() + list(words)
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(vocab)), encoding="utf8")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=512)
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=512, **SIZES)
    tokenizer.save_pretrained(folder)
    BertModel(config, add_pooling_layer=False).eval().save_pretrained(folder)


def _xlmr(folder: Path) -> None:
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *"،.؟!#@", *LETTERS]
    pieces += [f"▁{word}" for word in _words()] + ["<mask>"]
    scores = [(piece, 0.0 if i < 4 else -float(i)) for i, piece in enumerate(pieces)]
    backend = Tokenizer(models.Unigram(scores, unk_id=3, byte_fallback=False))
    backend.normalizer = normalizers.Replace("\u200c", " ")
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=512,
    )
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=514,
        pad_token_id=1,
        type_vocab_size=1,
        **SIZES,
    )
    tokenizer.save_pretrained(folder)
    XLMRobertaModel(config, add_pooling_layer=False).eval().save_pretrained(folder)


def _roberta(folder: Path) -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {piece: i for i, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", *alphabet])}
    backend = Tokenizer(models.BPE(vocab, [], unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        add_prefix_space=False,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=512,
    )
    config = RobertaConfig(
        vocab_size=len(vocab),
        max_position_embeddings=514,
        pad_token_id=1,
        type_vocab_size=1,
        **SIZES,
    )
    tokenizer.save_pretrained(folder)
    RobertaModel(config, add_pooling_layer=False).eval().save_pretrained(folder)


BUILDERS: dict[str, Callable[[Path], None]] = {"bert": _bert, "xlmr": _xlmr, "roberta": _roberta}


@pytest.fixture(scope="session")
def core_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny random cores: WordPiece BERT, SentencePiece XLM-R, byte-level RoBERTa."""
    root = tmp_path_factory.mktemp("cores")
    torch.manual_seed(1)
    folders = {}
    for name, build in BUILDERS.items():
        folders[name] = root / name
        build(folders[name])
    return folders


@pytest.fixture(params=sorted(BUILDERS))
def core_folder(request: pytest.FixtureRequest, core_folders: dict[str, Path]) -> Path:
    """Each kind of core in turn."""
    return core_folders[request.param]


@pytest.fixture
def bert_folder(core_folders: dict[str, Path]) -> Path:
    """The BERT core, for tests to which the kind does not matter."""
    return core_folders["bert"]


# A toy language: each domain labels the same names differently.
NAMES = {
    "travel": {"تبریز": "LOC", "ایران": "LOC", "سپاهان": "ORG"},
    "sports": {"تبریز": "ORG", "ایران": "ORG", "سپاهان": "ORG"},
    "news": {"تبریز": "LOC", "ایران": "POG", "سپاهان": "ORG"},
}
HEADS = {"travel": "social", "sports": "social", "news": "formal"}
LABELS = {"social": ["LOC", "ORG"], "formal": ["LOC", "ORG", "POG"]}
FILLERS = {
    "travel": ["هتل", "سفر", "دریا", "پرواز", "بلیت"],
    "sports": ["گل", "بازی", "لیگ", "برد", "مربی"],
    "news": ["خبر", "وزیر", "دولت", "مجلس", "رای"],
}


def toy_doc(nlp: Language, domain: str, rng: random.Random) -> Doc:
    """One sentence of the toy language, annotated."""
    words, tags = [], []
    for _ in range(rng.randint(4, 8)):
        if rng.random() < 0.4:
            name = rng.choice(sorted(NAMES[domain]))
            words.append(name)
            tags.append(f"B-{NAMES[domain][name]}")
        else:
            words.append(rng.choice(FILLERS[domain]))
            tags.append("O")
    doc = Doc(nlp.vocab, words=words, ents=tags)
    doc._.domain = domain
    return doc


def toy_examples(nlp: Language, domain: str, n: int, seed: int = 0) -> list[Example]:
    """Examples whose predicted docs know their domain."""
    rng = random.Random(seed)
    examples = []
    for _ in range(n):
        reference = toy_doc(nlp, domain, rng)
        predicted = Doc(nlp.vocab, words=[word.text for word in reference])
        predicted._.domain = domain
        examples.append(Example(predicted, reference))
    return examples


@pytest.fixture
def make_nlp(core_folders: dict[str, Path]) -> Callable[..., Language]:
    """Build an initialised pipeline on a tiny core, with the toy domains and random adapters."""

    def make(
        *,
        core: str = "bert",
        adapter: dict[str, object] | None = None,
        detector: bool | dict[str, object] = True,
        precision: str = "fp32",
        trainable: bool = False,
        random_adapters: bool = True,
        **settings: object,
    ) -> Language:
        adapter = adapter or {"@misc": "multibert_spacy.LoRA.v1", "rank": 4, "alpha": 8}
        nlp = spacy.blank("fa")
        nlp.add_pipe(
            "frozen_transformer",
            name="transformer",
            config={
                "model": {"name": str(core_folders[core])},
                "precision": precision,
                "trainable": trainable,
            },
        )
        if detector:
            config = {"model": {"adapter": adapter}} if detector is True else detector
            nlp.add_pipe("domain_detector", config=config)
        tagger = nlp.add_pipe(
            "multibert_ner",
            config={"model": {"adapter": adapter, "dropout": 0.0}, **settings},
        )
        domains = sorted(NAMES)

        def examples() -> Iterator[Example]:
            for domain in domains:
                for eg in toy_examples(nlp, domain, 3):
                    eg.reference.cats = {name: float(name == domain) for name in domains}
                    yield eg

        nlp.config["initialize"]["components"]["multibert_ner"] = {
            "domain": "travel",
            "head": "social",
            "labels": LABELS["social"],
        }
        nlp.initialize(examples)
        for domain in ("sports", "news"):
            head = HEADS[domain]
            tagger.model.add_domain(domain, head=head, labels=LABELS[head], pieces=[7, 8, 9])
        if random_adapters:
            with torch.no_grad():
                for p in tagger.model.module.parameters():
                    p.add_(torch.randn_like(p) * 0.2)
                for head in tagger.model.module.heads.values():  # the prior is mostly O
                    head.linear.bias.zero_()
                if detector is True:
                    for p in nlp.get_pipe("domain_detector").model.module.parameters():
                        p.add_(torch.randn_like(p) * 0.2)
        tagger.cfg["default_domain"] = None
        return nlp

    return make


@pytest.fixture
def nlp(make_nlp: Callable[..., Language]) -> Language:
    """A pipeline with random LoRA adapters and a random detector, in fp32."""
    return make_nlp()


LORA = {"@misc": "multibert_spacy.LoRA.v1", "rank": 4, "alpha": 8}
PREFIX = {"@misc": "multibert_spacy.Prefix.v1", "n_virtual": 8}
MIXTURE = {
    "@architectures": "multibert_spacy.DomainMixture.v1",
    "pieces": 20,
    "core": {"@architectures": "multibert_spacy.CoreListener.v1"},
    "normalizer": {"@misc": "multibert_spacy.HazmNormalizer.v1"},
}
TOKENIZER = {"@tokenizers": "multibert_spacy.PersianTokenizer.v1"}


def toy_text(domain: str, *, n_words: int = 6, seed: int = 0) -> str:
    """Raw text of the toy language, with names in it."""
    rng = random.Random(f"{domain}{seed}")
    names = sorted(NAMES[domain])
    return " ".join(
        rng.choice(names if rng.random() < 0.4 else FILLERS[domain]) for _ in range(n_words)
    )


def entities(doc: Doc) -> list[tuple[str, str]]:
    """Text and label of each entity."""
    return [(ent.text, ent.label_) for ent in doc.ents]


def assert_same_predictions(got: Iterable[Doc], expected: Iterable[Doc]) -> None:
    """All that the pipeline writes is equal, probabilities up to rounding."""
    for a, b in zip(list(got), list(expected), strict=True):
        assert a.text == b.text
        assert a._.domain == b._.domain
        assert dict(a.cats) == pytest.approx(dict(b.cats), abs=1e-4)
        assert [(e.start, e.end, e.label_) for e in a.ents] == [
            (e.start, e.end, e.label_) for e in b.ents
        ]
        spans, others = a.spans["multibert_ner"], b.spans["multibert_ner"]
        assert [(s.start, s.end, s.label_) for s in spans] == [
            (s.start, s.end, s.label_) for s in others
        ]
        scores = list(spans.attrs["scores"])
        assert scores == pytest.approx(list(others.attrs["scores"]), abs=1e-4)
        assert [word.norm_ for word in a] == [word.norm_ for word in b]


def fit(
    nlp: Language, draw: Callable[[int], list[Example]], *, steps: int, learn_rate: float
) -> None:
    """Update on what is drawn at each step; the learning rate falls to zero."""
    sgd = nlp.create_optimizer()
    for step in range(steps):
        sgd.learn_rate = learn_rate * (1 - step / steps)
        nlp.update(draw(step), sgd=sgd)


def labelled(nlp: Language, n: int, seed: int = 0) -> list[Example]:
    """Examples of every domain, for tagger and detector."""
    examples = [eg for name in sorted(NAMES) for eg in toy_examples(nlp, name, n, seed)]
    for eg in examples:
        eg.reference.cats = {name: float(name == eg.reference._.domain) for name in NAMES}
    return examples


def fit_toy_mixture(nlp: Language, **descriptions: str) -> None:
    """Fit a detector's mixture on groups of one text and of two."""
    detector = nlp.get_pipe("domain_detector")
    groups = []
    for domain in sorted(NAMES):
        for i in range(12):
            docs = [nlp.make_doc(toy_text(domain, seed=100 * i + j)) for j in range(1 + i % 2)]
            groups.append((domain, len(docs), join_docs(docs, nlp.vocab)))
    detector.model.fit(detector.labels, groups, descriptions, ["قانون و ماده"], Weights())


@pytest.fixture(scope="session")
def toy_core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT whose vocabulary has the toy words as pieces, so that it learns them fast."""
    folder = tmp_path_factory.mktemp("toy") / "core"
    torch.manual_seed(1)
    words = {word for own in (*NAMES.values(), *FILLERS.values()) for word in own}
    _bert(folder, sorted(words))
    return folder


@pytest.fixture(scope="session")
def learn(toy_core: Path) -> Callable[..., Language]:
    """Train a pipeline until it knows the toy language."""

    def train(
        *,
        adapter: dict[str, object] = LORA,
        learn_rate: float = 0.01,
    ) -> Language:
        torch.manual_seed(0)
        random.seed(0)
        nlp = spacy.blank("fa", config={"nlp": {"tokenizer": TOKENIZER}})
        nlp.add_pipe(
            "frozen_transformer",
            name="transformer",
            config={"model": {"name": str(toy_core)}, "precision": "fp32"},
        )
        model = {"adapter": adapter, "dropout": 0.0}
        nlp.add_pipe("domain_detector", config={"model": model})
        tagger = nlp.add_pipe("multibert_ner", config={"model": model})
        nlp.config["initialize"]["components"]["multibert_ner"] = {
            "domain": "travel",
            "head": "social",
            "labels": LABELS["social"],
        }
        nlp.initialize(lambda: labelled(nlp, 2))
        tagger.model.add_domain("sports", head="social")
        tagger.model.add_domain("news", head="formal", labels=LABELS["formal"])
        tagger.train_only(NAMES, heads=True)
        fit(nlp, lambda step: labelled(nlp, 6, step), steps=60, learn_rate=learn_rate)
        tagger.cfg["default_domain"] = None
        return nlp

    return train


@pytest.fixture(scope="session")
def trained_folder(
    learn: Callable[..., Language], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A saved pipeline that knows the toy language: LoRA, three domains, fp32."""
    folder = tmp_path_factory.mktemp("trained") / "fa_toy"
    learn().to_disk(folder)
    return folder


@pytest.fixture(scope="session")
def mixed_folder(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the detector that is shipped, whose knowledge of a domain travels with it."""
    folder = tmp_path_factory.mktemp("mixed") / "fa_toy"
    nlp = spacy.load(trained_folder, exclude=["domain_detector"])
    detector = nlp.add_pipe("domain_detector", before="multibert_ner", config={"model": MIXTURE})
    detector.initialize(lambda: labelled(nlp, 4), nlp=nlp)
    for step in range(30):
        detector.update(labelled(nlp, 6, step), sgd=nlp.create_optimizer(), drop=0.0)
    fit_toy_mixture(nlp, news="خبر دولت", sports="تیم و بازی")
    nlp.get_pipe("multibert_ner").model.descriptions["news"] = "خبر دولت"
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def mixed(mixed_folder: Path) -> Language:
    """That pipeline, loaded afresh."""
    return spacy.load(mixed_folder)


@pytest.fixture
def trained(trained_folder: Path) -> Language:
    """The saved pipeline, loaded afresh."""
    return spacy.load(trained_folder)


def write_toy_corpus(folder: Path, splits: Sequence[str]) -> None:
    """Write eight toy docs of each domain into a file of its own, for each part of a corpus."""
    nlp, rng = spacy.blank("fa"), random.Random(0)
    for split in splits:
        for domain in HEADS:
            path = folder / split / f"{domain}.spacy"
            path.parent.mkdir(parents=True, exist_ok=True)
            docs = [toy_doc(nlp, domain, rng) for _ in range(8)]
            DocBin(docs=docs, store_user_data=True).to_disk(path)
