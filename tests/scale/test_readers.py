"""Files of records: what is read, from where on, and what is wrong with the rest."""

import json
from pathlib import Path

import fsspec
import pytest

from multibert_spacy.errors import CorpusError
from multibert_spacy.scale.readers import Source, find_sources, read_records
from multibert_spacy.scale.rows import BadRow, Columns, Row, read_rows

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

FS = fsspec.filesystem("file")
ROWS = [
    {"id": 1, "text": "تبریز", "thread": "a"},
    {"id": 2, "text": 'با "نقل"، و\nدو خط', "thread": "a"},
    {"id": 3, "text": "", "thread": "b"},
]


def write(folder: Path, ending: str) -> Source:
    """The rows as a file."""
    path = folder / f"rows.{ending}"
    if ending == "jsonl":
        lines = [json.dumps(row, ensure_ascii=False) for row in ROWS]
        path.write_text("\ufeff" + "\n\n".join(lines), "utf8")
    elif ending == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=2)
    else:
        mark = "," if ending == "csv" else "\t"
        lines = [mark.join(["id", "text", "thread"])]
        for row in ROWS:
            text = str(row["text"]).replace('"', '""')
            lines.append(mark.join([str(row["id"]), f'"{text}"', str(row["thread"])]))
        path.write_text("\ufeff" + "\r\n".join(lines) + "\r\n\r\n", "utf8", newline="")
    return Source(str(path), path.name, {"tsv": "tsv", "csv": "csv"}.get(ending, ending))


@pytest.mark.parametrize("ending", ["jsonl", "csv", "tsv", "parquet"])
def test_a_file_can_be_read_from_any_record_on(tmp_path: Path, ending: str) -> None:
    source = write(tmp_path, ending)
    records = list(read_records(FS, source, ["text", "id", "thread"]))
    texts = [record.values["text"] for record in records if record.values]
    assert texts == [row["text"] for row in ROWS]
    for i, record in enumerate(records):
        rest = read_records(FS, source, ["text", "id", "thread"], record.start, record.line)
        assert list(rest) == records[i:]


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    lines = {
        ending: [r.line for r in read_records(FS, write(tmp_path, ending), ["text"])]
        for ending in ("jsonl", "csv", "parquet")
    }
    assert lines == {"jsonl": [1, 3, 5], "csv": [2, 3, 5], "parquet": [1, 2, 3]}


def rows_of(path: Path, kind: str) -> list[Row | BadRow]:
    source = Source(str(path), path.name, kind)
    return list(read_rows(FS, source, Columns(), max_length=10))


@pytest.mark.parametrize(
    "line, error",
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1]", "no JSON object, but list"),
        ("{}", "no 'text'"),
        ('{"text": null}', "no 'text'"),
        ('{"text": 5}', "'text' is no string, but int"),
        ('{"text": "12345678901"}', "'text' has 11 characters, the pipeline takes 10"),
        ('{"text": "\\ud800"}', "'text' holds half a character"),
        ('{"text": "x", "id": "\\udc00"}', "'id' holds half a character"),
        ('{"text": "x", "domain": 5}', "'domain' is no string, but int"),
        ('{"text": "x", "thread": [1]}', "'thread' must be a string or a number, got [1]"),
    ],
    ids=lambda value: str(value)[:24].encode("ascii", "replace").decode(),
)
def test_a_bad_line_costs_its_own_row(tmp_path: Path, line: str, error: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"text": "a"}}\n{line}\n{{"text": "b"}}\n', "utf8")
    first, bad, last = rows_of(path, "jsonl")
    assert isinstance(first, Row) and isinstance(last, Row)
    assert (first.text, last.text) == ("a", "b")
    assert isinstance(bad, BadRow) and bad.line == 2
    assert bad.error.startswith(error)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"text": "a"}\n{"text": "\xff"}\n')
    assert isinstance(rows_of(path, "jsonl")[1], BadRow)
    path = tmp_path / "rows.csv"
    path.write_bytes(b"text,id\na,1\n\xff,2\nb\nc,3\n")
    rows = rows_of(path, "csv")
    assert [row.text for row in rows if isinstance(row, Row)] == ["a", "c"]
    assert [(row.line, row.error[:12]) for row in rows if isinstance(row, BadRow)] == [
        (3, "'text' holds"),
        (4, "1 fields whe"),
    ]
    path = tmp_path / "rows.parquet"
    good, bad = "خوب".encode(), b"\xd8"
    offsets = pa.array([0, len(good), len(good) + 1], pa.int32()).buffers()[1]
    texts = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(good + bad)])
    pq.write_table(pa.table({"text": texts}), path)
    rows = rows_of(path, "parquet")
    assert isinstance(rows[0], Row) and rows[0].text == "خوب"
    assert isinstance(rows[1], BadRow) and "no UTF-8" in rows[1].error


