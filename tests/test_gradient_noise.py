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
    normalised = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    with pytest.raises(EstimationError, match=r"1 is batch normalisation in training mode.*eval"):
        gradient_noise_scale(normalised, functional.cross_entropy, inputs, targets)
    assert gradient_noise_scale(normalised.eval(), functional.cross_entropy, inputs, targets)
