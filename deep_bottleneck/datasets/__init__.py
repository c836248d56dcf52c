"""Data sets: modules with load() -> Dataset."""