def test_a_quotation_mark_that_nobody_closed(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('text\na\n"b\nc\nd\n', "utf8")
    assert [row.line for row in rows_of(path, "csv")] == [2, 3]


def test_an_id_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"text": "a"}, {"text": "b", "id": ""}, {"text": "c", "id": 0}]
    path.write_text("\n".join(map(json.dumps, rows)), "utf8")
    ids = [row.id for row in rows_of(path, "jsonl") if isinstance(row, Row)]
    assert ids == [None, None, 0]


def test_nothing_stands_for_no_thread_and_no_domain(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a", "thread": NaN, "domain": ""}\n{"text": "b"}', "utf8")
    for row in rows_of(path, "jsonl"):
        assert isinstance(row, Row)
        assert (row.thread, row.domain) == (None, None)


@pytest.mark.parametrize("hole", ["", "NaN", "nan"])
def test_a_hole_in_a_table_of_text_is_not_given(tmp_path: Path, hole: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"text,thread,domain,id\na,{hole},{hole},{hole}\nb,t,news,1\n", "utf8")
    first, second = read_rows(FS, Source(str(path), "rows.csv", "csv"), Columns(), max_length=10)
    assert (first.thread, first.domain, first.id) == (None, None, None)
    assert (second.thread, second.domain, second.id) == ("t", "news", "1")


def test_in_json_a_text_is_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a", "domain": "nan"}', "utf8")
    (row,) = read_rows(FS, Source(str(path), "rows.jsonl", "jsonl"), Columns(), max_length=10)
    assert row.domain == "nan"


def test_the_files_of_a_folder_and_of_a_pattern(tmp_path: Path) -> None:
    for name in ("b/2.csv", "a.jsonl", "_parts/x.jsonl", ".y.jsonl", "notes.txt", "c.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [(own.name, own.format) for own in find_sources(FS, str(tmp_path))]
    assert found == [("a.jsonl", "jsonl"), ("b/2.csv", "csv"), ("c.parquet", "parquet")]
    assert [own.name for own in find_sources(FS, f"{tmp_path}/*/*.csv")] == ["b/2.csv"]
    assert [own.name for own in find_sources(FS, f"{tmp_path}/a.jsonl")] == ["a.jsonl"]


@pytest.mark.parametrize("name", ["nothing", "empty", "notes.txt", "*.csv"])
def test_no_file_to_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(CorpusError, match=r"expected .*\.jsonl"):
        find_sources(FS, str(tmp_path / name))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_without_the_column(tmp_path: Path, ending: str) -> None:
    source = write(tmp_path, ending)
    with pytest.raises(CorpusError, match="no column 'body'; it has: id, text, thread"):
        list(read_records(FS, source, ["body"]))


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 and no more")
    source = Source(str(tmp_path / "rows.parquet"), "rows.parquet", "parquet")
    with pytest.raises(CorpusError, match=r"rows.parquet is damaged or no Parquet file"):
        list(read_records(FS, source, ["text"]))
