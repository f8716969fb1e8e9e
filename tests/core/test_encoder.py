"""The core: Hugging Face's own model is the reference."""

import random

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoTokenizer, DebertaV2Config, DebertaV2Model

from multibert_spacy.core.encoder import Core, layer_of, resolve_precision
from multibert_spacy.core.saved_core import load_core as load_saved
from multibert_spacy.core.saved_core import save_core
from multibert_spacy.errors import ConfigError, CoreError
from tests.tiny import (
    TEXTS,
    hidden_states,
    load_core,
    load_model,
    make_batch,
    mask_of,
    tensors,
)

CPU = torch.device("cpu")
EXACT = {"rtol": 0, "atol": 1e-5}
INNER = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


def reference(model, batch):
    ids, _ = tensors(batch)
    mask = mask_of(batch)
    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    return hidden[mask.bool()]


class TestForward:
    def test_without_an_adapter_it_is_hugging_faces(self, core_folder):
        core = load_core(core_folder)
        batch = make_batch(core)
        assert len(set(batch.lengths)) > 2
        assert_close(
            hidden_states(core, batch), reference(load_model(core_folder), batch), **EXACT
        )

    def test_one_row(self, core_folder):
        core = load_core(core_folder)
        batch = make_batch(core, TEXTS[:1])
        assert_close(
            hidden_states(core, batch), reference(load_model(core_folder), batch), **EXACT
        )

    def test_one_row_with_padding(self, core_folder):
        core = load_core(core_folder)
        ids, lengths = tensors(make_batch(core, TEXTS[:1]))
        n = int(lengths[0])
        padded = torch.cat((ids, torch.full((1, 7), core.pad)), dim=1)
        with torch.no_grad():
            assert_close(core.forward(padded, lengths)[:, :n], core.forward(ids, lengths), **EXACT)

    def test_rows_do_not_depend_on_their_neighbours(self, core_folder):
        core = load_core(core_folder)
        together = hidden_states(core, make_batch(core))
        alone = [hidden_states(core, make_batch(core, [words])) for words in TEXTS]
        assert_close(together, torch.cat(alone), **EXACT)

    def test_512_pieces(self, core_folder):
        core = load_core(core_folder)
        assert core.max_pieces == 512
        batch = make_batch(core, [["سلام"] * 600, ["خبر"]])
        assert batch.ids.shape == (2, 512)
        assert_close(
            hidden_states(core, batch), reference(load_model(core_folder), batch), **EXACT
        )

    def test_513_pieces_are_refused(self, core_folder):
        core = load_core(core_folder)
        with pytest.raises(ConfigError, match="513 pieces, but the core has 512 positions"):
            core.forward(torch.full((1, 513), 5), torch.tensor([513]))

    def test_an_offset_takes_positions(self, core_folder):
        core = load_core(core_folder)
        ids = torch.full((1, 500), 5)
        lengths = torch.tensor([500])
        assert core.forward(ids, lengths, position_offset=12).shape == (1, 500, 32)
        with pytest.raises(ConfigError, match="500 pieces"):
            core.forward(ids, lengths, position_offset=13)

    @pytest.mark.parametrize("trainable", [False, True])
    def test_dropout_is_on_only_if_asked_for(self, bert_folder, trainable):
        core = load_core(bert_folder, trainable=trainable)
        batch = make_batch(core)
        plain = hidden_states(core, batch)
        assert torch.equal(plain, hidden_states(core, batch))
        assert not torch.allclose(plain, hidden_states(core, batch, dropout=0.5))

    def test_gradients_reach_a_core_only_if_it_is_trainable(self, bert_folder):
        for trainable in (False, True):
            core = load_core(bert_folder, trainable=trainable)
            hidden = core.forward(*tensors(make_batch(core)))
            assert hidden.requires_grad is trainable
            assert all(p.requires_grad is trainable for p in core.model.parameters())

    def test_bf16_is_close_to_fp32(self, core_folder):
        exact = load_core(core_folder)
        rounded = load_core(core_folder, precision="bf16")
        batch = make_batch(exact)
        hidden = hidden_states(rounded, batch)
        assert hidden.dtype == torch.bfloat16
        cosine = torch.cosine_similarity(hidden.float(), hidden_states(exact, batch), dim=-1)
        assert cosine.min() > 0.999

    def test_bf16_leaves_the_weights_that_are_saved_alone(self, bert_folder):
        core = load_core(bert_folder, precision="bf16")
        before = core.fingerprint()
        hidden_states(core, make_batch(core))
        assert {p.dtype for p in core.model.parameters()} == {torch.float32}
        assert core.fingerprint() == before == load_core(bert_folder).fingerprint()

    def test_a_trainable_core_computes_in_bf16_and_keeps_fp32_weights(self, bert_folder):
        core = load_core(bert_folder, precision="bf16", trainable=True)
        core.forward(*tensors(make_batch(core))).float().sum().backward()
        p = core.model.encoder.layer[0].attention.self.query.weight
        assert p.dtype == p.grad.dtype == torch.float32


