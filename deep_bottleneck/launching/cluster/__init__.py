"""Launches of many experiments: what is kept of them, where they run, and how they are doing."""
