"""Kinds of cores besides BERT's: Hugging Face's own models and PEFT are the reference.

Where PEFT knows no prefix for a kind, it is written down here: keys and values in front of those
that Hugging Face's model hands to torch's attention.
"""

import copy
import json
import random
import shutil

import pytest
import spacy
import torch
from conftest import OTHERS, assert_same_predictions, toy_examples
from peft import LoraConfig, PeftModel, PrefixTuningConfig, TaskType, get_peft_model
from safetensors.torch import load_file
from tiny import (
    SETTINGS,
    TEXTS,
    PlainRows,
    hidden_states,
    is_unchanged,
    load_core,
    load_model,
    make_adapter,
    make_batch,
    mask_of,
    plain_states,
    snapshot,
    tensors,
)
from torch.nn import functional as F
from torch.testing import assert_close
from transformers import AlbertConfig, AlbertModel, AutoTokenizer

from multibert_spacy.adapters.bank import Bank
from multibert_spacy.adapters.kinds import ALL_LINEAR, QUERY_VALUE, LoraSettings, PrefixSettings
from multibert_spacy.adapters.peft_format import read_adapter, write_adapter
from multibert_spacy.core.encoder import Core, layer_of
from multibert_spacy.core.families.kinds import FAMILIES
from multibert_spacy.core.packing import FlatRows
from multibert_spacy.core.settings import differences
from multibert_spacy.engines.engine import make_engine
from multibert_spacy.errors import AdapterError, ConfigError, CoreError

EXACT = {"rtol": 0, "atol": 1e-5}
CLOSE = {"rtol": 0, "atol": 1e-4}
LONG = [["سلام"] * 40, ["هتل"], *TEXTS]
SITES = {
    "albert": ("encoder.albert_layer_groups.1.albert_layers.0.attention.query", 13),
    "distilbert": ("transformer.layer.1.attention.q_lin", 12),
    "electra": ("encoder.layer.1.attention.self.query", 13),
    "modernbert": ("layers.1.attn.Wqkv", 8),
}
LORA = LoraSettings(rank=3, alpha=7)
MIXED = [2, 0, 1, 0]


@pytest.fixture(params=sorted(OTHERS))
def kind(request):
    return request.param


@pytest.fixture
def folder(other_folders, kind):
    return other_folders[kind]


@pytest.fixture
def core(folder):
    return load_core(folder)


def adapters_of(core, name, n=3):
    return [make_adapter(core, SETTINGS[name], seed) for seed in range(n)]


def bank_states(core, batch, rows, *, flat=False):
    n_virtual = rows.n_virtual if rows is not None else 0
    layout = FlatRows(batch.lengths.tolist(), n_virtual) if flat else None
    with torch.no_grad():
        hidden = core.forward(*tensors(batch), rows, layout=layout)
    return hidden[mask_of(batch).bool()]


class TestWithoutAnAdapter:
    @pytest.mark.parametrize("texts", [TEXTS, TEXTS[:1], LONG], ids=["rows", "one", "long"])
    def test_it_is_hugging_faces(self, core, folder, texts):
        batch = make_batch(core, texts)
        assert_close(hidden_states(core, batch), plain_states(load_model(folder), batch), **EXACT)

    def test_as_many_pieces_as_there_are_positions(self, core, folder):
        longest = min(core.max_pieces, 1000)
        ids = torch.randint(5, core.n_pieces, (2, longest))
        lengths = torch.tensor([longest, 7])
        mask = (torch.arange(longest) < lengths[:, None]).long()
        with torch.no_grad():
            hidden = core.forward(ids, lengths)[mask.bool()]
            expected = load_model(folder)(input_ids=ids, attention_mask=mask).last_hidden_state
        assert_close(hidden, expected[mask.bool()], **CLOSE)
        with pytest.raises(ConfigError, match=f"has {core.max_pieces} positions"):
            core.forward(torch.full((1, core.max_pieces + 1), 5), torch.tensor([9]))

    def test_bf16_is_close(self, core, folder):
        batch = make_batch(core, LONG)
        hidden = hidden_states(load_core(folder, precision="bf16"), batch)
        assert hidden.dtype == torch.bfloat16
        exact = hidden_states(core, batch)
        assert torch.cosine_similarity(hidden.float(), exact, dim=-1).min() > 0.99

    def test_what_is_left_out_behind_some_layers(self, core, folder):
        """What a detector runs."""
        batch = make_batch(core, TEXTS[:1])
        states = load_model(folder)(torch.from_numpy(batch.ids), output_hidden_states=True)
        first = states.hidden_states[1]
        if core.family.kind == "modernbert":  # norms stand in front, the last behind all layers
            first = core.model.final_norm(first)
        assert_close(hidden_states(core, batch, n_layers=1), first[0].detach(), **EXACT)