class TestPieces:
    WORDS = ["سلام", "،", "تبریز", "a b", "x", "#خبر", "می\u200cرود", "۱۲۳", "😀"]

    def reference(self, folder, words):
        tokenizer = AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
        return tokenizer(words, is_split_into_words=True, add_special_tokens=False)

    def test_they_are_those_of_split_words_in_hugging_face(self, core_folder):
        core = load_core(core_folder)
        ids = [piece for word in core.pieces(self.WORDS) for piece in word]
        assert ids == self.reference(core_folder, self.WORDS)["input_ids"]

    def test_each_word_has_its_own(self, core_folder):
        rng = random.Random(0)
        letters = "ابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی۰۱۲abz!.\u200c"
        words = ["".join(rng.choices(letters, k=rng.randint(1, 9))) for _ in range(300)]
        encoding = self.reference(core_folder, words)
        expected = [[] for _ in words]
        for i, piece in zip(encoding.word_ids(), encoding["input_ids"], strict=True):
            expected[i].append(piece)
        assert [list(word) for word in load_core(core_folder).pieces(words)] == expected

    def test_byte_level_words_begin_with_a_space_whatever_the_tokenizers_setting(
        self, core_folders
    ):
        folder = core_folders["roberta"]
        model = load_model(folder)
        pieces = [
            Core(model, AutoTokenizer.from_pretrained(folder, add_prefix_space=on)).pieces(["گل"])
            for on in (False, True)
        ]
        assert pieces[0] == pieces[1] == [(224, 154, 111, 153, 230)]

    def test_an_empty_word_has_none(self, core_folder):
        assert load_core(core_folder).pieces(["", "گل", ""])[::2] == [(), ()]

    def test_a_lone_surrogate_does_not_raise(self, core_folder):
        (pieces,) = load_core(core_folder).pieces(["\ud83d"])
        assert pieces

    @pytest.mark.parametrize("fast", [True, False])
    def test_a_special_pieces_name_in_a_text_is_text(self, core_folders, fast):
        for kind, folder in core_folders.items() if fast else [("bert", core_folders["bert"])]:
            tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=fast)
            core = Core(load_model(folder), tokenizer)
            for word in core.pieces(["[SEP]", "<s>", "x</s>x", "[CLS]", "<pad>", "[PAD]"]):
                assert word, kind
                assert not {core.bos, core.eos, core.pad} & set(word), kind

    def test_long_words_are_not_truncated(self, core_folders):
        (pieces,) = load_core(core_folders["roberta"]).pieces(["ا" * 2000])
        assert len(pieces) == 4001

    def test_special_pieces(self, core_folders):
        found = {kind: load_core(folder) for kind, folder in core_folders.items()}
        assert {kind: (core.bos, core.eos, core.pad) for kind, core in found.items()} == {
            "bert": (2, 3, 0),
            "xlmr": (0, 2, 1),
            "roberta": (0, 2, 1),
        }

    def test_a_tokenizer_without_padding_is_refused(self, bert_folder):
        tokenizer = AutoTokenizer.from_pretrained(bert_folder)
        tokenizer.pad_token = None
        with pytest.raises(CoreError, match="pad token"):
            Core(load_model(bert_folder), tokenizer)

    def test_a_slow_tokenizer_gives_the_same_pieces(self, bert_folder):
        slow = AutoTokenizer.from_pretrained(bert_folder, use_fast=False)
        assert getattr(slow, "backend_tokenizer", None) is None
        words = ["سلام", "", "تبریز", "،"]
        core = Core(load_model(bert_folder), slow)
        assert core.pieces(words) == load_core(bert_folder).pieces(words)


