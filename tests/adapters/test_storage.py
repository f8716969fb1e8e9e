"""One folder per adapter: round trip, manifest, and every way in which it can be damaged."""

import hashlib
import json
import os
import shutil
import stat

import pytest
import torch
from safetensors.torch import load_file, save_file

from multibert_spacy.adapters.kinds import LoraSettings, NoSettings, PrefixSettings
from multibert_spacy.adapters.storage import read_folder, write_files, write_folder
from multibert_spacy.errors import AdapterError, CoreError
from multibert_spacy.serialization.manifest import file_hashes, verify_files
from tests.tiny import load_core, make_adapter

KINDS = {
    "lora": LoraSettings(rank=4, alpha=8),
    "prefix": PrefixSettings(n_virtual=5, init="noise"),
    "none": NoSettings(),
}
META = {"domain": "اخبار", "head": "formal", "labels": ["PER", "LOC"]}
CORE = "c0ffee" * 10
FILES = {
    "lora": ["adapter_config.json", "adapter_model.safetensors", "head.safetensors"],
    "prefix": ["adapter_config.json", "adapter_model.safetensors", "head.safetensors"],
    "none": ["head.safetensors"],
}


def head_tensors():
    return {"weight": torch.randn(5, 32), "bias": torch.randn(5)}


@pytest.fixture
def core(bert_folder):
    return load_core(bert_folder)


@pytest.fixture
def folder(core, tmp_path):
    """A sound LoRA folder."""
    path = tmp_path / "news"
    write_folder(path, make_adapter(core, KINDS["lora"]), head_tensors(), META, CORE)
    read_folder(path, core, CORE)
    return path


def edit(folder, remove=(), **changes):
    path = folder / "multibert.json"
    manifest = json.loads(path.read_text(encoding="utf8")) | changes
    manifest = {key: value for key, value in manifest.items() if key not in remove}
    path.write_text(json.dumps(manifest), encoding="utf8")


class TestRoundTrip:
    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_everything_is_read_back(self, core, tmp_path, kind):
        adapter, head = make_adapter(core, KINDS[kind]), head_tensors()
        write_folder(tmp_path / "news", adapter, head, META, CORE)
        again, tensors, manifest = read_folder(tmp_path / "news", core, CORE)
        assert again.settings == adapter.settings
        own, theirs = adapter.export(), again.export()
        assert own.keys() == theirs.keys()
        assert all(torch.equal(own[name], theirs[name]) for name in own)
        assert tensors.keys() == head.keys()
        assert all(torch.equal(tensors[name], head[name]) for name in head)
        assert manifest.items() >= META.items()

    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_the_manifest(self, core, tmp_path, kind):
        path = tmp_path / "news"
        write_folder(path, make_adapter(core, KINDS[kind]), head_tensors(), META, CORE)
        names = [*FILES[kind], "multibert.json"]
        assert sorted(file.name for file in path.iterdir()) == sorted(names)
        text = (path / "multibert.json").read_text(encoding="utf8")
        manifest = json.loads(text)
        assert len(manifest.pop("seal")) == 64
        assert manifest == {
            "format": 1,
            "kind": kind,
            "core": CORE,
            **META,
            "files": {
                name: hashlib.sha256((path / name).read_bytes()).hexdigest()
                for name in FILES[kind]
            },
        }
        assert "اخبار" in text
        assert str(tmp_path) not in text

    def test_an_old_folder_is_replaced(self, core, folder):
        assert (folder / "adapter_config.json").exists()
        head = head_tensors()
        write_folder(folder, make_adapter(core, KINDS["none"]), head, META, CORE)
        assert sorted(file.name for file in folder.iterdir()) == [
            "head.safetensors",
            "multibert.json",
        ]
        assert torch.equal(read_folder(folder, core, CORE)[1]["bias"], head["bias"])

    @pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o027, 0o640)])
    def test_files_have_the_rights_that_the_user_gives(self, core, tmp_path, umask, mode):
        before = os.umask(umask)
        try:
            adapter = make_adapter(core, KINDS["lora"])
            write_folder(tmp_path / "news", adapter, head_tensors(), META, CORE)
        finally:
            os.umask(before)
        files = (tmp_path / "news").iterdir()
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {mode}

    def test_modules_are_in_order(self, folder):
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf8"))
        assert config["target_modules"] == sorted(config["target_modules"])
        assert len(config["target_modules"]) > 1

    def test_parents_are_made(self, core, tmp_path):
        path = tmp_path / "a" / "b" / "news"
        write_folder(path, make_adapter(core, KINDS["lora"]), head_tensors(), META, CORE)
        assert read_folder(path, core, CORE)[2]["head"] == "formal"

    def test_no_draft_is_left(self, core, folder):
        write_folder(folder, make_adapter(core, KINDS["lora"]), head_tensors(), META, CORE)
        assert [path.name for path in folder.parent.iterdir()] == ["news"]

    def test_an_old_draft_does_not_matter(self, core, tmp_path):
        draft = tmp_path / ".news.draft"
        draft.mkdir()
        (draft / "half_written.bin").write_bytes(b"x")
        path = tmp_path / "news"
        write_folder(path, make_adapter(core, KINDS["none"]), head_tensors(), META, CORE)
        assert [file.name for file in tmp_path.iterdir()] == ["news"]
        assert not (path / "half_written.bin").exists()

    def test_a_write_that_fails_leaves_the_old_folder_whole(self, core, folder, monkeypatch):
        before = file_hashes(folder)

        def fail(*args, **kwargs):
            raise OSError("disk full")

        monkeypatch.setattr("multibert_spacy.adapters.storage.save_tensors", fail)
        with pytest.raises(OSError, match="disk full"):
            write_folder(folder, make_adapter(core, KINDS["lora"], 3), head_tensors(), META, CORE)
        assert file_hashes(folder) == before
        read_folder(folder, core, CORE)

    def test_a_copied_folder_is_as_good(self, core, folder, tmp_path):
        import shutil

        shutil.copytree(folder, tmp_path / "elsewhere")
        assert read_folder(tmp_path / "elsewhere", core, CORE)[2]["domain"] == "اخبار"


