"""`apply`: what goes in, what comes out, and what is refused."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import multibert_spacy
from multibert_spacy.errors import ConfigError, CorpusError, MultibertError
from multibert_spacy.scale import apply
from tests.scale.texts import expected_rows, read_jsonl, read_output, toy_rows, write_jsonl

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

SCHEMA = [
    ("id", "int64"),
    ("text", "string"),
    ("thread", "int64"),
    ("domain", "string"),
    ("domain_score", "double"),
    (
        "entities",
        "list<element: struct<start: int32, end: int32, label: string, score: double, "
        "text: string>>",
    ),
]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return toy_rows(60)


@pytest.fixture(scope="module")
def expected(trained_folder: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = expected_rows(trained_folder, rows)
    assert sum(len(row["entities"]) for row in found) > 60
    return found


def same(got: list[dict[str, Any]], expected: list[dict[str, Any]]) -> bool:
    """Whether rows are equal, probabilities up to rounding: batches are cut elsewhere."""

    def rounded(row: dict[str, Any]) -> dict[str, Any]:
        ents = [{**ent, "score": round(ent["score"], 3)} for ent in row["entities"]]
        sure = row["domain_score"]
        return {**row, "entities": ents, "domain_score": sure and round(sure, 3)}

    return list(map(rounded, got)) == list(map(rounded, expected))


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_rows_are_those_of_the_pipeline_in_input_order(
    trained_folder: Path,
    rows: list[dict[str, Any]],
    expected: list[dict[str, Any]],
    tmp_path: Path,
    ending: str,
    format: str,
) -> None:
    path = tmp_path / f"in.{ending}"
    if ending == "jsonl":
        write_jsonl(path, rows)
    elif ending == "csv":
        lines = [f"{row['id']},{row['text']},{row['thread']}" for row in rows]
        path.write_text("\n".join(["id,text,thread", *lines]), "utf8")
        expected = [
            {**row, "id": str(row["id"]), "thread": str(row["thread"])} for row in expected
        ]
    else:
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)
    told: list[tuple[int, int]] = []
    counts = apply(
        trained_folder,
        path,
        tmp_path / "out",
        format=format,
        part_size=10,
        progress=lambda done, total: told.append((done, total)),
    )
    assert same(read_output(tmp_path / "out"), expected)
    assert counts == {
        **{"texts": 60, "rows": 60, "errors": 0},
        "entities": sum(len(row["entities"]) for row in expected),
        "domains": dict(Counter(row["domain"] for row in expected)),
        **{"parts": 5, "done_before": 0},
    }
    assert (told[0], told[-1]) == ((0, 60), (60, 60))
    names = sorted(own.name for own in (tmp_path / "out").iterdir())
    assert names == ["_SUCCESS", "_plan.json", *(f"part-{i:06}.{format}" for i in range(5))]
    assert json.loads((tmp_path / "out" / "_SUCCESS").read_text()) == counts


def test_the_schema(trained_folder: Path, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """Types do not depend on which rows a file happens to have."""
    own = [{"text": "", "id": i, "thread": 5} for i in range(8)] + rows[:2]
    apply(trained_folder, write_jsonl(tmp_path / "in.jsonl", own), tmp_path / "out", part_size=8)
    for path in sorted((tmp_path / "out").glob("*.parquet")):
        schema = pq.read_schema(path)
        assert [(field.name, str(field.type)) for field in schema] == SCHEMA
    pandas = pytest.importorskip("pandas")
    assert list(pandas.read_parquet(tmp_path / "out")["id"]) == [*range(8), 0, 1]


def test_without_texts_and_with_names_for_ids(
    trained_folder: Path, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    own = [{**row, "id": f"x{row['id']}", "thread": None} for row in rows[:4]]
    path = write_jsonl(tmp_path / "in.jsonl", own)
    apply(trained_folder, path, tmp_path / "out", no_text=True)
    (file,) = (tmp_path / "out").glob("*.parquet")
    assert pq.read_schema(file).names == [
        *("id", "thread", "domain", "domain_score", "entities"),
    ]
    assert pq.read_table(file)["id"].to_pylist() == ["x0", "x1", "x2", "x3"]


def test_ids_are_whole_numbers_or_strings_or_made_up(
    trained_folder: Path, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    def ids(*given: Any) -> list[Any]:
        own = [{"text": rows[0]["text"]} | ({} if i == "" else {"id": i}) for i in given]
        path = write_jsonl(tmp_path / f"in{len(list(tmp_path.iterdir()))}.jsonl", own)
        out = tmp_path / f"out{path.stem}"
        apply(trained_folder, path, out)
        return [row["id"].removeprefix(path.stem) if isinstance(row["id"], str) else row["id"]
                for row in read_output(out)]  # fmt: skip

    assert ids(7, "", None) == [7, None, None]
    assert ids(7, "a", 2**70) == ["7", "a", str(2**70)]
    assert ids("", None) == [".jsonl:1", ".jsonl:2"]


def test_a_given_domain_wins_and_has_no_score(
    trained_folder: Path, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    own = [{"text": rows[0]["text"], "kind": "news"}, {"text": rows[0]["text"], "kind": None}]
    path = write_jsonl(tmp_path / "in.jsonl", own)
    apply(trained_folder, path, tmp_path / "out", domain="kind", format="jsonl")
    first, second = read_output(tmp_path / "out")
    assert (first["domain"], first["domain_score"]) == ("news", None)
    assert second["domain"] == "travel" and 0 < second["domain_score"] <= 1


def test_what_is_bad_costs_its_own_row_and_stands_in_errors(
    trained_folder: Path, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    good = [{**row, "thread": 1} for row in rows[:4]]
    lines = [json.dumps(row) for row in good]
    lines[1:1] = ["{", json.dumps({"text": None}), ""]
    lines[5:5] = [json.dumps({"text": "تبریز", "domain": "nowhere"})]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text("\n".join(lines), "utf8")
    write_jsonl(tmp_path / "in" / "b.jsonl", [{"no": "text"}, rows[4]])
    counts = apply(trained_folder, tmp_path / "in", tmp_path / "out", format="jsonl")
    assert (counts["texts"], counts["rows"], counts["errors"]) == (9, 5, 4)
    assert [row["id"] for row in read_output(tmp_path / "out")] == [0, 1, 2, 3, 4]
    errors = read_jsonl(tmp_path / "out" / "errors.jsonl")
    assert [(error["file"], error["line"]) for error in errors] == [
        *(("a.jsonl", 2), ("a.jsonl", 3), ("a.jsonl", 6), ("b.jsonl", 1)),
    ]
    assert "Unknown domain 'nowhere'" in errors[2]["error"]


def test_a_thread_of_many_texts_is_one_domain(
    trained_folder: Path, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    own = [{"text": rows[i % 60]["text"], "thread": "long"} for i in range(1500)]
    path = write_jsonl(tmp_path / "in.jsonl", own)
    counts = apply(trained_folder, path, tmp_path / "out", part_size=100)
    assert (counts["rows"], counts["parts"], len(counts["domains"])) == (1500, 1, 1)


def test_group_by_brings_a_thread_together(
    trained_folder: Path,
    rows: list[dict[str, Any]],
    expected: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    shuffled = [row for i in range(4) for row in rows[i::4]]
    lines = [json.dumps({**row, "topic": row["thread"]}) for row in shuffled]
    (tmp_path / "in.jsonl").write_text("\n".join([*lines[:30], "{", *lines[30:]]), "utf8")
    counts = apply(
        *(trained_folder, tmp_path / "in.jsonl", tmp_path / "out"),
        group_by="topic",
        part_size=8,
    )
    assert same(read_output(tmp_path / "out"), expected)
    assert (counts["texts"], counts["rows"], counts["parts"]) == (61, 60, 8)
    (error,) = read_jsonl(tmp_path / "out" / "errors.jsonl")
    assert (error["file"], error["line"]) == ("in.jsonl", 31)
    assert not (tmp_path / "out" / "_shuffled").exists()


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"engine": "dask"}, "Unknown engine 'dask': take one of local, ray, spark"),
        ({"format": "csv"}, "Unknown format 'csv': take one of parquet, jsonl"),
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"part_size": 0}, "part_size must be at least 1, got 0"),
        ({"thread": "a", "group_by": "b"}, "either thread .* or group_by"),
        ({"thread": "channel"}, "No row of .* has a column channel"),
        ({"text": "body"}, "holds no text to tag: in.jsonl, line 2: no 'body'"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(value),
)
def test_what_cannot_be_asked_for(
    trained_folder: Path,
    rows: list[dict[str, Any]],
    tmp_path: Path,
    settings: dict[str, Any],
    error: str,
) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", rows[:2])
    with pytest.raises(MultibertError, match=error):
        apply(trained_folder, path, tmp_path / "out", **settings)
    assert not list((tmp_path / "out").glob("part-*"))


def test_an_output_is_never_mixed_with_another(
    trained_folder: Path, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", rows[:4])
    out = tmp_path / "out"
    first = apply(trained_folder, path, out)
    with pytest.raises(ConfigError, match="holds a run already: continue it with --resume"):
        apply(trained_folder, path, out)
    assert apply(trained_folder, path, out, resume=True) == first
    with pytest.raises(ConfigError, match="no_text was False, is True"):
        apply(trained_folder, path, out, resume=True, no_text=True)
    write_jsonl(path, rows[:5])
    with pytest.raises(ConfigError, match="has changed since"):
        apply(trained_folder, path, out, resume=True)
    with pytest.raises(ConfigError, match="is not empty and no run of apply"):
        apply(trained_folder, path, trained_folder)
    with pytest.raises(ConfigError, match="is a file: expected a folder"):
        apply(trained_folder, path, path)


def test_the_room_is_imported_when_it_is_asked_for() -> None:
    code = "import sys, multibert_spacy as m; assert 'multibert_spacy.scale' not in sys.modules"
    subprocess.run([sys.executable, "-c", f"{code}; m.scale.apply"], check=True)
    with pytest.raises(AttributeError, match="no attribute 'scales'"):
        multibert_spacy.scales  # noqa: B018


def test_no_pipeline(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        apply("nowhere", tmp_path, tmp_path / "out")


def test_an_input_without_a_row(trained_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("\n\n", "utf8")
    with pytest.raises(CorpusError, match="holds no text to tag: there is no row in it"):
        apply(trained_folder, tmp_path / "in.jsonl", tmp_path / "out")


def test_memory_for_words_is_given_back(
    trained_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a part the vocabulary is what it was before."""
    from multibert_spacy.scale import worker

    loaded = []
    load = worker.spacy.load
    monkeypatch.setattr(worker.spacy, "load", lambda name: loaded.append(load(name)) or loaded[0])
    own = [{"text": f"تبریز واژه{i}ب"} for i in range(40)]
    path = write_jsonl(tmp_path / "in.jsonl", own)
    apply(trained_folder, path, tmp_path / "out", part_size=8)
    assert not [i for i in range(40) if f"واژه{i}ب" in loaded[0].vocab.strings]
