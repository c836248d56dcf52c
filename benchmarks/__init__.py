"""Each figure the documentation quotes, as a command that prints it."""
