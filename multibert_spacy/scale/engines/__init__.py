"""What runs the parts of a plan. Each module has a function `run` of the same arguments."""
