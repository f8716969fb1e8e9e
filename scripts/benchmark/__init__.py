"""Speed, memory and load time of our pipeline and of what one would take instead."""
