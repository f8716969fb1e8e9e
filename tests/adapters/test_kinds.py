"""Adapters: PEFT is the reference, in both directions, for all kinds of core."""

import copy
import dataclasses
import json
import math

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftModel, PrefixTuningConfig, TaskType, get_peft_model
from safetensors.torch import load_file, save_file
from torch.testing import assert_close
from transformers import AutoModelForTokenClassification

from multibert_spacy.adapters.bank import Bank
from multibert_spacy.adapters.kinds import (
    LoraSettings,
    NoAdapter,
    NoSettings,
    PrefixAdapter,
    PrefixSettings,
)
from multibert_spacy.adapters.peft_format import UNSUPPORTED, read_adapter, write_adapter
from multibert_spacy.core.families.bert import BERT
from multibert_spacy.errors import AdapterError, ConfigError
from tests.tiny import (
    TEXTS,
    hidden_states,
    load_core,
    load_model,
    make_adapter,
    make_batch,
    mask_of,
    plain_states,
    randomise,
    tensors,
)

EXACT = {"rtol": 0, "atol": 1e-5}
QUERY = "attention.self.query"
LORAS = {
    "all": LoraSettings(rank=4, alpha=8),
    "paper": LoraSettings(3, 1, (QUERY, "attention.self.value")),
    "upper": LoraSettings(2, 5, ("intermediate.dense", "output.dense"), first_layer=1),
    "odd": LoraSettings(2, 2, ("encoder.layer.0.output.dense", f"encoder.layer.1.{QUERY}")),
}


def shifted_back(model, batch):
    """PEFT's prefix in front of text whose positions start where the bare core's do."""
    ids, _ = tensors(batch)
    mask = mask_of(batch)
    n_virtual = model.active_peft_config.num_virtual_tokens
    first = 0 if model.config.model_type == "bert" else model.config.pad_token_id + 1
    with torch.no_grad():
        hidden = (
            model.eval()
            .get_base_model()(
                input_ids=ids,
                attention_mask=torch.cat((torch.ones(len(ids), n_virtual), mask), dim=1),
                past_key_values=model.get_prompt(len(ids)),
                position_ids=torch.arange(first, first + ids.shape[1]).expand(ids.shape),
            )
            .last_hidden_state
        )
    return hidden[mask.bool()]


def randomise_trained(model):
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.copy_(torch.randn_like(p) * 0.2)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "adapter"
    path.mkdir()
    return path


class TestPeftReadsOurs:
    @pytest.mark.parametrize("name", sorted(LORAS))
    def test_lora(self, core_folder, folder, name):
        core = load_core(core_folder)
        adapter = make_adapter(core, LORAS[name])
        batch = make_batch(core)
        write_adapter(adapter, folder)
        ours = hidden_states(core, batch, adapter)
        assert (ours - hidden_states(core, batch)).abs().max() > 1e-3
        theirs = PeftModel.from_pretrained(load_model(core_folder), folder)
        assert_close(ours, plain_states(theirs, batch), **EXACT)

    @pytest.mark.parametrize("projection", [False, True])
    def test_prefix(self, core_folder, folder, projection):
        core = load_core(core_folder)
        adapter = make_adapter(core, PrefixSettings(n_virtual=22, projection=projection))
        batch = make_batch(core)
        write_adapter(adapter, folder)
        theirs = PeftModel.from_pretrained(load_model(core_folder), folder)
        shifted = hidden_states(core, batch, adapter, position_offset=22)
        assert_close(shifted, plain_states(theirs, batch), **EXACT)
        ours = hidden_states(core, batch, adapter)
        assert_close(ours, shifted_back(theirs, batch), **EXACT)
        assert (ours - shifted).abs().max() > 1e-3
        assert (ours - hidden_states(core, batch)).abs().max() > 1e-3

    def test_the_longest_input_has_a_prefix_and_512_pieces(self, core_folder, folder):
        core = load_core(core_folder)
        adapter = make_adapter(core, PrefixSettings(n_virtual=22))
        batch = make_batch(core, [["سلام"] * 600, *TEXTS])
        assert batch.ids.shape[1] == 512
        write_adapter(adapter, folder)
        theirs = PeftModel.from_pretrained(load_model(core_folder), folder)
        assert_close(hidden_states(core, batch, adapter), shifted_back(theirs, batch), **EXACT)
        with pytest.raises(ConfigError, match="512 pieces"):
            hidden_states(core, batch, adapter, position_offset=22)

    def test_the_files_name_no_path(self, core_folder, folder):
        core = load_core(core_folder)
        for settings in (LORAS["all"], PrefixSettings(init="noise")):
            write_adapter(settings.build(core), folder)
            assert "/" not in (folder / "adapter_config.json").read_text(encoding="utf8")

    def test_no_adapter_writes_nothing(self, folder):
        write_adapter(NoAdapter(), folder)
        assert list(folder.iterdir()) == []


