"""MNIST pooled to 5x5 pixels, the digits 0 to 4 alone: 25 inputs for small networks.

As in the experiments of Marrow, Michaud and Hoel 2020, "Examining the causal structures of deep
neural networks using information theory".
"""

import torch

from deep_bottleneck.datasets import mnist
from deep_bottleneck.datasets.images import WHITE, Images
from deep_bottleneck.interfaces import Dataset, LabelledDataset

REFERENCES = ("lecun1998", "marrow2020")

N_CLASSES = 5
SIDE = 5


def load() -> Dataset:
    """The images from 0 (black) to 1, of shape (n, 25), in MNIST's own split.

    Each pixel is the mean over its part of the image, as in adaptive average pooling. Where the
    images come from and what can go wrong is as for `mnist`.
    """
    train, test = mnist.read()
    return Dataset(_pooled(train), _pooled(test), N_CLASSES)


def _pooled(images: Images) -> LabelledDataset:
    kept = images.labels < N_CLASSES
    pixels = torch.from_numpy(images.pixels[kept]).float() / WHITE
    pooled = torch.nn.functional.adaptive_avg_pool2d(pixels.unsqueeze(1), SIDE)
    return LabelledDataset.from_labels(pooled.flatten(1).numpy(), images.labels[kept], N_CLASSES)
