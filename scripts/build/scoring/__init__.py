"""What evaluation and the detectors' baseline have in common: scores, groups, tables."""
