"""The four stages with the project's own configs: `spacy train`, `assemble`, `debug`, `fill`."""

import random
import shutil
from pathlib import Path

import pytest
import spacy
import srsly
import torch
from conftest import LABELS, entities, toy_doc
from spacy.cli._util import parse_config_overrides
from spacy.cli.debug_config import debug_config
from spacy.cli.debug_data import debug_data
from spacy.cli.init_config import fill_config
from spacy.cli.train import train
from spacy.tokens import DocBin
from spacy.training.initialize import init_nlp
from spacy.util import load_config, load_model_from_config
from typer.testing import CliRunner

from multibert_spacy.errors import AdapterError, ConfigError, CoreError, CorpusError, DomainError
from multibert_spacy.training.callbacks import build_fit_mixture_v1

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SOCIAL = ["sports", "travel"]
RATES = {"lora": "0.01", "prefix": "0.03"}
ADAPTER = "--components.multibert_ner.model.adapter"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Folders train and dev, a file for each domain of the toy language."""
    root = tmp_path_factory.mktemp("stages") / "corpus"
    nlp = spacy.blank("fa")
    for split, n in (("train", 60), ("dev", 16)):
        (root / split).mkdir(parents=True)
        for domain in ("news", "sports", "travel"):
            rng = random.Random(f"{split} {domain}")
            docs = [toy_doc(nlp, domain, rng) for _ in range(n)]
            DocBin(docs=docs, store_user_data=True).to_disk(root / split / f"{domain}.spacy")
    return root


@pytest.fixture(scope="module")
def paths(corpus, toy_core):
    """Overrides that every stage needs."""
    return {
        "train": ["--paths.train", str(corpus / "train"), "--paths.dev", str(corpus / "dev")],
        "core": ["--paths.core", str(toy_core)],
    }


def overrides(*args):
    """Command line to overrides, as `spacy train` does it."""
    return parse_config_overrides([str(arg) for arg in args])


def budget(steps, rate="0.01", *, evaluations=1, seed=0):
    return [
        *("--vars.max_steps", steps, "--vars.eval_frequency", max(1, steps // evaluations)),
        *("--vars.learn_rate", rate, "--vars.warmup_steps", 2, "--system.seed", seed),
    ]


def words(n):
    return ["--vars.batch_words", n]


@pytest.fixture(scope="module")
def stages(paths, tmp_path_factory):
    """All four stages, once for each kind of adapter: the folder of what they made."""
    done = {}

    def run(kind):
        if kind in done:
            return done[kind]
        root = tmp_path_factory.mktemp(kind)
        adapter = [ADAPTER, f"${{adapters.{kind}}}"]
        common = [*paths["train"], *budget(50, RATES[kind])]
        for head, domains in (("social", SOCIAL), ("formal", ["news"])):
            args = [*common, *paths["core"], *adapter, *words(256), "--vars.head", head]
            args += ["--vars.domains", srsly.json_dumps(domains)]
            train(CONFIGS / "pretrain.cfg", root / head, overrides=overrides(*args))
        for head, domains in (("social", SOCIAL), ("formal", ["news"])):
            for domain in domains:
                args = [*common, *words(128), "--vars.domain", domain]
                args += ["--paths.pretrained", root / head / "model-best"]
                args += budget(20, RATES[kind])
                train(CONFIGS / "domain.cfg", root / domain, overrides=overrides(*args))
                own = root / domain / "model-best" / "multibert_ner" / "domains" / domain
                shutil.copytree(own, root / "adapters" / domain)
        detector = ["--components.domain_detector.model.adapter", f"${{adapters.{kind}}}"]
        args = [*paths["train"], *paths["core"], *detector, *budget(25, RATES[kind])]
        train(CONFIGS / "detector_paper.cfg", root / "detector", overrides=overrides(*args))
        assemble(root, root / "fa_multibert")
        done[kind] = root
        return root

    return run


def assemble(root, output):
    """`spacy assemble` by way of its command line."""
    from spacy.cli import app

    args = ["assemble", CONFIGS / "assemble.cfg", output, "--paths.adapters", root / "adapters"]
    args += ["--paths.detector", root / "detector" / "model-best"]
    result = CliRunner().invoke(app, list(map(str, args)), catch_exceptions=False)
    assert result.exit_code == 0, result.output


def module_of(nlp):
    return nlp.get_pipe("multibert_ner").model.module


def parameters(part):
    return {name: p.detach().clone() for name, p in part.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def core_of(nlp):
    return parameters(nlp.get_pipe("transformer").model.transformer)


def best_scores(folder):
    return srsly.read_json(folder / "model-best" / "meta.json")["performance"]


# Before the two steps


def test_joint_trains_one_adapter_for_the_domains_of_both_heads(stages, paths, tmp_path):
    pytest.importorskip("mimesis")
    root = stages("lora")
    args = [*paths["train"], *paths["core"], *budget(30), *words(256)]
    args += ["--vars.domains", srsly.json_dumps([*SOCIAL, "news"])]
    args += ["--paths.start", root / "adapters", "--vars.replaced", 0.3, "--vars.noise", 0.3]
    train(CONFIGS / "joint.cfg", tmp_path, overrides=overrides(*args))
    nlp = spacy.load(tmp_path / "model-best")
    assert sorted(nlp.get_pipe("multibert_ner").domains) == ["news", "sports", "travel"]
    shared = parameters(module_of(nlp).adapter_of("news"))
    assert all(same(parameters(a), shared) for a in module_of(nlp).adapters)
    before = spacy.load(root / "fa_multibert")
    assert not same(parameters(module_of(before).adapter_of("news")), shared)
    assert same(core_of(before), core_of(nlp))
    folder = tmp_path / "model-best" / "multibert_ner" / "domains"
    files = sorted(folder.glob("*/adapter_model.safetensors"))
    # each folder is whole, so that it can be copied or removed alone
    assert [path.parent.name for path in files] == ["news", "sports", "travel"]
    assert len({path.read_bytes() for path in files}) == 1
    assert best_scores(tmp_path)["ents_f"] > 0.5


# The whole path


@pytest.mark.parametrize("kind", ["lora", "prefix"])
def test_the_assembled_pipeline(stages, kind):
    nlp = spacy.load(stages(kind) / "fa_multibert")
    assert nlp.pipe_names == ["transformer", "domain_detector", "multibert_ner"]
    tagger = nlp.get_pipe("multibert_ner")
    assert sorted(tagger.domains) == ["news", "sports", "travel"]
    assert tagger.labels_of("travel") == tagger.labels_of("sports") == tuple(LABELS["social"])
    assert tagger.labels_of("news") == tuple(LABELS["formal"])
    assert sorted(module_of(nlp).heads) == ["formal", "social"]
    assert nlp.get_pipe("domain_detector").labels == ("news", "sports", "travel")
    assert tagger.cfg["default_domain"] is None

    threads = {
        "travel": (["هتل تبریز سفر", "پرواز سپاهان", "ایران"], ["LOC", "ORG", "LOC"]),
        "sports": (["گل تبریز لیگ", "سپاهان مربی بازی", "ایران"], ["ORG", "ORG", "ORG"]),
        "news": (["خبر تبریز وزیر", "مجلس سپاهان رای", "ایران"], ["LOC", "ORG", "POG"]),
    }
    stream = [(t, {"thread": name}) for name, (texts, _) in threads.items() for t in texts]
    docs = [doc for doc, _ in nlp.pipe(stream, as_tuples=True)]
    assert [doc._.domain for doc in docs] == [name for name in threads for _ in range(3)]
    names = ["تبریز", "سپاهان", "ایران"] * 3
    labels = [label for _, own in threads.values() for label in own]
    expected = [[pair] for pair in zip(names, labels, strict=True)]
    assert [entities(doc) for doc in docs] == expected


@pytest.mark.parametrize("kind", ["lora", "prefix"])
def test_the_kind_of_adapter_reaches_the_files(stages, kind):
    root = stages(kind)
    folders = [*(root / "adapters").iterdir(), root / "fa_multibert" / "domain_detector/adapter"]
    folders += (root / "fa_multibert" / "multibert_ner" / "domains").iterdir()
    assert len(folders) == 7
    for folder in folders:
        config = srsly.read_json(folder / "adapter_config.json")
        assert srsly.read_json(folder / "multibert.json")["kind"] == kind
        if kind == "prefix":
            assert (config["peft_type"], config["num_virtual_tokens"]) == ("PREFIX_TUNING", 22)
        else:
            rank = 8 if "detector" in str(folder) else 16
            assert (config["peft_type"], config["r"]) == ("LORA", rank)


@pytest.mark.parametrize("kind", ["lora", "prefix"])
def test_the_core_is_one_and_unchanged(stages, kind, toy_core):
    from transformers import AutoModel

    root = stages(kind)
    original = parameters(AutoModel.from_pretrained(toy_core, add_pooling_layer=False))
    for name in ("social/model-best", "sports/model-last", "detector/model-best", "fa_multibert"):
        assert same(core_of(spacy.load(root / name)), original)
    cores = list((root / "fa_multibert").rglob("model.safetensors"))
    assert len(cores) == 1


@pytest.mark.parametrize("kind", ["lora", "prefix"])
def test_scores_are_on_record(stages, kind):
    root = stages(kind)
    assert best_scores(root / "social")["ents_f"] > 0.5
    assert best_scores(root / "sports")["ents_f"] > 0.9
    assert list(best_scores(root / "sports")["ents_per_domain"]) == ["sports"]
    assert best_scores(root / "sports")["ents_per_type"]["ORG"]["f"] > 0.9
    assert sorted(best_scores(root / "social")["ents_per_domain"]) == SOCIAL
    assert best_scores(root / "detector")["domain_acc"] == 1.0
    assert sorted(best_scores(root / "detector")["domain_per_type"]) == [
        "news",
        "sports",
        "travel",
    ]


def test_the_log_is_written(stages, paths, tmp_path):
    args = [*paths["train"], *paths["core"], *budget(4), "--paths.log", tmp_path / "log.jsonl"]
    args += ["--vars.head", "formal", "--vars.domains", '["news"]', *words(64)]
    train(CONFIGS / "pretrain.cfg", None, overrides=overrides(*args))
    rows = list(srsly.read_jsonl(tmp_path / "log.jsonl"))
    assert [row["step"] for row in rows] == [0, 4]


# Step one


def test_one_adapter_for_all_domains(stages):
    nlp = spacy.load(stages("lora") / "social" / "model-best")
    tagger = nlp.get_pipe("multibert_ner")
    assert tagger.domains == ("social",)
    assert tagger.cfg["default_domain"] == "social"
    assert entities(nlp("هتل سپاهان سفر")) == [("سپاهان", "ORG")]
    assert entities(nlp("گل سپاهان بازی")) == [("سپاهان", "ORG")]


@pytest.mark.parametrize("kind", ["lora", "prefix", "paper_lora", "paper_prefix", "none"])
def test_every_adapter_of_the_config(paths, tmp_path, kind):
    args = [*paths["train"], *paths["core"], *budget(3), *words(64), "--vars.head", "formal"]
    args += ["--vars.domains", '["news"]', ADAPTER, f"${{adapters.{kind}}}"]
    args += ["--vars.trainable", "true"] if kind == "none" else []
    train(CONFIGS / "pretrain.cfg", tmp_path, overrides=overrides(*args))
    folder = tmp_path / "model-best" / "multibert_ner" / "domains" / "formal"
    assert srsly.read_json(folder / "multibert.json")["kind"] == kind.removeprefix("paper_")
    if kind == "paper_lora":
        config = srsly.read_json(folder / "adapter_config.json")
        assert (config["r"], config["lora_alpha"]) == (3, 1)
        assert all(t.endswith(("query", "value")) for t in config["target_modules"])
    spacy.load(tmp_path / "model-best")


def test_all_domains_but_one(paths, tmp_path):
    """`exclude`: the labels of what is left out are not known."""
    args = [*paths["train"], *paths["core"], *budget(3), *words(64), "--vars.head", "all"]
    args += ["--vars.exclude", '["news"]']
    train(CONFIGS / "pretrain.cfg", tmp_path, overrides=overrides(*args))
    nlp = spacy.load(tmp_path / "model-best")
    assert nlp.get_pipe("multibert_ner").labels == ("LOC", "ORG")
    assert sorted(best_scores(tmp_path)["ents_per_domain"]) == SOCIAL


def test_a_trainable_core(paths, tmp_path, toy_core):
    """The paper's mode: trained in step one, frozen from step two on."""
    from transformers import AutoModel

    args = [*paths["train"], *paths["core"], *budget(6), *words(64), "--vars.head", "social"]
    args += ["--vars.domains", srsly.json_dumps(SOCIAL), "--vars.trainable", "true"]
    train(CONFIGS / "pretrain.cfg", tmp_path / "one", overrides=overrides(*args))
    original = parameters(AutoModel.from_pretrained(toy_core, add_pooling_layer=False))
    first = spacy.load(tmp_path / "one" / "model-last")
    assert first.get_pipe("transformer").trainable
    assert not same(core_of(first), original)

    for freeze in (True, False):
        args = [*paths["train"], *budget(6), *words(64), "--vars.domain", "travel"]
        args += ["--vars.freeze_core", str(freeze).lower()]
        args += ["--paths.pretrained", tmp_path / "one" / "model-last"]
        train(CONFIGS / "domain.cfg", tmp_path / str(freeze), overrides=overrides(*args))
        second = spacy.load(tmp_path / str(freeze) / "model-last")
        assert second.get_pipe("transformer").trainable != freeze
        assert same(core_of(second), core_of(first)) == freeze