class TestDamage:
    def test_no_folder(self, core, tmp_path):
        with pytest.raises(AdapterError, match="nothing/multibert.json cannot be read"):
            read_folder(tmp_path / "nothing", core, CORE)

    def test_no_manifest(self, core, folder):
        (folder / "multibert.json").unlink()
        with pytest.raises(AdapterError, match="news/multibert.json cannot be read: No such file"):
            read_folder(folder, core, CORE)

    @pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"text"', "{}", "\udcff"])
    def test_a_manifest_that_is_none(self, core, folder, text):
        (folder / "multibert.json").write_bytes(text.encode("utf8", "surrogateescape"))
        with pytest.raises(AdapterError, match="news/multibert.json is damaged"):
            read_folder(folder, core, CORE)

    @pytest.mark.parametrize("version", [0, 2, "1", None])
    def test_another_format(self, core, folder, version):
        edit(folder, format=version)
        with pytest.raises(AdapterError, match=f"of format {version}; this version reads 1"):
            read_folder(folder, core, CORE)

    @pytest.mark.parametrize("key", ["kind", "core", "files", "labels"])
    def test_a_manifest_without(self, core, folder, key):
        edit(folder, remove=[key])
        with pytest.raises(AdapterError, match="must name kind, core, files and labels"):
            read_folder(folder, core, CORE)

    @pytest.mark.parametrize("files", [[], "head.safetensors", None])
    def test_files_that_are_no_table(self, core, folder, files):
        edit(folder, files=files)
        with pytest.raises(AdapterError, match="multibert.json is damaged"):
            read_folder(folder, core, CORE)

    @pytest.mark.parametrize("labels", [None, 5, "PER", {"PER": 1}, [1, 2]])
    def test_labels_that_are_no_list_of_names(self, core, folder, labels):
        edit(folder, labels=labels)
        with pytest.raises(AdapterError, match="labels must be a list of names"):
            read_folder(folder, core, CORE)

    def test_another_core(self, core, folder):
        with pytest.raises(AdapterError, match="made for another core: c0ffeec0ffee…") as e:
            read_folder(folder, core, "0123456789abcdef")
        assert "this pipeline has 0123456789ab…" in str(e.value)
        assert str(folder) in str(e.value)

    @pytest.mark.parametrize("name", FILES["lora"])
    def test_a_file_is_missing(self, core, folder, name):
        (folder / name).unlink()
        with pytest.raises(AdapterError, match=f"news/{name} is missing"):
            read_folder(folder, core, CORE)

    @pytest.mark.parametrize("name", FILES["lora"])
    @pytest.mark.parametrize("where", [0, -1])
    def test_a_byte_is_flipped(self, core, folder, name, where):
        data = bytearray((folder / name).read_bytes())
        data[where] ^= 1
        (folder / name).write_bytes(data)
        with pytest.raises(AdapterError, match=f"news/{name} is damaged: its SHA-256"):
            read_folder(folder, core, CORE)

    @pytest.mark.parametrize("name", FILES["lora"])
    def test_a_file_is_truncated(self, core, folder, name):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:-7])
        with pytest.raises(AdapterError, match=f"news/{name} is damaged"):
            read_folder(folder, core, CORE)

    @pytest.mark.parametrize("name", ["../secret", "sub/file", "/etc/hostname", "..", "."])
    def test_a_file_name_with_a_path(self, core, folder, name):
        (folder.parent / "secret").write_bytes(b"x")
        files = file_hashes(folder) | {name: hashlib.sha256(b"x").hexdigest()}
        edit(folder, files=files)
        with pytest.raises(AdapterError, match="is missing"):
            read_folder(folder, core, CORE)

    def test_a_manifest_that_names_no_head(self, core, folder):
        files = file_hashes(folder)
        del files["head.safetensors"]
        edit(folder, files=files)
        with pytest.raises(AdapterError, match="names no head.safetensors"):
            read_folder(folder, core, CORE)

    @pytest.mark.parametrize("name", FILES["lora"][:2])
    def test_an_adapter_that_the_manifest_does_not_name(self, core, folder, name):
        files = file_hashes(folder)
        del files[name]
        edit(folder, files=files)
        with pytest.raises(AdapterError, match=f"names no {name}"):
            read_folder(folder, core, CORE)

    def test_a_kind_that_is_not_the_adapters(self, core, folder):
        edit(folder, kind="prefix")
        with pytest.raises(AdapterError, match="holds a lora, not a prefix"):
            read_folder(folder, core, CORE)

    def test_an_unknown_kind(self, core, folder):
        edit(folder, kind="magic")
        with pytest.raises(AdapterError, match="not a magic"):
            read_folder(folder, core, CORE)

    def test_a_head_that_was_never_safetensors(self, core, folder):
        (folder / "head.safetensors").write_bytes(b"garbage")
        edit(folder, files=file_hashes(folder))
        with pytest.raises(AdapterError, match="head.safetensors is damaged"):
            read_folder(folder, core, CORE)

    def test_an_adapter_of_another_shape(self, core, folder):
        path = folder / "adapter_model.safetensors"
        save_file({name: value[:1] for name, value in load_file(path).items()}, path)
        edit(folder, files=file_hashes(folder))
        with pytest.raises(AdapterError, match="does not fit the core"):
            read_folder(folder, core, CORE)


