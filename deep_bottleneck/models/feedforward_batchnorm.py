"""The classic network with batch normalisation after each hidden layer.

The representation that is recorded is the hidden layer's activation itself, before its
normalisation; `load` takes the arguments of `models.feedforward`.
"""

from functools import partial

import keras

from deep_bottleneck.models import feedforward

load = partial(feedforward.load, after_hidden=keras.layers.BatchNormalization)
