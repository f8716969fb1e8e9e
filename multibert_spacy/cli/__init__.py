"""`python -m spacy multibert ...`: one command a file, thin.

spaCy imports this through the entry point group `spacy_cli`, with each of its commands: so nothing
heavy is imported here. A further command is a module that decorates a function with
`@multibert.command("name")`, and stands in the list below.
"""

from spacy.cli._util import app

from . import (  # noqa: F401  (each adds its command)
    add,
    apply,
    domains,
    evaluate,
    export,
    graph,
    import_,
    package,
    remove,
    rename,
    serve,
    show,
    suggest,
)
from .group import multibert

app.add_typer(multibert)