class TestSites:
    def test_all_of_them(self, core, kind):
        site, n = SITES[kind]
        sites = core.linear_sites(ALL_LINEAR)
        assert site in sites and len(sites) == n
        assert {layer_of(own)[0] for own in sites} == {0, 1}

    def test_those_of_the_paper(self, core):
        inner = {layer_of(site)[1] for site in core.linear_sites(QUERY_VALUE)}
        assert inner == set(core.family.query_value)

    def test_what_stands_in_front_belongs_to_the_first_layer(self, core):
        sites = core.linear_sites(ALL_LINEAR, 1)
        assert {layer_of(site) for site in sites} == {(1, name) for name in core.family.sites}

    def test_names_of_another_kind_are_refused(self, core):
        with pytest.raises(ConfigError, match=rf"'attention.self.x'.*{core.family.sites[0]}"):
            core.linear_sites(["attention.self.x"])


STRANGERS = {
    "albert": ["query", "ffn_output"],
    "distilbert": ["q_lin", "lin2"],
    "electra": ["dense", "embeddings_project"],
    "modernbert": ["Wqkv", "mlp.Wo"],
}


class TestPeft:
    def test_it_reads_our_lora(self, core, folder, tmp_path):
        adapter = make_adapter(core, LoraSettings(rank=3, alpha=7, shared=True))
        batch = make_batch(core)
        write_adapter(adapter, tmp_path)
        ours = hidden_states(core, batch, adapter)
        assert (ours - hidden_states(core, batch)).abs().max() > 1e-3
        theirs = PeftModel.from_pretrained(load_model(folder), tmp_path)
        assert_close(ours, plain_states(theirs, batch), **CLOSE)

    @pytest.mark.parametrize("targets", ["all-linear", "some", ".*"])
    def test_we_read_its_lora(self, core, folder, kind, targets, tmp_path):
        names = STRANGERS[kind] if targets == "some" else targets
        names = r".*(query|q_lin|Wqkv)" if names == ".*" else names
        config = LoraConfig(r=3, lora_alpha=7, target_modules=names)
        theirs = get_peft_model(load_model(folder), config)
        with torch.no_grad():
            for p in theirs.parameters():
                if p.requires_grad:
                    p.copy_(torch.randn_like(p) * 0.2)
        theirs.save_pretrained(tmp_path)
        adapter = read_adapter(tmp_path, core)
        batch = make_batch(core)
        assert_close(hidden_states(core, batch, adapter), plain_states(theirs, batch), **CLOSE)
        assert adapter.settings.shared is (kind == "albert")

    @pytest.mark.parametrize("first_layer", [0, 1])
    def test_a_round_trip(self, core, first_layer, tmp_path):
        adapter = make_adapter(core, LoraSettings(rank=3, alpha=7, first_layer=first_layer))
        write_adapter(adapter, tmp_path)
        again = read_adapter(tmp_path, core)
        assert (again.settings, again.sites) == (adapter.settings, adapter.sites)
        own, other = adapter.export(), again.export()
        assert all(torch.equal(own[name], other[name]) for name in own)

    def test_a_prefix_where_it_knows_one(self, other_folders, tmp_path):
        folder = other_folders["electra"]
        core = load_core(folder)
        config = PrefixTuningConfig(task_type=TaskType.FEATURE_EXTRACTION, num_virtual_tokens=6)
        theirs = get_peft_model(load_model(folder), config)
        theirs.save_pretrained(tmp_path)
        batch = make_batch(core)
        adapter = read_adapter(tmp_path, core)
        shifted = hidden_states(core, batch, adapter, position_offset=6)
        assert_close(shifted, plain_states(theirs, batch), **EXACT)