# Step two


@pytest.mark.parametrize("kind", ["lora", "prefix"])
def test_a_domain_starts_at_the_shared_adapter(stages, paths, kind):
    best = stages(kind) / "social" / "model-best"
    args = [*paths["train"], *budget(5), "--vars.domain", "travel", "--paths.pretrained", best]
    config = load_config(CONFIGS / "domain.cfg", overrides=overrides(*args), interpolate=False)
    nlp = init_nlp(config)
    tagger = nlp.get_pipe("multibert_ner")
    assert tagger.domains == ("travel",)
    shared = spacy.load(best)
    start, source = module_of(nlp).adapter_of("travel"), module_of(shared).adapter_of("social")
    assert same(parameters(start), parameters(source))
    trained = {n for n, p in module_of(nlp).named_parameters() if p.requires_grad}
    assert len(trained) == len(list(start.parameters()))
    assert all(p.requires_grad for p in start.parameters())
    assert not any(p.requires_grad for p in module_of(nlp).heads["social"].parameters())
    docs = ["پرواز ایران", "گل ایران", "هتل تبریز سپاهان"]
    assert [entities(nlp(text)) for text in docs] == [entities(shared(text)) for text in docs]


@pytest.mark.parametrize("kind", ["lora", "prefix"])
def test_what_step_two_changes(stages, kind):
    root = stages(kind)
    before, after = spacy.load(root / "social/model-best"), spacy.load(root / "sports/model-last")
    head = parameters(module_of(before).heads["social"])
    assert same(parameters(module_of(after).heads["social"]), head)
    a = parameters(module_of(before).adapter_of("social"))
    b = parameters(module_of(after).adapter_of("sports"))
    assert a.keys() == b.keys()
    assert not any(torch.equal(a[name], b[name]) for name in a)


