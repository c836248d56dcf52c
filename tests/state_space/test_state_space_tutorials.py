"""TensorState's two tutorials on a sample of MNIST, with only the import changed."""

# ruff: noqa: T201

import keras
import numpy as np
import pytest
import torch
from lenet5 import CONVOLUTIONS, lenet5_keras, lenet5_torch
from oracle import captured
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import deep_bottleneck.state_space as ts

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
    pytest.mark.filterwarnings("ignore:.*torch.utils._pytree:DeprecationWarning"),
]


def report(efficiency_model, accuracy):
    """What the tutorials print at their end."""
    for layer in efficiency_model.efficiency_layers:
        print(f"Layer {layer.name} number of states: {layer.state_count}")
    for layer in efficiency_model.efficiency_layers:
        print(f"Layer {layer.name} efficiency: {100 * layer.efficiency():.1f}%")
    beta = 2
    network_efficiency = ts.network_efficiency(efficiency_model)
    print(f"Network efficiency: {100 * network_efficiency:.1f}%")
    print(f"aIQ: {100 * ts.aIQ(network_efficiency, accuracy, beta):.1f}%")


def test_the_pytorch_tutorial(mnist_sample, capsys):
    images, labels = mnist_sample
    torch.manual_seed(0)
    dataset = TensorDataset(torch.from_numpy(images)[:, None], torch.from_numpy(labels).long())
    model = lenet5_torch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    for inputs, targets in DataLoader(dataset, batch_size=50):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    efficiency_model = ts.build_efficiency_model(model, attach_to=["Conv2d"], method="after")
    model.eval()
    with torch.no_grad():
        hits = [
            (efficiency_model(inputs).argmax(dim=1) == targets).float()
            for inputs, targets in DataLoader(dataset, batch_size=50)
        ]
    report(efficiency_model, torch.cat(hits).mean().item())

    printed = capsys.readouterr().out
    assert efficiency_model is model
    assert "Layer conv_1_post_states number of states: 115200\n" in printed  # 200 * 24 * 24
    assert "Layer conv_2_post_states number of states: 12800\n" in printed  # 200 * 8 * 8
    assert "Layer conv_3_post_states number of states: 200\n" in printed
    assert "Network efficiency: " in printed
    assert "aIQ: " in printed
    assert all(0 < layer.efficiency() < 1 for layer in efficiency_model.efficiency_layers)


@pytest.mark.slow
def test_the_keras_tutorial(mnist_sample, capsys):
    images, labels = mnist_sample
    images = images[..., np.newaxis]
    keras.utils.set_random_seed(0)
    model = lenet5_keras()
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate=0.01, momentum=0.9, nesterov=True),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, name="loss"),
        metrics=["accuracy"],
    )
    model.fit(images, labels, epochs=1, batch_size=50, verbose=0)

    efficiency_model = ts.build_efficiency_model(model, attach_to=["Conv2D"], method="after")
    predictions = efficiency_model.predict(images, batch_size=50, verbose=0)
    report(efficiency_model, np.mean(predictions.argmax(axis=1) == labels))

    printed = capsys.readouterr().out
    assert "Layer conv_1_states number of states: 115200\n" in printed
    assert "Layer conv_2_states number of states: 12800\n" in printed
    assert "Layer conv_3_states number of states: 200\n" in printed
    assert "aIQ: " in printed
    np.testing.assert_array_equal(predictions, model.predict(images, batch_size=50, verbose=0))


def test_pytorch_and_keras_count_the_same_for_the_same_weights(mnist_sample):
    images = mnist_sample[0][:20]
    in_torch, in_keras = lenet5_torch().eval(), lenet5_keras()
    for name in CONVOLUTIONS:
        kernel = in_torch.get_submodule(name).weight.detach().numpy()
        bias = in_torch.get_submodule(name).bias.detach().numpy()
        in_keras.get_layer(name).set_weights([kernel.transpose(2, 3, 1, 0), bias])

    # ELU keeps the sign, so it does not matter that Keras applies it within the convolution.
    ts.build_efficiency_model(in_torch, CONVOLUTIONS)
    probed = ts.build_efficiency_model(in_keras, CONVOLUTIONS)
    with torch.no_grad():
        in_torch(torch.from_numpy(images)[:, None])
    probed.predict(images[..., np.newaxis], verbose=0)

    for ours, theirs in zip(in_torch.efficiency_layers, probed.efficiency_layers, strict=True):
        assert captured(ours) == captured(theirs)