def with_prefix(model, batch, adapter, monkeypatch):
    """Hidden states of Hugging Face's model, with a prefix in front of each layer's keys."""
    kv = adapter.key_values().detach()  # (l, 2, a, p, d)
    layers = iter(kv)
    attention = F.scaled_dot_product_attention

    def attend(query, key, value, attn_mask=None, **settings):
        keys, values = (x.expand(len(query), *x.shape) for x in next(layers))
        key, value = torch.cat((keys, key), dim=2), torch.cat((values, value), dim=2)
        mask = F.pad(attn_mask, (keys.shape[2], 0), value=int(attn_mask.dtype == torch.bool))
        return attention(query, key, value, attn_mask=mask, **settings)

    with monkeypatch.context() as patched:
        patched.setattr(F, "scaled_dot_product_attention", attend)
        hidden = plain_states(model, batch)
    assert next(layers, None) is None
    return hidden


class TestPrefix:
    @pytest.mark.parametrize("kind", sorted({*OTHERS} - {"electra"}))
    def test_it_stands_in_front_of_keys_and_values(self, core, folder, monkeypatch):
        """Of rotated and of near ones too: it has no position, and every piece sees it. ELECTRA
        has PEFT's for a reference, and does not use torch's attention.
        """
        adapter = make_adapter(core, SETTINGS["prefix"])
        batch = make_batch(core, LONG)
        expected = with_prefix(load_model(folder), batch, adapter, monkeypatch)
        ours = hidden_states(core, batch, adapter)
        assert (ours - hidden_states(core, batch)).abs().max() > 1e-3
        assert_close(ours, expected, **EXACT)

    def test_its_start_is_what_the_core_computes(self, core):
        """A piece that sees its own keys and values twice sees what it sees: at the first place,
        where nothing is rotated.
        """
        ids = torch.tensor([core.bos])
        adapter = PrefixSettings(n_virtual=1).build(core, [core.bos])
        with torch.no_grad():
            rows = Bank([adapter]).rows([0])
            hidden = core.forward(ids[None], torch.tensor([1]), rows)
            assert_close(hidden, core.forward(ids[None], torch.tensor([1])), **EXACT)


@pytest.mark.parametrize("name", ["lora", "prefix", "none"])
class TestBatches:
    def test_mixed_rows_are_one_by_one(self, core, name):
        adapters = adapters_of(core, name)
        batch = make_batch(core)
        mixed = bank_states(core, batch, Bank(adapters).rows(MIXED))
        alone = [
            hidden_states(core, make_batch(core, [words]), adapters[i])
            for words, i in zip(TEXTS, MIXED, strict=True)
        ]
        assert_close(mixed, torch.cat(alone), **CLOSE)

    def test_flat_rows_are_padded_rows(self, core, name):
        (adapter,) = adapters_of(core, name, 1)
        for texts in (TEXTS, LONG):
            batch = make_batch(core, texts)
            rows = Bank([adapter]).rows([0] * len(texts))
            padded = bank_states(core, batch, rows)
            assert_close(bank_states(core, batch, rows, flat=True), padded, **CLOSE)

    def test_a_graph_for_openvino(self, core, name):
        pytest.importorskip("openvino")
        adapters = adapters_of(core, name, 1 if name == "none" else 3)
        index = MIXED if len(adapters) > 1 else [0] * 4
        own = Core(core.model, core.tokenizer, precision="fp32", engine="openvino")
        batch = make_batch(core, [TEXTS[0], LONG[0], TEXTS[1], TEXTS[2]])
        mask = mask_of(batch).bool()
        expected = bank_states(core, batch, Bank(adapters).rows(index))
        got = make_engine(own, adapters)(*tensors(batch), index)[mask]
        assert_close(got, expected, **CLOSE)


@pytest.mark.parametrize(
    "name, trainable", [("lora", False), ("lora", True), ("prefix", False), ("none", True)]
)
def test_gradients_are_autograds(folder, name, trainable):
    core = load_core(folder, trainable=trainable)
    (adapter,) = adapters_of(core, name, 1)
    batch = make_batch(core, LONG)
    learnt = [*adapter.parameters(), *(core.model.parameters() if trainable else ())]
    found = []
    for rows, flat in (
        (Bank([adapter], train=True).rows([0] * 6), True),
        (PlainRows(adapter), False),
    ):
        layout = FlatRows(batch.lengths.tolist(), PlainRows(adapter).n_virtual)
        hidden = core.forward(*tensors(batch), rows, layout=layout if flat else None)
        hidden = hidden[mask_of(batch).bool()]
        weights = torch.randn(hidden.shape, generator=torch.Generator().manual_seed(0))
        loss = (hidden * weights).sum()
        found.append(torch.autograd.grad(loss, learnt, allow_unused=True))
    pairs = [pair for pair in zip(*found, strict=True) if pair[0] is not None]
    assert len(pairs) > len(learnt) // 2
    for one, other in pairs:
        largest = max(1.0, float(other.abs().max()))
        assert_close(one, other, rtol=1e-3, atol=1e-3 * largest)


