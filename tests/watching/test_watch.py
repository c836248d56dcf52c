"""A watch from the beginning to the end."""

import logging

import numpy as np
import pytest
import torch
from torch import nn

import deep_bottleneck
from deep_bottleneck import watch
from deep_bottleneck.errors import ConfigError


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(80, 4, generator=generator)
    return x, (x.sum(1) > 0).long()


def train(model, data):
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    x, y = data
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()


def test_the_table_has_a_row_for_each_run_epoch_and_layer(data):
    models = [network(0), network(1)]
    watched = watch(models, data=data, estimators="binning=0.5")

    for _ in range(3):
        for model in models:
            train(model, data)
        watched.step()

    table = watched.table
    assert table[["run", "epoch", "layer"]].to_numpy().tolist() == [
        [run, epoch, layer] for run in range(2) for epoch in range(3) for layer in range(2)
    ]
    assert (table["estimator"], table["representation"])[0].eq("binning").all()
    alone = watch(network(1), data=data, estimators="binning=0.5")
    alone.step()
    models[1].load_state_dict(network(1).state_dict())
    watched.step()
    last = watched.table.query("run == 1 and epoch == 3")["MI_XM"].tolist()
    assert last == alone.table["MI_XM"].tolist()


def test_several_estimators_have_a_table_each(data):
    watched = watch(network(), data=data, estimators=["binning=0.5", "upper=0.1"])
    watched.step()

    assert watched.table["module"].unique().tolist() == ["binning", "upper"]
    assert watched.table["discretization_range"].unique().tolist() == [0.5, 0.1]


def test_without_labels_there_is_information_about_the_input_alone(data):
    labelled, unlabelled = watch(network(), data=data), watch(network(), data=data[0])
    labelled.step()
    unlabelled.step(check=True)

    np.testing.assert_allclose(unlabelled.table["MI_XM"], labelled.table["MI_XM"], rtol=1e-12)
    assert unlabelled.table["MI_YM"].isna().all()
    assert "MI_YM" not in unlabelled.trust()["measure"].unique()
    assert hasattr(unlabelled.plot(), "savefig")


def test_every_so_many_epochs(data):
    models = [network() for _ in range(3)]
    watches = [
        watch(model, data=data, every=every)
        for model, every in zip(models, (20, "log", lambda epoch: epoch == 7), strict=True)
    ]
    for watched in watches:
        for _ in range(61):
            watched.step()

    measured = [watched.table["epoch"].unique().tolist() for watched in watches]
    assert measured == [[0, 20, 40, 60], [*range(50), *range(50, 61, 2)], [7]]


def test_epochs_may_be_counted_by_hand(data):
    watched = watch(network(), data=data)
    watched.step(epoch=10)
    watched.step()

    assert watched.table["epoch"].unique().tolist() == [10, 11]
    with pytest.raises(ConfigError, match=r"^epoch 11 does not come after epoch 11"):
        watched.step(epoch=11)


def test_what_training_says_is_kept_beside(data):
    watched = watch([network(0), network(1)], data=data, measures=["efficiency"])
    watched.step(val_accuracy=[0.5, 0.75], accuracy=1)

    efficiency = watched.tables["efficiency"]
    assert efficiency.groupby("run")["accuracy"].first().tolist() == [0.5, 0.75]
    accuracy = watched.trust().query("check == 'accuracy'").set_index("measure")["value"]
    assert accuracy.to_dict() == {"train": 1, "test": 0.625}


@pytest.mark.parametrize(
    "kind", ["informationplane", "mi_over_epochs", "trust", "efficiency", "similarity"]
)
def test_plotters_of_the_experiment_draw(kind, data):
    watched = watch(network(), data=data, measures=["efficiency", "similarity"])
    for _ in range(2):
        watched.step()

    assert hasattr(watched.plot(kind), "savefig")


def test_of_several_drawings_each_can_be_had(data, caplog):
    watched = watch(network(), data=data, estimators=["binning=0.5", "upper=0.1"])
    watched.step()

    with caplog.at_level(logging.INFO):
        first = watched.plot()
    second = watched.plot(name="infoplane_upper_full")

    assert "There are also infoplane_upper_full" in caplog.text
    assert first.axes[0].get_title() != second.axes[0].get_title()


def test_trust_tells_of_checked_epochs(data):
    watched = watch(network(), data=data)
    for _ in range(6):
        watched.step()
    told = watched.trust().query("check == 'labels shuffled'")["epoch"]
    assert told.unique().tolist() == [0, 1, 3]

    watched.step(check=True)

    assert watched.trust().query("check == 'parameter doubled'")["epoch"].max() == 6


def test_a_mean_over_positions_is_that_of_each_channel():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(108, 2))
    x = torch.randn(50, 1, 8, 8)
    by_hand = model[0](x).mean((2, 3)).detach()
    whole = watch(model, data=x, representation="mean", estimators="binning=0.1")
    expected = watch(nn.Sequential(nn.Linear(3, 3)), data=by_hand, layers=["0"])
    seen = {}
    of_function = watch(
        model,
        data=x,
        representation={"0": lambda outputs: seen.setdefault("it", outputs)[:, :, 0, 0]},
    )

    whole.step()
    of_function.step()

    from deep_bottleneck.mi_estimator import binning

    information = binning.load(0.1).estimate(by_hand[None], np.zeros(50, np.int64))
    assert whole.table["MI_XM"][0] == pytest.approx(information.mi_xm[0], abs=0.05)
    assert whole.layers["representation"].tolist() == ["mean", "mean"]
    assert seen["it"].shape == (50, 3, 6, 6)
    assert expected.layers["n_units"].tolist() == [3]


