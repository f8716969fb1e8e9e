"""What `scripts.evaluate` and `scripts.baseline` have in common: scores, groups, reports."""
