import keras
import pytest
import torch
from torch import nn
from torch.nn import functional

from deep_bottleneck.errors import EstimationError
from deep_bottleneck.gradient_noise import (
    NoiseScale,
    by_layer,
    from_per_example_gradients,
    from_two_batch_sizes,
    gradient_noise_scale,
    per_example_gradients,
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(50, 3, generator=generator),
        torch.randint(0, 2, (50,), generator=generator),
    )


def test_gradients_of_single_examples(network, data):
    inputs, targets = data

    gradients = per_example_gradients(network, functional.cross_entropy, inputs, targets)

    for index in (0, 17):
        network.zero_grad()
        loss = functional.cross_entropy(network(inputs[index, None]), targets[index, None])
        loss.backward()
        for name, parameter in network.named_parameters():
            assert torch.allclose(gradients[name][index], parameter.grad, atol=1e-6)


def test_frozen_parameters_have_none(network, data):
    network[0].weight.requires_grad_(False)

    gradients = per_example_gradients(network, functional.cross_entropy, *data)

    assert "0.weight" not in gradients


def test_variance_and_squared_mean():
    gradients = {"a": torch.tensor([[1.0, 0.0], [3.0, 0.0]]), "b": torch.tensor([5.0, 5.0])}

    scales = from_per_example_gradients(gradients)

    assert scales["a"] == NoiseScale(noise=2.0, signal=3.0)
    assert scales["b"] == NoiseScale(noise=0.0, signal=25.0)
    assert scales["total"] == NoiseScale(noise=2.0, signal=28.0)
    assert scales["a"].scale == pytest.approx(2 / 3)
    assert scales["b"].scale == 0


def test_both_estimators_are_unbiased():
    mean = torch.tensor([1.0, -2.0])
    spread = torch.tensor([3.0, 0.5])
    torch.manual_seed(0)
    examples = mean + spread * torch.randn(20_000, 32, 2)

    of_examples = [from_per_example_gradients({"w": batch})["w"] for batch in examples[:4_000]]
    of_sizes = [
        from_two_batch_sizes(
            {"w": batch.unflatten(0, (4, 8)).mean(1)}, {"w": batch.mean(0)}, 8, 32
        )["w"]
        for batch in examples[:4_000]
    ]

    for scales in (of_examples, of_sizes):
        noise = torch.tensor([scale.noise for scale in scales]).mean()
        signal = torch.tensor([scale.signal for scale in scales]).mean()
        assert float(noise) == pytest.approx(9.25, rel=0.03)
        assert float(signal) == pytest.approx(5.0, rel=0.03)


def test_two_batch_sizes_solve_two_equations():
    # |G_1|^2 = signal + noise, |G_4|^2 = signal + noise / 4, with signal 4 and noise 12
    scales = from_two_batch_sizes({"w": torch.tensor([4.0])}, {"w": torch.tensor([7.0**0.5])}, 1, 4)

    assert scales["w"].noise == pytest.approx(12)
    assert scales["w"].signal == pytest.approx(4)
    assert scales["total"].scale == pytest.approx(3)


@pytest.mark.parametrize("chunk_size", [1, 7, 50, 100])
def test_chunks_do_not_matter(network, data, chunk_size):
    whole = from_per_example_gradients(
        per_example_gradients(network, functional.cross_entropy, *data)
    )

    chunked = gradient_noise_scale(network, functional.cross_entropy, *data, chunk_size=chunk_size)

    assert chunked.keys() == whole.keys()
    for name, scale in whole.items():
        assert chunked[name].noise == pytest.approx(scale.noise, rel=1e-5)
        assert chunked[name].signal == pytest.approx(scale.signal, rel=1e-4, abs=1e-8)


def test_layers_sum_their_parameters(network, data):
    scales = gradient_noise_scale(network, functional.cross_entropy, *data)

    layers = by_layer(scales)

    assert list(layers) == ["0", "2", "total"]
    assert layers["2"].noise == scales["2.weight"].noise + scales["2.bias"].noise
    assert layers["0"].signal + layers["2"].signal == pytest.approx(layers["total"].signal)


