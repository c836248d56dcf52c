"""Recorders of the experiment measure networks of PyTorch as the library does by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from deep_bottleneck import watch
from deep_bottleneck.callbacks.effective_information import MEASURES
from deep_bottleneck.causal import channel_of, measures_of, topology_of, weight_graph

X = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(40) % 2
EI = ["callbacks.effective_information", [], {"samples": 500, "in_bins": 4, "out_bins": 4}]


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Dropout(), nn.Flatten(), nn.Linear(8, 3), nn.ReLU(),
        nn.Linear(3, 2),
    )  # fmt: skip


def values(watched, table, **where):
    found = watched.tables[table]
    for column, value in where.items():
        found = found[found[column] == value]
    return found["value"].to_numpy()


@pytest.mark.filterwarnings(
    "ignore::deep_bottleneck.errors.OutOfRangeWarning",
    "ignore::deep_bottleneck.errors.UnresolvedWarning",
)
def test_effective_information_is_that_of_the_library():
    models = [network(0), network(1)]
    watched = watch(models, data=(X, Y), measures=[EI])

    watched.step()

    (seed,) = np.random.SeedSequence(0, spawn_key=(1,)).generate_state(1)
    options = {"in_bins": 4, "out_bins": 4, "outside": "clip"}
    for run, model in enumerate(models):
        model.eval()
        topology = topology_of(model, X)
        for index, layer in enumerate([model[0], model[4], model[6]]):
            in_range = None if index else (float(X.min()), float(X.max()))
            channel = channel_of(layer, topology, in_range=in_range, **options)
            expected = measures_of(channel, 500, seed=int(seed))
            found = values(watched, "effective_information", run=run, layer=index)
            of_all = np.array([float(expected[name]) for name in MEASURES])
            if index < 2:  # its vectors have more states than samples can tell apart
                of_all[MEASURES.index("ei")] = np.nan
            np.testing.assert_allclose(found, of_all, atol=2e-3)


def test_the_weight_graph_is_that_of_the_library():
    model = network()
    watched = watch(model, data=(X, Y), measures=["weight_graph_information"])

    watched.step()

    shapes = weight_graph.get_shapes(model, X)
    parts = [shapes, *({layer: shapes[layer]} for layer in (model[0], model[4], model[6]))]
    for index, part in enumerate(parts, start=-1):
        expected = weight_graph.measures_of(model, shapes=part)
        found = values(watched, "weight_graph_information", layer=index)
        assert found.tolist() == [expected.ei, expected.determinism, expected.degeneracy]


@pytest.mark.parametrize("kind", ["causal_plane", "effective_information"])
def test_what_was_measured_is_drawn(kind):
    watched = watch(network(), data=(X, Y), measures=[EI])
    watched.step()

    assert watched.plot(kind).axes


class Reader(nn.Module):
    """Takes tokens by name, and has layers that noise cannot go into."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(7, 4)
        self.block = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True)
        self.readout = nn.Linear(4, 2)

    def forward(self, *, tokens):
        return self.readout(self.block(self.words(tokens)).mean(1))


def test_what_a_layer_cannot_give_is_nan_and_named(caplog):
    tokens = torch.randint(7, (40, 5), generator=torch.Generator().manual_seed(0))
    watched = watch(
        Reader(), data=({"tokens": tokens}, Y), measures=[EI, "weight_graph_information"]
    )

    watched.step()
    watched.step()

    table = watched.tables["effective_information"].query("measure == 'ei_parts'")
    assert table[table["value"].isna()]["name"].unique().tolist() == ["block.self_attn"]
    (told,) = [text for text in caplog.messages if "block.self_attn is NaN" in text]
    assert told.endswith("noise goes into single modules, and MultiheadAttention is made of others")
    assert watched.tables["weight_graph_information"]["value"].notna().all()


def test_noise_into_an_embedding_reaches_all_words():
    model = nn.Sequential(nn.Embedding(6, 3), nn.Flatten(), nn.Linear(6, 2))
    tokens = torch.randint(3, (40, 2), generator=torch.Generator().manual_seed(0))
    of_few, of_all = (
        watch(model, data=data, measures=[EI], layers="0") for data in (tokens, 2 * tokens + 1)
    )

    of_few.step()
    of_all.step()

    few, whole = (values(w, "effective_information") for w in (of_few, of_all))
    np.testing.assert_array_equal(few, whole)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.readout = nn.Linear(16, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.readout(self.hidden(x.flatten(1) / 255).tanh())


def test_a_range_that_is_not_known_is_told(caplog):
    watched = watch(Scaled(), data=(255 * X, Y), measures=[EI])

    watched.step()

    (told,) = [text for text in caplog.messages if "in a range that is not known" in text]
    assert "layer 0" in told


def test_a_loss_gets_the_labels_as_they_were_given():
    def noise(labels, loss, **options):
        watched = watch(
            network(), data=(X, labels), measures=["gradient_noise"], batch_size=10, loss=loss,
            **options,
        )  # fmt: skip
        watched.step()
        return values(watched, "gradient_noise", layer=-1, measure="noise")

    def of_classes(output, labels):
        seen.append(labels)
        return nn.functional.cross_entropy(output, (labels - 3) // 4)

    def of_numbers(output, labels):
        seen.append(labels)
        return (output[:, :1] - labels).square().mean()

    seen = []
    given, numbered = noise(4 * Y + 3, of_classes), noise(Y, nn.functional.cross_entropy)
    np.testing.assert_array_equal(given, numbered)
    assert seen[0].unique().tolist() == [3, 7]
    noise(Y.float()[:, None], of_numbers, max_examples=30)
    assert (seen[-1].dtype, seen[-1].shape) == (torch.float32, (10, 1))


def test_efficiency_takes_an_axis_by_name():
    efficiency = ["callbacks.efficiency", [], {"channel_axis": {"Conv2d": 1}}]
    watched = watch(network(), data=(X, Y), measures=[efficiency])

    watched.step()

    assert watched.tables["efficiency"]["name"].tolist() == ["0", "4"]