class TestArchitectures:
    def test_another_family_is_refused(self, bert_folder):
        sizes = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
        model = DebertaV2Model(DebertaV2Config(vocab_size=9, intermediate_size=8, **sizes))
        with pytest.raises(CoreError, match=r"'deberta-v2'.*bert, roberta, .*docs/cores.md"):
            Core(model, AutoTokenizer.from_pretrained(bert_folder))

    def test_relative_positions_are_refused(self, bert_folder):
        model = load_model(bert_folder)
        model.config.position_embedding_type = "relative_key"
        with pytest.raises(CoreError, match="relative_key"):
            Core(model, AutoTokenizer.from_pretrained(bert_folder))

    def test_sizes(self, core_folder):
        core = load_core(core_folder)
        assert (core.width, core.n_layers, core.n_heads) == (32, 2, 4)
        assert core.device == CPU


class TestLinearSites:
    def test_all(self, core_folder):
        sites = load_core(core_folder).linear_sites()
        assert list(sites) == [f"encoder.layer.{i}.{name}" for i in (0, 1) for name in INNER]
        assert sites["encoder.layer.1.intermediate.dense"].weight.shape == (48, 32)

    def test_by_name_inside_a_layer(self, bert_folder):
        core = load_core(bert_folder)
        # "output.dense" is not "attention.output.dense"
        sites = core.linear_sites(["output.dense", "attention.self.key"])
        assert set(sites) == {
            "encoder.layer.0.output.dense",
            "encoder.layer.0.attention.self.key",
            "encoder.layer.1.output.dense",
            "encoder.layer.1.attention.self.key",
        }
        assert sites["encoder.layer.0.output.dense"] is core.model.encoder.layer[0].output.dense

    def test_by_name_inside_the_core(self, bert_folder):
        site = "encoder.layer.0.attention.self.key"
        assert list(load_core(bert_folder).linear_sites([site])) == [site]

    def test_from_a_layer_on(self, bert_folder):
        core = load_core(bert_folder)
        assert list(core.linear_sites(["output.dense"], 1)) == ["encoder.layer.1.output.dense"]
        with pytest.raises(ConfigError, match="encoder.layer.0.output.dense"):
            core.linear_sites(["encoder.layer.0.output.dense"], 1)

    @pytest.mark.parametrize(
        "target", ["query", "attention", "LayerNorm", "encoder.layer.2.x", ""]
    )
    def test_an_unknown_target_is_refused(self, bert_folder, target):
        with pytest.raises(ConfigError, match=rf"{target!r}; there are attention.self.query"):
            load_core(bert_folder).linear_sites(["output.dense", target])

    @pytest.mark.parametrize("first_layer", [-1, 2, 99])
    def test_a_layer_that_does_not_exist_is_refused(self, bert_folder, first_layer):
        with pytest.raises(ConfigError, match=rf"\[0, 2\), got {first_layer}"):
            load_core(bert_folder).linear_sites(["output.dense"], first_layer)

    def test_layer_of(self):
        assert layer_of("encoder.layer.11.attention.self.key") == (11, "attention.self.key")