PEFT_LORAS = {
    "short names": {"target_modules": ["query", "value"]},
    "peft's default": {},
    "a name that fits two": {"target_modules": ["dense"]},
    "output.dense": {"target_modules": ["output.dense"]},
    "full names": {"target_modules": [f"encoder.layer.1.{QUERY}", "key"]},
    "all-linear": {"target_modules": "all-linear"},
    "regular expression": {"target_modules": r".*attention\.self\.(query|key)"},
    "one layer": {"target_modules": ["query"], "layers_to_transform": 1},
    "list of layers": {"target_modules": ["query", "dense"], "layers_to_transform": [0]},
    "layers pattern": {
        "target_modules": ["query"],
        "layers_to_transform": [1],
        "layers_pattern": "layer",
    },
    "exclude": {
        "target_modules": ["query", "value"],
        "exclude_modules": ["layer.0.attention.self.value"],
    },
    "exclude regular expression": {
        "target_modules": ["query", "value"],
        "exclude_modules": r".*layer\.1.*value",
    },
    "gaussian": {"target_modules": ["key"], "init_lora_weights": "gaussian"},
    "task type": {"target_modules": ["key"], "task_type": TaskType.FEATURE_EXTRACTION},
}


class TestWeReadPefts:
    @pytest.mark.parametrize("name", sorted(PEFT_LORAS))
    def test_lora(self, core_folder, folder, name):
        config = LoraConfig(r=3, lora_alpha=7, lora_dropout=0.1, **PEFT_LORAS[name])
        theirs = get_peft_model(load_model(core_folder), config)
        randomise_trained(theirs)
        theirs.save_pretrained(folder)
        core = load_core(core_folder)
        batch = make_batch(core)
        adapter = read_adapter(folder, core)
        assert_close(hidden_states(core, batch, adapter), plain_states(theirs, batch), **EXACT)
        assert (adapter.settings.rank, adapter.settings.alpha) == (3, 7)
        assert adapter.settings.dropout == 0.1

    @pytest.mark.parametrize("targets", ["all-linear", ["dense"]])
    def test_lora_on_a_pooler_that_we_do_not_have(self, core_folder, folder, targets):
        model = load_model(core_folder, pooler=True)
        theirs = get_peft_model(model, LoraConfig(r=3, target_modules=targets))
        randomise_trained(theirs)
        theirs.save_pretrained(folder)
        assert any("pooler" in name for name in load_file(folder / "adapter_model.safetensors"))
        core = load_core(core_folder)
        batch = make_batch(core)
        adapter = read_adapter(folder, core)
        assert_close(hidden_states(core, batch, adapter), plain_states(theirs, batch), **EXACT)

    @pytest.mark.parametrize("projection", [False, True])
    def test_prefix(self, core_folder, folder, projection):
        config = PrefixTuningConfig(
            task_type=TaskType.FEATURE_EXTRACTION,
            num_virtual_tokens=6,
            prefix_projection=projection,
            encoder_hidden_size=16,
        )
        theirs = get_peft_model(load_model(core_folder), config)
        theirs.save_pretrained(folder)
        core = load_core(core_folder)
        batch = make_batch(core)
        adapter = read_adapter(folder, core)
        assert adapter.settings == PrefixSettings(n_virtual=6, init="noise")
        shifted = hidden_states(core, batch, adapter, position_offset=6)
        assert_close(shifted, plain_states(theirs, batch), **EXACT)
        assert_close(hidden_states(core, batch, adapter), shifted_back(theirs, batch), **EXACT)

    def test_settings_stay_short_where_all_upper_layers_agree(self, bert_folder, folder):
        config = LoraConfig(r=3, target_modules=["query"], layers_to_transform=[1])
        get_peft_model(load_model(bert_folder), config).save_pretrained(folder)
        settings = read_adapter(folder, load_core(bert_folder)).settings
        assert settings == LoraSettings(3, 8, (QUERY,), first_layer=1)

    def test_settings_are_full_names_where_they_do_not(self, bert_folder, folder):
        config = LoraConfig(r=3, target_modules=["query"], layers_to_transform=[0])
        get_peft_model(load_model(bert_folder), config).save_pretrained(folder)
        core = load_core(bert_folder)
        adapter = read_adapter(folder, core)
        assert adapter.settings == LoraSettings(3, 8, (f"encoder.layer.0.{QUERY}",))
        assert adapter.sites == list(adapter.settings.build(core).sites)

    @pytest.mark.parametrize(
        ("stored", "held"),
        [(torch.float16, torch.float16), (torch.bfloat16, torch.float32)],
    )
    def test_other_types_of_numbers_are_read(self, bert_folder, folder, stored, held):
        core = load_core(bert_folder)
        write_adapter(make_adapter(core, LORAS["paper"]), folder)
        path = folder / "adapter_model.safetensors"
        narrow = {k: v.to(stored) for k, v in load_file(path).items()}
        save_file(narrow, path)
        adapter = read_adapter(folder, core)
        assert {p.dtype for p in adapter.parameters()} == {held}
        assert all(torch.equal(v, narrow[k].to(held)) for k, v in adapter.export().items())