class Last(nn.Module):
    """A recurrent network whose last state is read out."""

    def __init__(self, kind):
        super().__init__()
        self.recurrent, self.readout = kind(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        return self.readout(self.recurrent(x)[0][:, -1])


class Both(nn.Module):
    """A network with two inputs."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(3, 2), nn.Linear(5, 2)

    def forward(self, x, y):
        return self.left(x) * self.right(y)


class Branching(nn.Module):
    """A network that looks at its values to decide what to do."""

    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x):
        return self.up(x) if x.sum() > 0 else self.down(x)


def noise_by_a_loop(model, loss, inputs, targets):
    """tr(Sigma) from a backward pass for each example."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rows = []
    for index in range(len(targets)):
        of_one = [part[index, None] for part in inputs]
        value = loss(model(*of_one), targets[index, None]).sum()
        gradients = torch.autograd.grad(
            value, parameters, allow_unused=True, materialize_grads=True
        )
        rows.append(torch.cat([gradient.flatten() for gradient in gradients]).double())
    return float(torch.stack(rows).var(dim=0).sum())


@pytest.mark.parametrize(
    "model, shapes",
    [
        (Last(nn.GRU), [(7, 3)]),
        (Last(nn.RNN), [(7, 3)]),
        (Last(nn.LSTM), [(7, 3)]),
        (Both(), [(3,), (5,)]),
        (Branching(), [(3,)]),
    ],
)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_networks_of_all_kinds_have_the_noise_of_a_loop(model, shapes, reduction):
    generator = torch.Generator().manual_seed(0)
    inputs = tuple(torch.randn(12, *shape, generator=generator) for shape in shapes)
    targets = torch.arange(12) % 2
    loss = nn.CrossEntropyLoss(reduction=reduction)
    given = inputs if len(inputs) > 1 else inputs[0]

    found = gradient_noise_scale(model, loss, given, targets, chunk_size=5)

    expected = noise_by_a_loop(model, loss, inputs, targets)
    assert found["total"].noise == pytest.approx(expected, rel=1e-4)


@pytest.mark.backend("torch")
def test_a_keras_model_has_the_noise_of_a_loop(data):
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, "tanh", name="first"),
            keras.layers.Dropout(0.5),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Dense(2, name="last"),
        ],
        name="network",
    )
    model.get_layer("norm").trainable = False

    found = gradient_noise_scale(model, functional.cross_entropy, *data)

    expected = noise_by_a_loop(model, functional.cross_entropy, data[:1], data[1])
    assert found["total"].noise == pytest.approx(expected, rel=1e-4)
    assert list(by_layer(found)) == ["network/first", "network/last", "total"]


def test_no_signal_is_an_infinite_scale():
    assert NoiseScale(noise=1.0, signal=0.0).scale == float("inf")
    assert NoiseScale(noise=1.0, signal=-0.1).scale == float("inf")
    assert NoiseScale(noise=0.0, signal=0.0).scale != NoiseScale(noise=0.0, signal=0.0).scale


def test_bad_input(network, data):
    inputs, targets = data
    with pytest.raises(ValueError, match="got 50 inputs but 49 targets"):
        gradient_noise_scale(network, functional.cross_entropy, inputs, targets[1:])
    with pytest.raises(ValueError, match="at least two examples, got 1"):
        gradient_noise_scale(network, functional.cross_entropy, inputs[:1], targets[:1])
    with pytest.raises(ValueError, match="at least two examples, got 1 for w"):
        from_per_example_gradients({"w": torch.ones(1, 3)})
    with pytest.raises(ValueError, match="a small batch of at least 1 example and a larger one"):
        from_two_batch_sizes({}, {}, 8, 8)
    with pytest.raises(ValueError, match=r"different parameters: \['a'\] and \['b'\]"):
        from_two_batch_sizes({"a": torch.ones(1)}, {"b": torch.ones(1)}, 1, 8)
    with pytest.raises(ValueError, match="chunk_size must be a positive integer, got 0"):
        gradient_noise_scale(network, functional.cross_entropy, inputs, targets, chunk_size=0)
    with pytest.raises(ValueError, match=r"loss of an example must be a single number, .*\(1, 2\)"):
        gradient_noise_scale(network, nn.MSELoss(reduction="none"), inputs, torch.zeros(50, 2))
    with pytest.raises(TypeError, match="a Keras model on the torch backend, got function"):
        gradient_noise_scale(functional.relu, functional.cross_entropy, inputs, targets)
    frozen = nn.Linear(3, 2).requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter of Linear requires a gradient"):
        gradient_noise_scale(frozen, functional.cross_entropy, inputs, targets)
    normalised = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    with pytest.raises(EstimationError, match=r"1 is batch normalisation in training mode.*eval"):
        gradient_noise_scale(normalised, functional.cross_entropy, inputs, targets)
    assert gradient_noise_scale(normalised.eval(), functional.cross_entropy, inputs, targets)
