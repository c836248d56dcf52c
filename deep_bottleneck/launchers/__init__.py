"""Launchers: modules with load(...) -> Launcher."""
