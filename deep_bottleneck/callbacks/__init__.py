"""Callbacks: modules with load(...) -> keras.callbacks.Callback."""
