"""Bytes of a component are its folder, packed."""

import pytest
import srsly
from hypothesis import given, settings
from hypothesis import strategies as st

from multibert_spacy.errors import MultibertError
from multibert_spacy.serialization.archive import FolderBytes, folder_from_bytes, folder_to_bytes


def files_in(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def write(files):
    def to_folder(folder):
        folder.mkdir()
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

    return to_folder


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.from_regex(r"([a-c]{1,2}/){0,2}[a-c]\.x", fullmatch=True), st.binary()))
def test_what_is_packed_is_unpacked(files):
    seen = []
    data = folder_to_bytes(write(files))
    folder_from_bytes(data, lambda folder: seen.append(files_in(folder)))
    assert seen == [files]


def test_equal_folders_have_equal_bytes():
    a = {"b": b"1", "a/c": b"2"}
    assert folder_to_bytes(write(a)) == folder_to_bytes(write(dict(reversed(a.items()))))


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/tmp/x", "a/../../component2/x"])
def test_names_that_lead_out_of_the_folder(name, tmp_path):
    data = srsly.msgpack_dumps({name: b"1"})
    read = []
    with pytest.raises(MultibertError, match="illegal file"):
        folder_from_bytes(data, read.append)
    assert read == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\xff\xff",
        srsly.msgpack_dumps([1, 2]),
        srsly.msgpack_dumps(3),
        srsly.msgpack_dumps(None),
        srsly.msgpack_dumps({"a": 3}),
        srsly.msgpack_dumps({"a": None}),
        srsly.msgpack_dumps({1: b"a"}),
        srsly.msgpack_dumps({"": b"a"}),
        srsly.msgpack_dumps({".": b"a"}),
        srsly.msgpack_dumps({"a": b"1"})[:-1],
    ],
)
def test_damaged_bytes(data):
    read = []
    with pytest.raises(MultibertError, match="bytes of a component"):
        folder_from_bytes(data, read.append)
    assert read == []


def test_errors_of_the_reader_come_through():
    def read(folder):
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        folder_from_bytes(folder_to_bytes(write({})), read)


def test_exclude_is_handed_on(tmp_path):
    class Component(FolderBytes):
        def to_disk(self, path, *, exclude=()):
            write({name: b"1" for name in ("a", "b") if name not in exclude})(path)

        def from_disk(self, path, *, exclude=()):
            self.found = sorted(files_in(path)), list(exclude)

    component = Component()
    assert component.from_bytes(component.to_bytes(exclude=["a"]), exclude=["c"]) is component
    assert component.found == (["b"], ["c"])


@pytest.mark.parametrize("name", ["transformer", "domain_detector", "multibert_ner"])
def test_damaged_bytes_of_a_component(trained, name):
    proc = trained.get_pipe(name)
    with pytest.raises(MultibertError):
        proc.from_bytes(proc.to_bytes()[:-10])
    files = dict(srsly.msgpack_loads(proc.to_bytes()))
    key = next(key for key in files if key.endswith(".safetensors"))
    files[key] = files[key][:-4] + b"\x00\x01\x02\x03"
    with pytest.raises(MultibertError, match="safetensors"):
        proc.from_bytes(srsly.msgpack_dumps(files))
