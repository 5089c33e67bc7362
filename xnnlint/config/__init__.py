"""Configuration: which keys there are (`keys`), reading files (`files`), and what holds for a model (`settings`)."""