class TestPrecision:
    @pytest.mark.parametrize(
        "name, dtype",
        [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
    )
    def test_by_name(self, name, dtype):
        assert resolve_precision(name, CPU) == dtype

    @pytest.mark.parametrize("native, dtype", [(True, torch.bfloat16), (False, torch.float32)])
    def test_auto_is_bf16_where_the_cpu_has_it(self, monkeypatch, native, dtype):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
        monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
        assert resolve_precision("auto", CPU) == dtype

    @pytest.mark.parametrize(
        "level, dtype",
        [
            ("AVX2", torch.float32),
            ("avx512_core_vnni", torch.float32),
            ("AVX2_VNNI_2", torch.float32),
            ("AVX512_CORE_BF16", torch.bfloat16),
            ("avx512_core_fp16", torch.bfloat16),
            ("AVX512_CORE_AMX_FP16", torch.bfloat16),
            ("AVX10_1_512_AMX", torch.bfloat16),
            ("DEFAULT", torch.bfloat16),
            ("no_such_level", torch.bfloat16),
            ("ALL", torch.bfloat16),
        ],
    )
    @pytest.mark.parametrize("name", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
    def test_auto_is_fp32_where_onednn_is_held_back(self, monkeypatch, name, level, dtype):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
        monkeypatch.setenv(name, level)
        assert resolve_precision("auto", CPU) == dtype

    @pytest.mark.parametrize(
        "new, old, dtype",
        [
            ("ALL", "AVX2", torch.bfloat16),
            ("AVX2", "ALL", torch.float32),
            ("", "AVX2", torch.float32),
        ],
    )
    def test_the_new_name_of_the_level_counts_more(self, monkeypatch, new, old, dtype):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", new)
        monkeypatch.setenv("DNNL_MAX_CPU_ISA", old)
        assert resolve_precision("auto", CPU) == dtype

    def test_auto_is_fp32_where_torch_cannot_tell(self, monkeypatch):
        monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
        monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
        assert resolve_precision("auto", CPU) == torch.float32

    @pytest.mark.parametrize("native, dtype", [(True, torch.bfloat16), (False, torch.float32)])
    def test_auto_on_a_gpu(self, monkeypatch, native, dtype):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: native)
        assert resolve_precision("auto", torch.device("cuda")) == dtype

    @pytest.mark.parametrize("name", ["", "FP32", "float32", "int4"])
    def test_anything_else_is_refused(self, bert_folder, name):
        with pytest.raises(ConfigError, match=f"auto, fp32, bf16, fp16, int8; got '{name}'"):
            load_core(bert_folder, precision=name)


class TestFingerprint:
    def test_a_core_has_one_and_each_core_its_own(self, core_folders):
        prints = {kind: load_core(folder).fingerprint() for kind, folder in core_folders.items()}
        assert len(set(prints.values())) == 3
        assert all(len(value) == 64 for value in prints.values())
        assert load_core(core_folders["bert"]).fingerprint() == prints["bert"]

    def test_it_does_not_depend_on_what_the_core_computes_in(self, bert_folder):
        prints = {load_core(bert_folder, precision=p).fingerprint() for p in ("fp32", "bf16")}
        assert len(prints) == 1

    def test_it_survives_storage_in_fp16_where_that_is_exact(self, bert_folder, tmp_path):
        core = load_core(bert_folder)
        core.model.half().float()
        before = core.fingerprint()
        save_core(core, tmp_path / "core", before)
        objects, _ = load_saved(tmp_path / "core")
        assert Core(objects.transformer, objects.tokenizer).fingerprint() == before

    @pytest.mark.parametrize(
        "name", ["embeddings.LayerNorm.bias", "encoder.layer.1.output.dense.weight"]
    )
    def test_it_changes_with_one_weight(self, bert_folder, name):
        core = load_core(bert_folder)
        before = core.fingerprint()
        weight = core.model.get_parameter(name).data.view(-1)
        weight[3] = torch.nextafter(weight[3], torch.tensor(9.0))
        assert core.fingerprint() != before

    def test_the_pooler_does_not_count(self, bert_folder):
        core = load_core(bert_folder)
        before = core.fingerprint()
        core.model.pooler = torch.nn.Linear(3, 3)
        assert core.fingerprint() == before


class TestKeyValues:
    @pytest.mark.parametrize("precision, tolerance", [("fp32", 1e-5), ("bf16", 5e-2)])
    def test_they_are_what_the_model_computes(self, core_folder, precision, tolerance):
        core = load_core(core_folder, precision=precision)
        ids = torch.tensor([7, 8, 9, 7])
        model = load_model(core_folder)
        with torch.no_grad():
            states = model(input_ids=ids[None], output_hidden_states=True).hidden_states
            parts = []
            for i, layer in enumerate(model.encoder.layer):
                parts.append(layer.attention.self.key(states[i][0]))
                parts.append(layer.attention.self.value(states[i][0]))
        table = core.key_values(ids)
        assert table.shape == (4, 2 * 2 * 32)
        assert table.dtype == torch.float32
        assert not table.requires_grad
        assert_close(table, torch.cat(parts, -1), rtol=0, atol=tolerance)