class TestFiles:
    def test_hashes_leave_out_the_manifest_and_folders(self, tmp_path):
        (tmp_path / "a").write_bytes(b"")
        (tmp_path / "multibert.json").write_bytes(b"{}")
        (tmp_path / "folder").mkdir()
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        assert file_hashes(tmp_path) == {"a": empty}

    def test_the_error_is_the_callers(self, tmp_path):
        with pytest.raises(CoreError, match="a is missing"):
            verify_files(tmp_path, {"a": ""}, CoreError)
        (tmp_path / "a").write_bytes(b"x")
        with pytest.raises(CoreError, match="a is damaged"):
            verify_files(tmp_path, {"a": ""}, CoreError)
        verify_files(tmp_path, file_hashes(tmp_path), CoreError)


class TestEqualAdapters:
    """Saved together they are stored once, and the others name the first."""

    @pytest.fixture
    def folders(self, core, tmp_path):
        adapter = make_adapter(core, KINDS["lora"])
        beside = {}
        for name, own in (("art", adapter), ("fun", adapter), ("game", None)):
            own = own or make_adapter(core, KINDS["lora"], 3)
            write_files(tmp_path / name, own, head_tensors(), META, CORE, beside=beside)
        return tmp_path

    def test_the_second_names_the_first(self, folders):
        names = ("art", "fun", "game")
        stored = [(folders / name / "adapter_model.safetensors").exists() for name in names]
        assert stored == [True, False, True]
        manifests = [json.loads((folders / name / "multibert.json").read_text()) for name in names]
        assert [own.get("weights_of") for own in manifests] == [None, "art", None]

    def test_it_is_read_with_its_own_head(self, core, folders):
        art, art_head, _ = read_folder(folders / "art", core, CORE)
        fun, fun_head, manifest = read_folder(folders / "fun", core, CORE)
        assert manifest["weights_of"] == "art"
        own, theirs = art.export(), fun.export()
        assert all(torch.equal(own[name], theirs[name]) for name in own)
        assert all(own[name] is not theirs[name] for name in own)
        assert not torch.equal(art_head["weight"], fun_head["weight"])

    def test_the_first_is_gone(self, core, folders):
        shutil.rmtree(folders / "art")
        with pytest.raises(AdapterError, match=r"art.*is missing.*weights of 'fun' are there"):
            read_folder(folders / "fun", core, CORE)

    def test_the_first_is_another(self, core, folders):
        shutil.rmtree(folders / "art")
        (folders / "game").rename(folders / "art")
        with pytest.raises(AdapterError, match=r"art.*SHA-256 differs.*weights of 'fun'"):
            read_folder(folders / "fun", core, CORE)

    @pytest.mark.parametrize("name", ["../art", "", 3, ["art"], "a/../art"], ids=str)
    def test_no_name_leads_elsewhere(self, core, folders, name):
        edit(folders / "fun", weights_of=name, remove=["seal"])
        with pytest.raises(AdapterError, match="weights_of"):
            read_folder(folders / "fun", core, CORE)

    def test_a_manifest_that_names_no_weights(self, core, folders):
        files = json.loads((folders / "fun" / "multibert.json").read_text("utf8"))["files"]
        del files["adapter_model.safetensors"]
        edit(folders / "fun", files=files, remove=["seal"])
        with pytest.raises(AdapterError):
            read_folder(folders / "fun", core, CORE)

    def test_saved_alone_it_has_all(self, core, folders):
        adapter, head, _ = read_folder(folders / "fun", core, CORE)
        write_folder(folders / "alone" / "fun", adapter, head, META, CORE)
        shutil.rmtree(folders / "art")
        again, _, manifest = read_folder(folders / "alone" / "fun", core, CORE)
        assert "weights_of" not in manifest
        own, theirs = adapter.export(), again.export()
        assert all(torch.equal(own[name], theirs[name]) for name in own)
