"""From a command to experiments that run: what to launch, where, and how it is doing."""
