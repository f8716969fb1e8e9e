"""What `scripts.build.evaluate` and `scripts.experiments.baseline` have in common: scores, groups, reports."""
