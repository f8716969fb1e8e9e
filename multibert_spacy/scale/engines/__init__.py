"""The engines that run parts of a plan; each module has a function `run` of the same arguments."""