class TestRoundTrip:
    @pytest.mark.parametrize("name", sorted(LORAS))
    def test_lora(self, core_folder, folder, name):
        core = load_core(core_folder)
        adapter = make_adapter(core, LORAS[name])
        write_adapter(adapter, folder)
        again = read_adapter(folder, core)
        assert again.settings == adapter.settings
        assert again.sites == adapter.sites
        assert again.scale == adapter.scale
        assert_same_tensors(again, adapter)

    def test_dropout_is_kept(self, bert_folder, folder):
        core = load_core(bert_folder)
        write_adapter(LoraSettings(dropout=0.25).build(core), folder)
        assert read_adapter(folder, core).settings == LoraSettings(dropout=0.25)

    def test_prefix(self, core_folder, folder):
        core = load_core(core_folder)
        adapter = make_adapter(core, PrefixSettings(n_virtual=7, init="noise"))
        write_adapter(adapter, folder)
        again = read_adapter(folder, core)
        assert again.settings == adapter.settings
        assert_same_tensors(again, adapter)

    def test_a_projection_is_folded_away(self, core_folder, tmp_path):
        core = load_core(core_folder)
        batch = make_batch(core)
        for name, projection in (("with", True), ("without", False)):
            (tmp_path / name).mkdir()
            adapter = make_adapter(core, PrefixSettings(n_virtual=7, projection=projection))
            write_adapter(adapter, tmp_path / name)
            again = read_adapter(tmp_path / name, core)
            assert not again.settings.projection
            assert torch.equal(again.table(), adapter.table())
            assert_close(
                hidden_states(core, batch, again), hidden_states(core, batch, adapter), **EXACT
            )
        files = [tmp_path / name / "adapter_model.safetensors" for name in ("with", "without")]
        shapes = [{k: v.shape for k, v in load_file(file).items()} for file in files]
        assert shapes[0] == shapes[1] == {"prompt_embeddings": (7, 2 * 2 * 32)}

    def test_writing_again_gives_the_same_tensors(self, bert_folder, tmp_path):
        core = load_core(bert_folder)
        adapter = make_adapter(core, LORAS["all"])
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            write_adapter(adapter, tmp_path / name)
            adapter = read_adapter(tmp_path / name, core)
        one, two = ((tmp_path / name / "adapter_model.safetensors") for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def assert_same_tensors(one, two):
    one, two = one.export(), two.export()
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def edit(folder, **changes):
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf8")) | changes
    path.write_text(json.dumps(config), encoding="utf8")


class TestRefused:
    @pytest.fixture
    def core(self, bert_folder):
        return load_core(bert_folder)

    @pytest.fixture
    def lora(self, core, folder):
        write_adapter(make_adapter(core, LORAS["all"]), folder)
        read_adapter(folder, core)
        return folder

    @pytest.fixture
    def prefix(self, core, folder):
        write_adapter(make_adapter(core, PrefixSettings(n_virtual=4)), folder)
        read_adapter(folder, core)
        return folder

    @pytest.mark.parametrize(
        "option, value",
        [
            ("use_dora", True),
            ("use_rslora", True),
            ("rank_pattern", {"query": 2}),
            ("alpha_pattern", {"query": 2}),
            ("modules_to_save", ["classifier"]),
            ("bias", "all"),
            ("bias", "lora_only"),
            ("fan_in_fan_out", True),
            ("lora_bias", True),
            ("layer_replication", [[0, 2], [0, 2]]),
            ("trainable_token_indices", [1]),
            ("alora_invocation_tokens", [1, 2]),
            ("init_lora_weights", "pissa"),
            ("init_lora_weights", "pissa_niter_4"),
            ("init_lora_weights", "olora"),
        ],
    )
    def test_an_option_that_we_do_not_apply_is_named(self, core, lora, option, value):
        edit(lora, **{option: value})
        with pytest.raises(AdapterError, match=f"{option}.* not supported") as e:
            read_adapter(lora, core)
        assert str(lora) in str(e.value)

    def test_the_options_are_pefts(self):
        assert set(UNSUPPORTED) <= {field.name for field in dataclasses.fields(LoraConfig)}

    @pytest.mark.parametrize(
        "settings",
        [{"use_dora": True}, {"use_rslora": True}, {"bias": "all"}],
    )
    def test_such_an_adapter_made_by_peft(self, core, bert_folder, folder, settings):
        config = LoraConfig(target_modules=["query"], **settings)
        get_peft_model(load_model(bert_folder), config).save_pretrained(folder)
        with pytest.raises(AdapterError, match=f"{next(iter(settings))} is not supported"):
            read_adapter(folder, core)

    def test_another_type_of_adapter(self, core, bert_folder, folder):
        config = IA3Config(
            target_modules=["key", "output.dense"], feedforward_modules=["output.dense"]
        )
        get_peft_model(load_model(bert_folder), config).save_pretrained(folder)
        with pytest.raises(AdapterError, match=r"type IA3 .* \(LORA, PREFIX_TUNING\)"):
            read_adapter(folder, core)

    def test_an_adapter_with_a_classifier_of_its_own(self, core, bert_folder, folder):
        model = AutoModelForTokenClassification.from_pretrained(bert_folder, num_labels=3)
        config = LoraConfig(task_type=TaskType.TOKEN_CLS, target_modules=["query"])
        get_peft_model(model, config).save_pretrained(folder)
        with pytest.raises(AdapterError, match="modules_to_save"):
            read_adapter(folder, core)

    @pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
    @pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbage"])
    def test_damaged_files(self, core, lora, name, damage):
        path = lora / name
        data = path.read_bytes()
        if damage == "missing":
            path.unlink()
        else:
            new = {"empty": b"", "truncated": data[: len(data) // 2], "garbage": b"\xff\x00" * 99}
            path.write_bytes(new[damage])
        with pytest.raises(AdapterError, match=f"{name} is damaged|cannot be read") as e:
            read_adapter(lora, core)
        assert str(lora) in str(e.value)

    @pytest.mark.parametrize(
        "changes",
        [
            {"r": 0},
            {"r": "four"},
            {"lora_alpha": None},
            {"lora_dropout": 2},
            {"target_modules": None},
            {"target_modules": []},
            {"target_modules": ["no_such_module"]},
            {"target_modules": "("},
        ],
    )
    def test_settings_that_make_no_sense(self, core, lora, changes):
        edit(lora, **changes)
        with pytest.raises(AdapterError, match="cannot be read"):
            read_adapter(lora, core)

    @pytest.mark.parametrize("config", ["[]", "3", '"text"', "{}", '{"peft_type": "LORA"}'])
    def test_a_config_that_is_none(self, core, lora, config):
        (lora / "adapter_config.json").write_text(config, encoding="utf8")
        with pytest.raises(AdapterError, match="adapter_config.json is damaged|cannot be read"):
            read_adapter(lora, core)

    def test_ranks_that_differ_between_the_files(self, core, lora):
        edit(lora, r=5)
        with pytest.raises(AdapterError, match=r"shape \(4, 32\), expected \(5, 32\)"):
            read_adapter(lora, core)

    @pytest.mark.parametrize("n_virtual", [3, 5])
    def test_prefix_lengths_that_differ_between_the_files(self, core, prefix, n_virtual):
        edit(prefix, num_virtual_tokens=n_virtual)
        with pytest.raises(AdapterError, match=rf"\(4, 128\), expected \({n_virtual}, 128\)"):
            read_adapter(prefix, core)

    def test_fewer_targets_than_tensors(self, core, lora):
        edit(lora, target_modules=["query"])
        with pytest.raises(AdapterError, match="does not fit the core: tensors"):
            read_adapter(lora, core)

    @pytest.mark.parametrize("change", ["missing", "extra"])
    def test_tensors_that_are_not_those_expected(self, core, lora, change):
        path = lora / "adapter_model.safetensors"
        tensors = load_file(path)
        name = f"base_model.model.encoder.layer.1.{QUERY}.lora_B.weight"
        if change == "missing":
            del tensors[name]
        else:
            name = name.replace("layer.1", "layer.9")
            tensors[name] = torch.zeros(32, 4)
        save_file(tensors, path)
        with pytest.raises(AdapterError, match=name):
            read_adapter(lora, core)

    @pytest.mark.parametrize("settings", [LORAS["all"], PrefixSettings(init="noise")])
    def test_an_adapter_for_a_deeper_core(self, core, bert_folder, folder, settings):
        model = load_model(bert_folder)
        model.config.num_hidden_layers = 3
        model.encoder.layer.append(copy.deepcopy(model.encoder.layer[1]))
        deeper = type(core)(model, core.tokenizer, precision="fp32")
        write_adapter(settings.build(deeper), folder)
        with pytest.raises(AdapterError, match="does not fit the core"):
            read_adapter(folder, core)


class TestSettings:
    @pytest.mark.parametrize(
        "settings", [{"rank": 0}, {"alpha": 0}, {"alpha": -1}, {"target_modules": ()}]
    )
    def test_lora_without_sense(self, settings):
        with pytest.raises(ConfigError, match="rank >= 1, alpha > 0 and target modules"):
            LoraSettings(**settings)

    @pytest.mark.parametrize("dropout", [-0.1, 1.0, 5])
    def test_dropout_out_of_range(self, dropout):
        with pytest.raises(ConfigError, match=rf"\[0, 1\), got {dropout}"):
            LoraSettings(dropout=dropout)

    @pytest.mark.parametrize("settings", [{"n_virtual": 0}, {"projection_width": -1}])
    def test_prefix_without_sense(self, settings):
        with pytest.raises(ConfigError, match="at least 1 virtual token"):
            PrefixSettings(**settings)

    def test_an_unknown_start(self):
        with pytest.raises(ConfigError, match="'text' or 'noise', got 'zeros'"):
            PrefixSettings(init="zeros")

    def test_an_unknown_target(self, bert_folder):
        with pytest.raises(ConfigError, match="No linear layer 'query'"):
            LoraSettings(target_modules=("query",)).build(load_core(bert_folder))


class TestLoraStart:
    def test_the_adapted_core_starts_as_the_bare_one(self, core_folder):
        core = load_core(core_folder)
        batch = make_batch(core)
        adapter = LoraSettings().build(core)
        assert_close(hidden_states(core, batch, adapter), hidden_states(core, batch), **EXACT)

    def test_sites_and_shapes(self, bert_folder):
        adapter = LORAS["upper"].build(load_core(bert_folder))
        assert adapter.sites == [
            "encoder.layer.1.intermediate.dense",
            "encoder.layer.1.output.dense",
        ]
        assert [tuple(a.shape) for a in adapter.a] == [(2, 32), (2, 48)]
        assert [tuple(b.shape) for b in adapter.b] == [(48, 2), (32, 2)]
        assert adapter.scale == 2.5
        assert len(LORAS["all"].build(load_core(bert_folder)).sites) == 2 * len(BERT.sites)

    def test_values_are_spread_as_in_peft(self, bert_folder):
        adapter = LoraSettings(rank=32).build(load_core(bert_folder))
        for a, b in zip(adapter.a, adapter.b, strict=True):
            bound = 1 / math.sqrt(a.shape[1])
            assert 0.9 * bound < a.abs().max() <= bound
            assert a.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
            assert not b.any()


class TestPrefixStart:
    @pytest.fixture
    def core(self, core_folder):
        return load_core(core_folder)

    def test_text_starts_at_the_keys_and_values_of_the_text(self, core):
        adapter = PrefixSettings(n_virtual=5).build(core, [7, 8, 9])
        assert torch.equal(adapter.table(), core.key_values(torch.tensor([7, 8, 9, 7, 8])))

    def test_longer_text_is_cut(self, core):
        adapter = PrefixSettings(n_virtual=2).build(core, [7, 8, 9])
        assert torch.equal(adapter.table(), core.key_values(torch.tensor([7, 8])))

    def test_noise_does_not_look_at_the_text(self, core):
        tables = []
        for pieces in ([], [7, 8, 9]):
            torch.manual_seed(3)
            tables.append(PrefixSettings(init="noise").build(core, pieces).table())
        assert torch.equal(*tables)
        assert tables[0].std().item() == pytest.approx(0.02, rel=0.1)

    def test_text_without_text_is_noise(self, core):
        torch.manual_seed(3)
        table = PrefixSettings(init="text").build(core).table()
        assert table.std().item() == pytest.approx(0.02, rel=0.1)

    def test_the_core_gets_the_texts_keys_and_values_by_head(self, core):
        pieces = [7, 8, 9]
        adapter = PrefixSettings(n_virtual=3).build(core, pieces)
        kv = adapter.key_values()
        assert kv.shape == (2, 2, 4, 3, 8)
        layer = core.model.encoder.layer[0].attention.self
        states = core.model.embeddings(torch.tensor([pieces]))
        for i, module in enumerate((layer.key, layer.value)):
            expected = module(states)[0].view(3, 4, 8).transpose(0, 1)
            assert_close(kv[0, i], expected, **EXACT)

    def test_with_projection_text_starts_near_its_mean(self, core):
        adapter = PrefixSettings(n_virtual=6, projection=True).build(core, [7, 8, 9])
        mean = core.key_values(torch.tensor([7, 8, 9, 7, 8, 9])).mean(0)
        noise = PrefixSettings(n_virtual=6, projection=True, init="noise").build(core, [7, 8, 9])

        def distance(table):
            return (table - mean).norm(dim=-1).mean() / mean.norm()

        assert distance(adapter.table()) < 0.5 < distance(noise.table())
        assert adapter.table().var(0).max() > 0  # the virtual tokens differ

    def test_width_of_the_projection(self, core):
        widths = {}
        for width in (0, 7):
            settings = PrefixSettings(n_virtual=3, projection=True, projection_width=width)
            adapter = settings.build(core)
            assert adapter.table().shape == (3, 2 * 2 * 32)
            widths[width] = adapter.encoder.transform[0].out_features
        assert widths == {0: 32, 7: 7}

    def test_all_parameters_get_a_gradient(self, core):
        for projection in (False, True):
            adapter = PrefixSettings(n_virtual=3, projection=projection).build(core)
            rows = Bank([adapter], train=True).rows([0, 0])
            batch = make_batch(core, TEXTS[:2])
            core.forward(*tensors(batch), rows)[:, 0, 0].sum().backward()
            assert all(p.grad is not None and p.grad.any() for p in adapter.parameters())


class TestLoraDropout:
    @pytest.fixture
    def x(self):
        return torch.randn(1, 3, 32)

    @pytest.mark.parametrize("n_adapters", [1, 2])
    def test_it_is_on_while_training(self, bert_folder, x, n_adapters):
        core = load_core(bert_folder)
        settings = LoraSettings(rank=4, alpha=8, dropout=0.5)
        adapters = [make_adapter(core, settings, seed) for seed in range(n_adapters)]
        x = x.expand(n_adapters, -1, -1)
        site = f"encoder.layer.0.{QUERY}"
        query = core.model.get_submodule(site)
        plain = Bank(adapters).rows(range(n_adapters)).linear(site, x, query).detach()
        rows = Bank(adapters, train=True).rows(range(n_adapters))
        with torch.no_grad():
            draws = torch.stack([rows.linear(site, x, query) for _ in range(4000)])
        assert draws.std(0).min() > 0.01
        assert_close(draws.mean(0), plain, rtol=0, atol=float(6 * draws.std(0).max() / 4000**0.5))

    def test_it_is_off_otherwise(self, bert_folder, x):
        core = load_core(bert_folder)
        site = f"encoder.layer.0.{QUERY}"
        query = core.model.get_submodule(site)
        banks = [Bank([make_adapter(core, LoraSettings(rank=4, dropout=p))]) for p in (0.5, 0.0)]
        with_dropout, without = (bank.rows([0]).linear(site, x, query) for bank in banks)
        assert torch.equal(with_dropout, without)

    def test_without_it_training_computes_the_same(self, bert_folder, x):
        core = load_core(bert_folder)
        adapter = make_adapter(core, LORAS["all"])
        site = f"encoder.layer.0.{QUERY}"
        query = core.model.get_submodule(site)
        train, predict = (
            Bank([adapter], train=train).rows([0]).linear(site, x, query)
            for train in (True, False)
        )
        assert torch.equal(train, predict)
        assert train.requires_grad and not predict.requires_grad


def test_no_settings_build_no_adapter(bert_folder):
    adapter = NoSettings().build(load_core(bert_folder))
    assert isinstance(adapter, NoAdapter)
    assert adapter.export() == {}
    assert list(adapter.parameters()) == []


def test_prefix_table_and_key_values_hold_the_same_numbers(bert_folder):
    adapter = randomise(PrefixAdapter(PrefixSettings(n_virtual=3), load_core(bert_folder)))
    kv = adapter.key_values()  # (layer, key or value, head, virtual token, width)
    row = adapter.table()[1].view(2, 2, 4, 8)
    assert torch.equal(kv[1, 0, 2, 1], row[1, 0, 2])
    assert torch.equal(kv[0, 1, 3, 1], row[0, 1, 3])
