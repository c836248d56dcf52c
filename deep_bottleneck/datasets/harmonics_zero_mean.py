"""The harmonics with inputs -0.5 and 0.5 instead of 0 and 1."""

from deep_bottleneck.datasets import harmonics
from deep_bottleneck.datasets.splitting import train_test_split
from deep_bottleneck.interfaces import Dataset

REFERENCES = ("shwartz-ziv2017",)


def load() -> Dataset:
    """The same examples, labels and split as `harmonics`, the inputs minus 0.5."""
    return train_test_split(harmonics.patterns() - 0.5, harmonics.labels(), n_classes=2)