@pytest.mark.parametrize("name", ["LoRA", "Prefix"])
class TestPipeline:
    ADAPTERS = {"LoRA": {"rank": 4, "alpha": 8}, "Prefix": {"n_virtual": 4}}

    @pytest.fixture
    def nlp(self, make_nlp, folder, name):
        block = {"@misc": f"multibert_spacy.{name}.v1", **self.ADAPTERS[name]}
        return make_nlp(core=folder, adapter=block, random_adapters=False)

    def test_a_few_updates_lower_the_loss_and_leave_the_core_alone(self, nlp):
        core, tagger = nlp.get_pipe("transformer").core, nlp.get_pipe("multibert_ner")
        frozen, other = snapshot(core.model), snapshot(tagger.model.module.adapter_of("news"))
        tagger.train_only(["travel"], heads=True)
        sgd, losses = nlp.create_optimizer(), []
        sgd.learn_rate = 0.01
        examples = toy_examples(nlp, "travel", 12)
        with nlp.select_pipes(enable=["transformer", "multibert_ner"]):
            losses = [nlp.update(examples, sgd=sgd)["multibert_ner"] for _ in range(10)]
        assert losses[-1] < 0.85 * losses[0]
        assert is_unchanged(core.model, frozen)
        assert is_unchanged(tagger.model.module.adapter_of("news"), other)

    def test_it_is_saved_and_loaded(self, nlp, tmp_path):
        with torch.no_grad():
            for p in nlp.get_pipe("multibert_ner").model.module.parameters():
                p.add_(torch.randn_like(p) * 0.2)
        nlp.get_pipe("multibert_ner").model.weights_changed()
        texts = ["تبریز هتل ایران سپاهان", "خبر وزیر"]
        expected = list(nlp.pipe(texts))
        nlp.to_disk(tmp_path / "one")
        loaded = spacy.load(tmp_path / "one")
        assert_same_predictions(loaded.pipe(texts), expected)
        fingerprints = {own.get_pipe("transformer").fingerprint() for own in (nlp, loaded)}
        assert len(fingerprints) == 1


def test_a_detector_of_some_layers(make_nlp, folder, tmp_path):
    """Its adapter sits below them, and on what stands in front of the first."""
    adapter = {"@misc": "multibert_spacy.LoRA.v1", "rank": 2}
    nlp = make_nlp(core=folder, detector={"model": {"adapter": adapter, "layers": 1}})
    module = nlp.get_pipe("domain_detector").model.module
    core = nlp.get_pipe("transformer").core
    front = [core.family.projection] if core.family.projection else []
    sites = [f"{next(iter(core.family.blocks(core.model)))[0]}.{own}" for own in core.family.sites]
    assert sorted(module.adapter.sites) == sorted([*front, *sites])
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn_like(p) * 0.2)
    nlp.get_pipe("domain_detector").model.module.weights_changed()
    texts = ["تبریز هتل ایران", "خبر وزیر دولت"]
    expected = [dict(doc.cats) for doc in nlp.pipe(texts)]
    nlp.to_disk(tmp_path / "one")
    found = [dict(doc.cats) for doc in spacy.load(tmp_path / "one").pipe(texts)]
    assert found == [pytest.approx(own, abs=1e-5) for own in expected]


CHANGES = {
    "albert": {"num_hidden_groups": 1, "num_hidden_layers": 4},
    "distilbert": {"activation": "relu"},
    "electra": {"hidden_act": "relu"},
    "modernbert": {"local_attention": 4, "global_rope_theta": 9000.0, "norm_eps": 1e-3},
}


@pytest.mark.parametrize(
    "kind, name", [(kind, name) for kind, own in CHANGES.items() for name in own if len(own)]
)
def test_what_changes_a_result_is_another_core(other_folders, kind, name, tmp_path):
    folder = tmp_path / "core"
    shutil.copytree(other_folders[kind], folder)
    config = json.loads((folder / "config.json").read_text())
    same = config.get(name) == CHANGES[kind][name]
    (folder / "config.json").write_text(json.dumps(config | {name: CHANGES[kind][name]}))
    own, other = load_core(other_folders[kind]), load_core(folder)
    assert own.fingerprint() == other.fingerprint()
    names = [line.split(" ")[0] for line in differences(own.settings, other.settings)]
    assert names == ([] if same else [name])
    assert "embedding_size" in own.settings or kind not in ("albert", "electra")


