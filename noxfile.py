"""The versions that this project is for, each in an environment of its own: `pipx run nox`.

    pipx run nox --list
    pipx run nox --session "tests(python='3.12', transformers='oldest')" -- tests/core

Without names all six run, a quarter of an hour each. `make check` is for the versions that
constraints.txt pins.
"""

import nox

PYTHONS = ["3.11", "3.12", "3.13"]
TRANSFORMERS = {"oldest": "transformers==4.48.*", "newest": "transformers<4.53.3"}
"""The ends of what pyproject.toml allows; spacy-transformers 1.4 sets the upper one."""


@nox.session
@nox.parametrize("transformers", list(TRANSFORMERS))
@nox.parametrize("python", PYTHONS)
def tests(session: nox.Session, transformers: str) -> None:
    """Run the tests, or those that are named behind `--`."""
    session.install("--editable", ".[project,test,openvino]", TRANSFORMERS[transformers])
    options = session.posargs or ["--numprocesses", "2", "--dist", "loadfile"]
    session.run("python", "-m", "pytest", *options, env={"OMP_NUM_THREADS": "1"})
