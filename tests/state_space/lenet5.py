"""LeNet-5 as TensorState's tutorials build it: 20, 50 and 100 kernels, ELU, batch norm."""

from collections import OrderedDict

import keras
from torch import nn

CONVOLUTIONS = ("conv_1", "conv_2", "conv_3")


def lenet5_torch() -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            conv_1=nn.Conv2d(1, 20, 5),
            elu_1=nn.ELU(),
            norm_1=nn.BatchNorm2d(20),
            maxp_1=nn.MaxPool2d(2),
            conv_2=nn.Conv2d(20, 50, 5),
            elu_2=nn.ELU(),
            norm_2=nn.BatchNorm2d(50),
            maxp_2=nn.MaxPool2d(2),
            conv_3=nn.Conv2d(50, 100, 4),
            elu_3=nn.ELU(),
            norm_3=nn.BatchNorm2d(100),
            flatten=nn.Flatten(),
            pred=nn.Linear(100, 10),
        )
    )


def lenet5_keras() -> keras.Model:
    layers = keras.layers
    inputs = layers.Input((28, 28, 1), name="input")
    x = layers.Conv2D(20, 5, activation="elu", name="conv_1")(inputs)
    x = layers.BatchNormalization(epsilon=1e-5)(x)
    x = layers.MaxPool2D(2, name="maxp_1")(x)
    x = layers.Conv2D(50, 5, activation="elu", name="conv_2")(x)
    x = layers.BatchNormalization(epsilon=1e-5)(x)
    x = layers.MaxPool2D(2, name="maxp_2")(x)
    x = layers.Conv2D(100, 4, activation="elu", name="conv_3")(x)
    x = layers.BatchNormalization(epsilon=1e-5)(x)
    return keras.Model(inputs, layers.Dense(10, name="pred")(layers.Flatten(name="flatten")(x)))
