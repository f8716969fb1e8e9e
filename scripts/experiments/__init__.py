"""The experiments of the paper and ours: each a table of the report."""
