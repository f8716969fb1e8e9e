"""Kinds of encoders that a core may be, one a file: see `kinds.py`."""