def test_the_head_can_be_tuned(stages, paths, tmp_path):
    best = stages("lora") / "social" / "model-best"
    args = [*paths["train"], *budget(5), *words(64), "--vars.domain", "travel"]
    args += ["--paths.pretrained", best, "--vars.freeze_head", "false"]
    train(CONFIGS / "domain.cfg", tmp_path, overrides=overrides(*args))
    before, after = spacy.load(best), spacy.load(tmp_path / "model-last")
    assert not same(
        parameters(module_of(before).heads["social"]), parameters(module_of(after).heads["social"])
    )


# Seeds


def run_with_seed(paths, out, seed):
    args = [*paths["train"], *paths["core"], *budget(8, evaluations=2, seed=seed), *words(64)]
    args += ["--vars.head", "formal", "--vars.domains", '["news"]']
    args += ["--components.multibert_ner.model.dropout", "0.5", "--paths.log", out / "log.jsonl"]
    train(CONFIGS / "pretrain.cfg", out, overrides=overrides(*args))
    nlp = spacy.load(out / "model-last")
    rows = list(srsly.read_jsonl(out / "log.jsonl"))
    return parameters(module_of(nlp)), [(row["score"], row["losses"]) for row in rows]


def test_a_fixed_seed_gives_the_same_run_twice(paths, tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    weights, scores = run_with_seed(paths, tmp_path / "a", 3)
    again = run_with_seed(paths, tmp_path / "b", 3)
    assert same(again[0], weights)
    assert again[1] == scores
    other = run_with_seed(paths, tmp_path / "c", 4)
    assert not same(other[0], weights)
    assert other[1] != scores


def test_a_fixed_seed_gives_the_same_detector_twice(paths, tmp_path):
    def run(out, seed):
        args = [*paths["train"], *paths["core"], *budget(4, seed=seed)]
        train(CONFIGS / "detector_paper.cfg", out, overrides=overrides(*args))
        detector = spacy.load(out / "model-last").get_pipe("domain_detector")
        return parameters(detector.model.module), best_scores(out)["domain_acc"]

    weights, score = run(tmp_path / "a", 3)
    again, repeated = run(tmp_path / "b", 3)
    assert same(again, weights)
    assert repeated == score
    assert not same(run(tmp_path / "c", 4)[0], weights)


# Detector


def test_detector_of_some_domains(paths, tmp_path):
    args = [*paths["train"], *paths["core"], *budget(2), "--vars.domains", '["travel", "news"]']
    train(CONFIGS / "detector_paper.cfg", tmp_path, overrides=overrides(*args))
    detector = spacy.load(tmp_path / "model-best").get_pipe("domain_detector")
    assert detector.labels == ("travel", "news")


@pytest.mark.parametrize("told", [True, False])
def test_a_mixture_is_fitted_when_it_is_saved(paths, tmp_path, told):
    """With what configs/domains.yml says of each domain, or without."""
    args = [*paths["train"], *paths["core"], *budget(30, "0.01")]
    args += ["--paths.descriptions", str(CONFIGS / "domains.yml") if told else "null"]
    train(CONFIGS / "detector.cfg", tmp_path, overrides=overrides(*args))
    detector = spacy.load(tmp_path / "model-best").get_pipe("domain_detector")
    mixture = detector.model.mixture
    assert mixture.labels == detector.labels
    assert all(mixture.descriptions) is told
    assert bool(mixture.others) is told


def test_fit_mixture_needs_a_mixture(paths, stages):
    nlp = spacy.load(stages("lora") / "detector" / "model-best")
    with pytest.raises(ConfigError, match="DomainMixture"):
        build_fit_mixture_v1(paths["train"][1])(nlp)


def test_detector_with_a_stock_model(paths, tmp_path):
    """Any text classifier of spaCy's in its place."""
    config = load_config(CONFIGS / "detector_paper.cfg", interpolate=False)
    config["components"]["domain_detector"]["model"] = {
        "@architectures": "spacy.TextCatBOW.v3",
        "exclusive_classes": True,
        "ngram_size": 1,
        "no_output_layer": False,
        "length": 1024,
    }
    config.to_disk(tmp_path / "bow.cfg", interpolate=False)
    args = [*paths["train"], *paths["core"], *budget(40, "0.02")]
    train(tmp_path / "bow.cfg", tmp_path / "out", overrides=overrides(*args))
    assert best_scores(tmp_path / "out")["domain_acc"] == 1.0
    nlp = spacy.load(tmp_path / "out" / "model-best")
    assert nlp("هتل سفر")._.domain == "travel"


def test_a_detector_is_trained_further(stages, paths, tmp_path):
    """A config that sources the detector resumes its training."""
    config = load_config(CONFIGS / "detector_paper.cfg", interpolate=False)
    best = str(stages("lora") / "detector" / "model-best")
    config["components"] = {name: {"source": best} for name in ("transformer", "domain_detector")}
    config.to_disk(tmp_path / "further.cfg", interpolate=False)
    args = [*paths["train"], *budget(2)]
    train(tmp_path / "further.cfg", tmp_path / "out", overrides=overrides(*args))
    before, after = spacy.load(best), spacy.load(tmp_path / "out" / "model-last")
    a, b = (parameters(p.get_pipe("domain_detector").model.module) for p in (before, after))
    assert a.keys() == b.keys()
    assert not same(a, b)
    assert best_scores(tmp_path / "out")["domain_acc"] == 1.0


# What a config says is checked


def test_clear_errors(stages, paths, tmp_path):
    best = stages("lora") / "social" / "model-best"
    with pytest.raises(CorpusError, match="no doc of sprots; it has"):
        args = [*paths["train"], *budget(2), "--vars.domain", "sprots", "--paths.pretrained", best]
        train(CONFIGS / "domain.cfg", overrides=overrides(*args))
    with pytest.raises(DomainError, match="'POG'.*LOC, ORG"):  # news has labels of another head
        args = [*paths["train"], *budget(2), "--vars.domain", "news", "--paths.pretrained", best]
        train(CONFIGS / "domain.cfg", overrides=overrides(*args))
    with pytest.raises(CorpusError, match="nowhere is missing"):
        args = [*paths["core"], *budget(2), "--paths.train", tmp_path / "nowhere"]
        train(CONFIGS / "pretrain.cfg", overrides=overrides(*args, "--paths.dev", "x"))


def test_adapters_of_another_core_cannot_be_assembled(stages, tmp_path, trained_folder, make_nlp):
    make_nlp(core="xlmr").to_disk(tmp_path / "other")
    shutil.copytree(stages("lora") / "detector", tmp_path / "detector")
    shutil.copytree(tmp_path / "other" / "multibert_ner" / "domains", tmp_path / "adapters")
    with pytest.raises(AdapterError, match="another core"):
        assemble(tmp_path, tmp_path / "out")
    shutil.rmtree(tmp_path / "detector" / "model-best" / "transformer")
    with pytest.raises(CoreError, match="transformer"):
        assemble(tmp_path, tmp_path / "out")


# Configs


def arguments(name, stages, paths):
    root = stages("lora")
    if name == "assemble":
        return [
            *("--paths.adapters", root / "adapters"),
            *("--paths.detector", root / "detector" / "model-best"),
        ]
    if name == "domain":
        pretrained = root / "social" / "model-best"
        return [*paths["train"], "--vars.domain", "travel", "--paths.pretrained", pretrained]
    if name == "pretrain":
        domains = srsly.json_dumps(SOCIAL)
        return [
            *paths["train"],
            *paths["core"],
            "--vars.head",
            "social",
            "--vars.domains",
            domains,
        ]
    return [*paths["train"], *paths["core"]]


@pytest.mark.parametrize("name", ["pretrain", "domain", "detector"])
def test_debug_config(stages, paths, name, capsys):
    args = overrides(*arguments(name, stages, paths))
    capsys.readouterr()
    debug_config(CONFIGS / f"{name}.cfg", overrides=args, show_funcs=True, show_vars=True)
    output = capsys.readouterr()
    assert "Config is valid" in output.out
    assert "✘" not in output.out + output.err
    assert "⚠" not in output.out + output.err


@pytest.mark.parametrize("name", ["pretrain", "domain", "detector"])
def test_debug_data(stages, paths, name, tmp_path, capsys):
    """The variables are put in first: `debug data` makes an optimizer without doing so itself."""
    args = overrides(*arguments(name, stages, paths))
    if name == "detector":
        args["vars.group_size"] = 1  # fewer than 100 groups are an error
    config = load_config(CONFIGS / f"{name}.cfg", overrides=args, interpolate=True)
    config.to_disk(tmp_path / "interpolated.cfg")
    capsys.readouterr()
    debug_data(tmp_path / "interpolated.cfg", verbose=True, silent=False)
    output = capsys.readouterr().out
    assert "✘" not in output
    assert "Pipeline can be initialized with data" in output
    assert "Corpus is loadable" in output


@pytest.mark.parametrize("name", ["pretrain", "domain", "detector", "assemble"])
def test_fill_config(stages, paths, name, tmp_path):
    """Filled, a config is complete; and filling adds defaults, it changes nothing."""
    args = overrides(*arguments(name, stages, paths))
    base = tmp_path / "base.cfg"
    load_config(CONFIGS / f"{name}.cfg", overrides=args, interpolate=False).to_disk(
        base, interpolate=False
    )
    _, filled = fill_config(tmp_path / "filled.cfg", base, silent=True)
    original = load_config(base, interpolate=False)

    def missing(a, b, path=""):
        for key, value in a.items():
            if key not in b:
                yield f"{path}{key}"
            elif isinstance(value, dict):
                yield from missing(value, b[key], f"{path}{key}.")
            elif value != b[key]:
                yield f"{path}{key}: {value} != {b[key]}"

    assert list(missing(original, filled)) == []
    load_model_from_config(load_config(tmp_path / "filled.cfg"), auto_fill=False, validate=True)
    again, _ = fill_config(tmp_path / "again.cfg", tmp_path / "filled.cfg", silent=True)
    assert (tmp_path / "again.cfg").read_text() == (tmp_path / "filled.cfg").read_text()
    debug_config(
        tmp_path / "filled.cfg",
        overrides={}
        if name != "assemble"
        else {"paths.train": str(tmp_path), "paths.dev": str(tmp_path)},
    )
