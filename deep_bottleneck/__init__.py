"""deep-bottleneck: watch information move through a neural network while it learns."""

__version__ = "0.1.0"
