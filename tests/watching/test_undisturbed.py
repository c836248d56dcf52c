"""Training goes on as if nobody had looked."""

import random

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from deep_bottleneck import watch
from deep_bottleneck.callbacks.efficiency import EfficiencyRecorder
from deep_bottleneck.errors import ConfigError


class Counting(nn.Module):
    """Counts its calls in a buffer, in place and by another one, also in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("total", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        self.total = self.total + x.sum()
        return x


def network(dropout):
    return nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(inplace=True), nn.Dropout(dropout), Counting(),
        nn.Linear(6, 2),
    )  # fmt: skip


def data():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(50, 4, generator=generator)
    return x, (x.sum(1) > 0).long()


def trained(seed, dropout, steps, **options):
    """All that a network is after two epochs, and the draws that come after."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    model, (x, y) = network(dropout), data()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(x, y), batch_size=10, shuffle=True
    )
    watched = watch(model, data=loader, estimators="binning=0.3", **options) if steps else None
    for _ in range(2):
        for batch, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), labels).backward()
            optimizer.step()
        for _ in range(steps):
            watched.step()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    draws = [torch.rand(3), np.random.rand(3), random.random()]  # noqa: NPY002, S311
    return state, draws, [module.training for module in model.modules()]


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 100), st.sampled_from([0.0, 0.5]), st.integers(1, 2))
def test_training_is_the_same_to_the_last_bit(seed, dropout, steps):
    state, draws, modes = trained(seed, dropout, steps=0)

    watched_state, watched_draws, watched_modes = trained(
        seed, dropout, steps, measures=["efficiency", "similarity"]
    )

    assert all(torch.equal(watched_state[name], value) for name, value in state.items())
    assert torch.equal(watched_draws[0], draws[0])
    assert watched_draws[1].tolist() == draws[1].tolist()
    assert watched_draws[2] == draws[2]
    assert watched_modes == modes


def test_each_module_keeps_its_own_mode():
    model, given_data = network(0.5), data()
    model.train()
    model[1].eval()

    watch(model, data=given_data).step()

    assert [module.training for module in model] == [True, False, True, True, True, True]


def test_gradients_and_graphs_stay():
    model, (x, y) = network(0.0), data()
    loss = nn.functional.cross_entropy(model(x), y)
    watched = watch(model, data=(x, y))

    watched.step()
    loss.backward()

    assert model[0].weight.grad is not None
    assert torch.is_grad_enabled()


def test_training_inside_of_autocast_still_learns():
    model, (x, y) = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)), data()
    watched = watch(model, data=(x, y))

    with torch.autocast("cpu", torch.bfloat16):
        watched.step()
        nn.functional.cross_entropy(model(x), y).backward()

    assert model[0].weight.grad.abs().sum() > 0


def test_inside_of_autocast_the_network_alone_is_cast():
    class Seen(nn.Module):
        def forward(self, x):
            seen.append(x.dtype)
            return x

    seen = []
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), Seen(), nn.Linear(3, 2))
    inside, outside = (
        watch(model, data=data(), estimators="upper=0.1", measures=["effective_information"])
        for _ in range(2)
    )
    seen.clear()

    with torch.autocast("cpu", torch.bfloat16):
        inside.step()
    assert seen[0] == torch.bfloat16
    outside.step()

    noise = [one.tables["effective_information"] for one in (inside, outside)]
    assert noise[0].equals(noise[1])
    # estimates differ by what is cast in the network, and not by distances that are cast
    np.testing.assert_allclose(inside.table["MI_XM"], outside.table["MI_XM"], atol=0.02)


def test_gradients_go_on_to_be_accumulated():
    def gradients(steps):
        torch.manual_seed(0)
        model, (x, y) = network(0.5), data()
        watched = watch(
            model, data=(x, y), batch_size=10, loss=nn.functional.cross_entropy,
            measures=["gradient_noise", "efficiency", "effective_information"],
        )  # fmt: skip
        for batch in (slice(25), slice(25, 50)):
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            if steps:
                watched.step()
            loss.backward()
        return [weight.grad for weight in model.parameters()]

    for with_steps, without in zip(gradients(True), gradients(False), strict=True):
        assert torch.equal(with_steps, without)


