"""Plotters: modules with load(...) -> BasePlotter."""
