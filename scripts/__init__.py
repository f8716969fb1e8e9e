"""Commands of the spaCy project: a typer `main` and an importable function each."""