def test_what_computes_a_weight_is_not_set_going():
    model = nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Linear(30, 20), n_power_iterations=1),
        nn.Linear(20, 2),
    )
    x = torch.randn(40, 30)
    model(x)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    watch(
        model, data=(x, torch.arange(40) % 2), batch_size=10, loss=nn.functional.cross_entropy,
        measures=["gradient_noise", "effective_information", "weight_graph_information"],
    ).step()  # fmt: skip

    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


class Failing(nn.Module):
    """Fails once it is told to."""

    broken = False

    def forward(self, x):
        if self.broken:
            raise RuntimeError("out of order")
        return x


@pytest.fixture
def failing():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), Failing(), nn.Linear(3, 2))
    return model.train()


def hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


def test_an_error_leaves_the_network_and_the_table_as_they_were(failing):
    watched = watch(failing, data=data(), estimators=["binning=0.3", "upper=0.1"])
    watched.step()
    before = watched.table
    failing[2].broken = True

    with pytest.raises(RuntimeError, match="out of order"):
        watched.step()

    assert all(module.training for module in failing.modules())
    assert hooks(failing) == 0
    assert watched.table.equals(before)


def test_an_interrupt_leaves_the_table_as_it_was(failing):
    def interrupted(outputs):
        if times:
            raise KeyboardInterrupt
        return outputs

    times = []
    watched = watch(failing, data=data(), representation={"3": interrupted}, strict=False)
    watched.step()
    before = watched.table
    times.append("now")

    with pytest.raises(KeyboardInterrupt):
        watched.step()

    assert all(module.training for module in failing.modules())
    assert watched.table.equals(before)


def test_an_error_says_what_the_network_was_called_with():
    with pytest.raises(RuntimeError, match="dtype") as raised:
        watch(network(0.0), data={"input": torch.zeros(20, 4, dtype=torch.long)})

    assert raised.value.__notes__ == ["The network was called with input=int64 (20, 4)."]


def test_an_error_of_a_measure_leaves_nothing_of_its_epoch(failing, monkeypatch):
    watched = watch(failing, data=data(), estimators="binning=0.3", measures=["efficiency"])
    watched.step()
    before = watched.tables
    record = EfficiencyRecorder.record

    def late(self, epoch, group, due):
        record(self, epoch, group, due)
        raise RuntimeError("too late")

    monkeypatch.setattr(EfficiencyRecorder, "record", late)
    with pytest.raises(RuntimeError, match="too late"):
        watched.step(check=True)

    after = watched.tables
    assert (
        {"information_measures_full", "efficiency", "trust_full"} == before.keys() == after.keys()
    )
    for name, table in before.items():
        # training goes on: its accuracy is that of the epoch
        kept = [
            of[of["check"] != "accuracy"] if "check" in of else of for of in (table, after[name])
        ]
        pd.testing.assert_frame_equal(*kept)


def test_an_error_of_a_layer_names_it(failing):
    def choosy(outputs):
        raise ValueError("not these")

    watched = watch(failing, data=data(), representation={"3": choosy})

    with pytest.raises(ValueError, match="not these") as raised:
        watched.step()

    assert raised.value.__notes__ == ["It was layer 3."]


def test_training_may_go_on_after_an_error(failing, caplog):
    watched = watch(failing, data=data(), strict=False)
    failing[2].broken = True
    watched.step()
    failing[2].broken = False
    watched.step()

    assert watched.table["epoch"].unique().tolist() == [1]
    assert "Epoch 0 was not measured: RuntimeError: out of order" in caplog.text


def test_a_layer_that_changes_is_named():
    class Growing(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.times = nn.Linear(4, 2), 1

        def forward(self, x):
            return self.fc(torch.cat([x] * self.times))

    model = Growing()
    watched = watch(model, data=data())
    model.times = 2

    with pytest.raises(ConfigError, match=r"fc gives \(100, 2\) for 50 examples of this data"):
        watched.step()