def test_padded_positions_do_not_count():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 3))
    tokens, mask = torch.randint(1, 9, (40, 6)), torch.ones(40, 6)
    mask[:, 4:] = 0
    padded = tokens.clone()
    padded[:, 4:] = 0
    watches = [
        watch(model, data=x, mask=mask, representation=kind, estimators="binning=0.2")
        for kind in ("mean", "flatten")
        for x in (tokens, padded)
    ]

    for watched in watches:
        watched.step()

    values = [watched.table["MI_XM"].tolist() for watched in watches]
    assert values[0] == values[1]
    assert values[2] == values[3]


def test_flattened_layers_at_their_ceiling_are_named(caplog):
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(108, 2))

    watch(model, data=torch.randn(50, 1, 8, 8), estimators="binning=0.01").step()

    assert "Flattened, 0 are at the ceiling of 5.64 bits" in caplog.text
    assert 'representation="mean"' in caplog.text


def test_a_state_goes_on_in_another_watch(data, tmp_path):
    def begun():
        return watch(
            network(), data=data, estimators=["binning=0.5", "upper=0.1"],
            measures=["efficiency", "similarity"],
        )  # fmt: skip

    one, other = begun(), begun()
    for _ in range(3):
        one.step(accuracy=0.5)
    torch.save(one.state_dict(), tmp_path / "state.pt")

    other.load_state_dict(torch.load(tmp_path / "state.pt"))
    one.step()
    other.step()

    assert other.table.equals(one.table)
    assert other.trust().equals(one.trust())
    assert other.tables["efficiency"].equals(one.tables["efficiency"])
    assert hasattr(other.plot("similarity"), "savefig")


def test_a_state_of_other_layers_is_refused(data):
    state = watch(network(), data=data, layers="0").state_dict()

    with pytest.raises(ConfigError, match=r"layers \['0'\], not \['0', '2'\]"):
        watch(network(), data=data).load_state_dict(state)


def test_gradient_noise_is_had_of_a_loss(data):
    watched = watch(
        network(), data=data, measures=["gradient_noise"], batch_size=20,
        loss=nn.functional.cross_entropy,
    )  # fmt: skip
    watched.step()

    table = watched.tables["gradient_noise"].set_index(["name", "measure"])["value"]
    assert table["total", "noise"] > 0
    assert table["total", "noise"] == pytest.approx(table["0", "noise"] + table["2", "noise"])


def test_the_package_says_what_it_lacks():
    with pytest.raises(AttributeError, match="has no attribute 'wach'"):
        deep_bottleneck.wach  # noqa: B018


MISTAKES = {
    "layer": ({"layers": ["O"]}, r"^layers: the network has no layer 'O'; there are '0', '1', '2'"),
    "meant": ({"layers": ["22"]}, r"the network has no layer '22'; did you mean '2'\?"),
    "pattern": ({"layers": "conv*"}, r"the pattern 'conv\*' fits no layer"),
    "type": ({"layers": nn.Conv2d}, r"the network has no Conv2d; its layers are Linear,"),
    "module": ({"layers": [nn.Linear(2, 2)]}, r"^layers: Linear is no layer of the network"),
    "none": ({"layers": []}, r"^layers names no layer"),
    "estimator": ({"estimators": "bining=0.5"}, r"did you mean mi_estimator.binning\?"),
    "parameter": ({"estimators": "binning=wide"}, r"^estimators has 'binning=wide', should be"),
    "measure": ({"measures": ["efficienzy"]}, r"did you mean callbacks.efficiency\?"),
    "representation": ({"representation": "median"}, r"^representation is 'median' for 0, should"),
    "of no layer": (
        {"representation": {"5": "mean"}},
        r"^representation: the network has no layer",
    ),
    "axis": ({"channel_axis": {"0": 3}}, r"^channel_axis is 3 for 0, whose outputs"),
    "every": ({"every": 0}, r"^every is 0, should be a whole number above 0"),
    "examples": ({"max_examples": -1}, r"^max_examples is -1, should be a whole number above 0"),
    "batch": ({"batch_size": 2.5}, r"^batch_size is 2.5, should be"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(mistake, data):
    options, said = MISTAKES[mistake]

    with pytest.raises(ConfigError, match=said) as raised:
        watch(network(), data=data, **options)

    assert "\n" not in str(raised.value)


def test_other_mistakes_are_one_sentence_too(data):
    with pytest.raises(ConfigError, match=r"^watch was given a str, should be a torch.nn.Module"):
        watch("model", data=data)
    with pytest.raises(ConfigError, match=r"^watch was given an empty list"):
        watch([], data=data)
    with pytest.raises(ConfigError, match="one architecture, but network 1 has"):
        watch([network(), nn.Sequential(nn.Linear(4, 2))], data=data)
    watched = watch(network(), data=data)
    with pytest.raises(ConfigError, match="nothing was measured yet"):
        watched.plot()
    watched.step()
    with pytest.raises(ConfigError, match=r'^plot\("efficiency"\) needs measures=\["efficiency"\]'):
        watched.plot("efficiency")
    with pytest.raises(ConfigError, match=r'^plot\("similarity"\) needs measures'):
        watched.plot("similarity")
    with pytest.raises(ConfigError, match=r"draws infoplane_full, and no 'plane'"):
        watched.plot(name="plane")
    with pytest.raises(ConfigError, match=r"^accuracy of a step is 'good', should be a number"):
        watched.step(accuracy="good")
    watched.close()
    with pytest.raises(ConfigError, match=r"^the watch is closed"):
        watched.step()