class TestAlbert:
    """An adapter for each depth is one of a core whose depths have copies of the weights."""

    @pytest.fixture
    def core(self, other_folders):
        return load_core(other_folders["albert"])

    def unrolled(self, core):
        config = AlbertConfig(**core.model.config.to_dict() | {"num_hidden_groups": 2})
        model = AlbertModel(config, add_pooling_layer=False).eval()
        weights = core.model.state_dict()
        first = "encoder.albert_layer_groups.0."
        copies = {k.replace("groups.0", "groups.1"): v for k, v in weights.items() if first in k}
        model.load_state_dict(weights | copies)
        return model

    @pytest.mark.parametrize(
        "settings", [LORA, LoraSettings(2, 3, QUERY_VALUE), LoraSettings(2, 3, first_layer=1)]
    )
    def test_each_depth_has_its_own(self, core, settings, tmp_path):
        adapter = make_adapter(core, settings)
        write_adapter(adapter, tmp_path)
        path = tmp_path / "adapter_config.json"
        config = json.loads(path.read_text())
        assert config.pop("layer_replication") == [[0, 1], [0, 1]]
        path.write_text(json.dumps(config))
        batch = make_batch(core)
        theirs = PeftModel.from_pretrained(self.unrolled(core), tmp_path)
        assert_close(hidden_states(core, batch, adapter), plain_states(theirs, batch), **CLOSE)

    def test_shared_it_has_half_the_tensors(self, core):
        own, shared = (LoraSettings(shared=shared).build(core) for shared in (False, True))
        assert (len(own.sites), len(shared.sites)) == (13, 7)
        assert shared.pairs().keys() == own.pairs().keys()

    def test_shared_and_not_are_mixed_in_one_batch(self, core):
        adapters = [make_adapter(core, LORA), make_adapter(core, LoraSettings(2, shared=True))]
        index = [0, 1, 1, 0]
        mixed = bank_states(core, make_batch(core), Bank(adapters).rows(index))
        alone = [
            hidden_states(core, make_batch(core, [words]), adapters[i])
            for words, i in zip(TEXTS, index, strict=True)
        ]
        assert_close(mixed, torch.cat(alone), **CLOSE)

    def test_another_replication_is_refused(self, core, tmp_path):
        write_adapter(make_adapter(core, LORA), tmp_path)
        path = tmp_path / "adapter_config.json"
        config = json.loads(path.read_text()) | {"layer_replication": [[0, 1]]}
        path.write_text(json.dumps(config))
        with pytest.raises(AdapterError, match="layer_replication is not supported"):
            read_adapter(tmp_path, core)

    def test_shared_has_no_first_layer(self):
        with pytest.raises(ConfigError, match="first_layer must be 0 with shared = true, got 1"):
            LoraSettings(shared=True, first_layer=1)

    def test_groups_are_those_of_hugging_face(self, core):
        sizes = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48}
        config = AlbertConfig(
            vocab_size=core.n_pieces, num_hidden_layers=5, num_hidden_groups=2, **sizes
        )
        model = AlbertModel(config, add_pooling_layer=False).eval()
        own = Core(model, core.tokenizer, precision="fp32")
        batch = make_batch(own)
        assert_close(hidden_states(own, batch), plain_states(model, batch), **EXACT)
        assert own.replication == [[0, 1], [0, 1], [0, 1], [1, 2], [1, 2]]
        site = "encoder.albert_layer_groups.1.albert_layers.0.ffn"
        assert own.places(site) == [site.replace("groups.1", f"groups.{i}") for i in (3, 4)]

    def test_groups_of_several_layers_are_refused(self, core):
        model = copy.copy(core.model)
        model.config = AlbertConfig(inner_group_num=2)
        with pytest.raises(CoreError, match="inner_group_num = 2"):
            Core(model, core.tokenizer)


