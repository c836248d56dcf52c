import numpy as np

from deep_bottleneck.training.layers import watched_layers


class Notes:
    """A record and a place for tables that keep what they are given."""

    def __init__(self):
        self.tables = {}
        self.metrics = {}
        self.growing = {}

    def append(self, name, rows):
        self.growing[name] = self.growing.get(name, 0) + len(rows)

    def add(self, name, table):
        self.tables[name] = table

    def log_scalar(self, name, value, step):
        self.metrics.setdefault(name, {})[step] = value

    def add_artifact(self, filename, name):
        raise NotImplementedError


def diverge(model, layer):
    """Let the weights of a layer be NaN, as those of a run that diverged."""
    kernel = watched_layers(model)[layer].kernel
    kernel.assign(np.full(kernel.shape, np.nan, np.float32))
