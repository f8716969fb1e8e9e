"""The rules of the house: who imports whom, what is where, how large."""

import ast
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "multibert_spacy"
MODULES = sorted(PACKAGE.rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
ENTRY_POINTS = [
    (group, name, value)
    for group, entries in PROJECT["entry-points"].items()
    for name, value in entries.items()
]
ORDER = [
    *("cli", "scale", "domains", "training", "pipeline", "networks", "engines", "adapters"),
    *("core", "text", "serialization"),
]
"""Each may import what stands to its right, and the modules beside them."""


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def imports(path):
    """Absolute names of all modules that a file imports, wherever the statement stands. Names
    imported from a package count as modules, which they may be.
    """
    package = list(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def imports_package(path, package):
    return any(name.split(".")[0] == package for name in imports(path))


def room(path):
    return path.relative_to(PACKAGE).parts[0]


def calls(path, name):
    tree = ast.parse(path.read_text(encoding="utf8"))
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and name in (getattr(node.func, "id", None), getattr(node.func, "attr", None))
    ]


def functions(path):
    tree = ast.parse(path.read_text(encoding="utf8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node.name for node in ast.walk(tree) if isinstance(node, kinds)]


def test_the_rooms():
    assert {room(path) for path in MODULES if path.parent != PACKAGE} == set(ORDER)


def test_tests_mirror_the_rooms():
    folders = {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("test_*.py"))}
    assert set(ORDER) <= folders


def test_imports_are_found():
    """The walker sees relative imports of every level, and those inside functions."""
    found = set(imports(PACKAGE / "pipeline" / "domain_component.py"))
    assert {"multibert_spacy.networks.tagger_model", "multibert_spacy.pipeline.batching"} <= found
    assert "multibert_spacy.text.windows.check_window" in found
    assert imports_package(PACKAGE / "adapters" / "kinds.py", "peft")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_one_way(path):
    own = room(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "multibert_spacy" or len(parts) < 2 or parts[1] not in ORDER:
            continue
        if path.parent == PACKAGE:
            # what the package exports, of which the components are imported when asked for
            assert path.name == "__init__.py" and parts[1] in ("text", "pipeline", "domains")
        else:
            assert ORDER.index(parts[1]) >= ORDER.index(own), f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_imports_the_scripts_or_tests(path):
    assert not imports_package(path, "scripts")
    assert not imports_package(path, "tests")


def test_peft_is_imported_once():
    assert [name_of(path) for path in MODULES if imports_package(path, "peft")] == [
        "multibert_spacy/adapters/kinds.py"
    ]


@pytest.mark.parametrize("package", ["torch", "transformers", "safetensors"])
def test_only_four_rooms_know_the_network(package):
    users = {room(path) for path in MODULES if imports_package(path, package)}
    assert users <= {"networks", "engines", "adapters", "core"}


def test_pickle_is_imported_nowhere():
    for package in ("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"):
        assert not [name_of(path) for path in MODULES if imports_package(path, package)]
    for path in MODULES:
        for call in calls(path, "load"):
            assert ast.unparse(call.func) not in ("torch.load", "np.load", "numpy.load")


def test_hazm_is_imported_nowhere():
    assert not [name_of(path) for path in MODULES if imports_package(path, "hazm")]


def test_the_extra_is_imported_by_two_modules():
    """Which are imported by each other, and where an engine is chosen."""
    users = [name_of(path) for path in MODULES if imports_package(path, "openvino")]
    engine, graph = (f"multibert_spacy/engines/openvino_{name}.py" for name in ("engine", "graph"))
    assert users == [engine, graph]
    assert [name_of(path) for path in MODULES if imports_package(path, "nncf")] == [graph]
    for path in MODULES:
        if name_of(path) in users:
            continue
        for node in ast.parse(path.read_text(encoding="utf8")).body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                assert "openvino" not in ast.unparse(node), name_of(path)


def test_windowing_exists_once():
    """Windows are made in one module, and cut out of a doc in one place."""
    makers = {name_of(path) for path in MODULES if calls(path, "Window")}
    assert makers == {"multibert_spacy/text/windows.py"}
    cutters = [name_of(path) for path in MODULES for _ in calls(path, "split_windows")]
    assert cutters == ["multibert_spacy/pipeline/batching.py"]
    pattern = re.compile("window|stride|overlap|chunk", re.IGNORECASE)
    named = {(path.name, name) for path in MODULES for name in functions(path)}
    assert {(file, name) for file, name in named if pattern.search(name)} == {
        ("types.py", "Window"),
        ("types.py", "WindowBatch"),
        ("windows.py", "check_window"),
        ("windows.py", "split_windows"),
        ("align.py", "window_row"),
    }


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_stay_small(path):
    """A component is one file that reads top-down, as spaCy's are: the tagger's is the longest."""
    n_lines = len(path.read_text(encoding="utf8").splitlines())
    assert n_lines < 750


SCRIPTS = ["report", "checks", "benchmark", "experiments", "build", "corpora"]
"""Rooms of the project's code; each may import what stands to its right, and the files beside
them. What is shown and recorded of all stands in these files.
"""


def test_the_rooms_of_the_scripts():
    folders = {path.name for path in (ROOT / "scripts").iterdir() if path.is_dir()}
    assert folders - {"__pycache__"} == set(SCRIPTS)
    for path in sorted((ROOT / "scripts").rglob("*.py")):
        own = path.relative_to(ROOT / "scripts").parts[0]
        if own not in SCRIPTS:
            continue
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "scripts" and len(parts) > 1 and parts[1] in SCRIPTS:
                assert SCRIPTS.index(parts[1]) >= SCRIPTS.index(own), (name_of(path), name)


def test_the_scripts_stay_short():
    paths = (ROOT / "scripts").rglob("*.py")
    assert sum(len(path.read_text(encoding="utf8").splitlines()) for path in paths) <= 8000


TESTS = sorted((ROOT / "tests").rglob("*.py"))


def test_a_test_files_name_is_its_own():
    """Without packages pytest cannot tell two of one name apart."""
    names = [path.name for path in TESTS]
    assert sorted(set(names)) == sorted(names)


def test_no_folder_of_tests_is_left_out(pytestconfig):
    """As tests/scripts/build was, by pytest's own list of folders."""
    left_out = pytestconfig.getini("norecursedirs")
    folders = {part for path in TESTS for part in path.relative_to(ROOT).parent.parts}
    assert "build" in folders
    assert not [name for name in folders for glob in left_out if fnmatch(name, glob)]


def test_conftest_is_loaded_once():
    """As `tests.conftest` it would be another module, with other classes and fixtures."""
    assert "conftest" in set(imports(ROOT / "tests" / "pipeline" / "test_contract.py"))
    assert not [name_of(path) for path in TESTS if "tests.conftest" in set(imports(path))]


VARYING = {
    "order": "@pytest.mark.parametrize('x', {1, 2})",
    "set": "@pytest.mark.parametrize('x', [{'a', 'b'}], ids=repr)",
    "address": "@pytest.mark.parametrize('x', [object()], ids=repr)",
}


@pytest.mark.parametrize("kind", VARYING)
def test_a_test_that_has_another_name_in_another_process_stops_the_run(kind, tmp_path):
    text = f"import pytest\n{VARYING[kind]}\ndef test_it(x):\n    pass\n"
    (tmp_path / "test_it.py").write_text(text, encoding="utf8")
    command = [sys.executable, "-m", "pytest", "-p", "ids", "--rootdir", tmp_path, tmp_path]
    done = subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True, check=False)
    assert done.returncode in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR)
    assert "UsageError: test_it.py::test_it" in done.stdout + done.stderr or (
        "ERROR: test_it.py::test_it" in done.stderr
    )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_is_printed(path):
    if room(path) == "cli":
        return
    assert not calls(path, "print")
    assert not calls(path, "pprint")
    # what a user waits for has a progress bar, and a table that is logged
    shown = {"wasabi", "tqdm"} if room(path) == "domains" else set()
    for package in {"wasabi", "rich", "tqdm", "typer"} - shown:
        assert not imports_package(path, package)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_docstrings_and_all(path):
    """Each module says what it is for; what it exports is there."""
    tree = ast.parse(path.read_text(encoding="utf8"))
    assert ast.get_docstring(tree) or path.name == "__init__.py"
    exported = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    assert len(exported) == (1 if path.name != "__init__.py" or path.parent == PACKAGE else 0)
    defined = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    defined |= {*functions(path), *(name.rsplit(".", 1)[-1] for name in imports(path))}
    for value in exported:
        assert set(ast.literal_eval(value)) <= defined


ENTRY = re.compile(r"(RETURNS|RAISES|YIELDS|See)\b|\w+(, \w+)* \([^)]*\)( \w+)?[:,]")
"""How a line begins that is an entry of a docstring's list of arguments, results and errors."""


def opens_with_a_sentence(docstring):
    """One or more, in a paragraph of their own."""
    paragraph = docstring.split("\n\n")[0]
    return (
        re.match(r"(?!\w+: )[A-Z`]", paragraph) is not None
        and re.search(r"[.:?][`\")”]*$", paragraph) is not None
        and not any(ENTRY.match(line) for line in paragraph.splitlines())
        and re.search(r"\b(RETURNS|RAISES|YIELDS)\b", paragraph) is None
    )


OPENINGS = {
    "Return the pieces of a row.": True,
    "Pack rows.\n\nrows (list): Them.\nRETURNS (list): A batch.": True,
    "`a`, or `b`.": True,
    "RETURNS (list): A batch.": False,
    "Pack rows.\nRETURNS (list): A batch.": False,
    "Pack rows. RETURNS (list): A batch.": False,
    "See `pack`.": False,
    "rows (list): Them.": False,
    "Rows (b, t): Them.": False,
    "Rows: Them.": False,
    "Pack rows.\nrows (list): Them.": False,
    "the rows of a batch.": False,
    "Pack rows": False,
}


@pytest.mark.parametrize("docstring, expected", OPENINGS.items())
def test_the_opening_of_a_docstring_is_found(docstring, expected):
    assert opens_with_a_sentence(docstring) is expected


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_docstrings_open_with_a_sentence(path):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        docstring = ast.get_docstring(node) if isinstance(node, kinds) else None
        assert not docstring or opens_with_a_sentence(docstring), (
            f"{getattr(node, 'name', 'the module')}: {docstring}"
        )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_bare_assert(path):
    tree = ast.parse(path.read_text(encoding="utf8"))
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)]