class TestModernBert:
    @pytest.fixture
    def folder(self, other_folders):
        return other_folders["modernbert"]

    def test_a_window_is_as_long_as_the_user_wants(self, make_nlp, folder):
        nlp = make_nlp(core=folder, detector=False, window=4000, overlap=64)
        text = " ".join(["تبریز هتل ایران سپاهان"] * 200)
        doc = nlp.make_doc(text)
        doc._.domain = "travel"
        core = nlp.get_pipe("transformer").core
        seen = []
        forward = core.forward
        core.forward = lambda ids, *rest, **more: (
            seen.append(ids.shape) or forward(ids, *rest, **more)
        )
        nlp.get_pipe("multibert_ner")(doc)
        assert [shape[0] for shape in seen] == [1] and 2000 < seen[0][1] <= 4000

    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_a_long_row_is_cut_and_joined(self, folder, precision, monkeypatch):
        core = load_core(folder, precision=precision)
        batch = make_batch(core, [["سلام"] * 60, ["خبر"] * 9])
        monkeypatch.setattr("multibert_spacy.core.attention.LONG", 2**30)
        whole = hidden_states(core, batch)
        monkeypatch.setattr("multibert_spacy.core.attention.LONG", 500)
        assert_close(
            hidden_states(core, batch), whole, rtol=0, atol=0.1 if precision == "bf16" else 1e-5
        )

    def test_scaled_rotations_are_refused(self, folder):
        model = load_model(folder)
        model.config.rope_scaling = {"rope_type": "linear", "factor": 2.0}
        with pytest.raises(CoreError, match="rope_scaling"):
            Core(model, AutoTokenizer.from_pretrained(folder))


class TestPieces:
    """Each word has its own pieces, which are those that it has inside of a text."""

    WORDS = ["سلام", "،", "تبریز", "می\u200cرود", "۱۲۳", "كتابي", "آب", "x", "😀", "علی‌رضا", "ﻻ"]

    def in_a_text(self, core, words):
        """Pieces of each word of a text, by the characters that the tokenizer says."""
        text = "".join(f" {word}" for word in words)
        backend = core.tokenizer.backend_tokenizer
        encoding = backend.encode(text, add_special_tokens=False)
        ends, at = [], 0
        for word in words:
            at += 1 + len(word)
            ends.append(at)
        found = [[] for _ in words]
        for piece, (_, end) in zip(encoding.ids, encoding.offsets, strict=True):
            found[next(i for i, own in enumerate(ends) if end <= own)].append(piece)
        return [tuple(own) for own in found]

    def test_they_are_those_in_a_text(self, core):
        assert core.pieces(self.WORDS) == self.in_a_text(core, self.WORDS)

    def test_of_any_words(self, core):
        rng = random.Random(0)
        letters = "ابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهیآ۰۱۲abz"
        words = ["".join(rng.choices(letters, k=rng.randint(1, 9))) for _ in range(200)]
        assert core.pieces(words) == self.in_a_text(core, words)

    def test_a_space_is_put_in_front_where_the_tokenizer_wants_it(self, core, kind):
        (pieces,) = core.pieces(["گل"])
        first = core.tokenizer.convert_ids_to_tokens(pieces[0])
        begins = {"albert": "▁", "distilbert": "Ġ", "electra": "گ", "modernbert": "▁گ"}
        assert first.startswith(begins[kind])

    def test_parsberts_rules(self, other_folders):
        """Its tokenizer lower-cases, takes marks off letters, and sees no ZWNJ."""
        core = load_core(other_folders["electra"])
        pieces = core.pieces(["می\u200cرود", "میرود", "آبI", "ابi", "\u200c"])
        assert pieces[0] == pieces[1] and pieces[2] == pieces[3]
        assert pieces[4] == ()

    def test_special_pieces_in_a_text_are_text(self, core):
        for word in core.pieces(["<bos>", "</s>", "[SEP]", "<pad>x"]):
            assert word and not {core.bos, core.eos, core.pad} & set(word)


def test_every_kind_is_tested():
    assert set(FAMILIES) == {"bert", "roberta", "xlm-roberta", *OTHERS}


def test_adapters_of_another_kind_of_core_are_refused(other_folders, tmp_path):
    core = load_core(other_folders["distilbert"])
    write_adapter(make_adapter(core, LORA), tmp_path)
    assert load_file(tmp_path / "adapter_model.safetensors")
    with pytest.raises(AdapterError, match="cannot be read|does not fit"):
        read_adapter(tmp_path, load_core(other_folders["electra"]))
