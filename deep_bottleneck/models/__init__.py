"""Models: modules with load(...) -> a compiled keras.Model."""