@pytest.mark.parametrize("group, name, value", ENTRY_POINTS)
def test_entry_points_resolve(group, name, value):
    """To what is registered under the same name."""
    loaded = EntryPoint(name, value, group).load()
    if group == "spacy_displacy_colors":
        assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in loaded.values())
        return
    assert callable(loaded)
    if group != "spacy_factories":
        from spacy.util import registry

        assert getattr(registry, group.removeprefix("spacy_")).get(name) is loaded


def test_what_is_registered_has_an_entry_point():
    """Nothing needs `--code`."""
    declared = {(group, name): value for group, name, value in ENTRY_POINTS}
    found = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            for decorator in getattr(node, "decorator_list", []):
                text = ast.unparse(decorator)
                if match := re.match(r"registry\.(\w+)\('(.+?)'", text):
                    key = f"spacy_{match[1]}", match[2]
                elif match := re.match(r"Language\.factory\('(.+?)'", text):
                    key = "spacy_factories", match[1]
                else:
                    continue
                module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                found[key] = f"{module}:{node.name}"
    declared.pop(("spacy_displacy_colors", "multibert_spacy"))
    declared.pop(("spacy_cli", "multibert"))
    assert found == declared


def test_registered_names_follow_their_functions():
    for group, name, value in ENTRY_POINTS:
        if not name.startswith("multibert_spacy."):
            continue
        short = name.removeprefix("multibert_spacy.").removesuffix(".v1")
        snake = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", short).lower()
        function = value.split(":")[1]
        assert name.endswith(".v1") and function.endswith("_v1"), name
        assert function.replace("_", "") == f"build{snake.replace('_', '')}v1", (group, name)


@pytest.mark.parametrize("folder", ["", *ORDER])
def test_no_drawer_of_odds_and_ends(folder):
    names = {path.stem for path in (PACKAGE / folder).glob("*.py")}
    assert not names & {"utils", "util", "helpers", "common", "misc"}


def test_the_version_is_one():
    import multibert_spacy

    assert multibert_spacy.__version__ == PROJECT["version"]
