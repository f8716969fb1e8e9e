"""Core, stages of training, scores, and what is shipped."""
