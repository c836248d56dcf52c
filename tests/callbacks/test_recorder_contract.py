"""What holds for the numbers of every recorder, whatever it measures.

A run's numbers are its own: they depend on no other run, not on the order of the examples, and
where a run has diverged it alone is NaN.
"""

import keras
import numpy as np
import pytest
from keras import layers
from notes import Notes, diverge

from deep_bottleneck.callbacks import (
    effective_information,
    efficiency,
    gradient_noise,
    weight_graph_information,
)
from deep_bottleneck.interfaces import Dataset, LabelledDataset
from deep_bottleneck.training.batches import Batches
from deep_bottleneck.training.sequential import SequentialGroup

BATCH = 10
MEASURES = {
    "efficiency": (efficiency, {}),
    "effective information": (
        effective_information,
        {"seed": 0, "samples": 400, "in_bins": 3, "out_bins": 3},
    ),
    "weight graph": (weight_graph_information, {}),
    "gradient noise": (gradient_noise, {"batch_size": BATCH, "steps_per_epoch": None}),
}
IN_BATCHES = {"gradient noise"}  # which examples share one is another draw of the noise
BY_SCALE = {"effective information", "gradient noise"}  # a range, and a size


class Together:
    """Networks as one group of runs."""

    def __init__(self, models, dataset):
        batches = Batches(len(dataset.train), BATCH, None, 0)
        self._alone = [SequentialGroup(model, 0, dataset, batches) for model in models]
        self.models, self.runs = models, list(range(len(models)))
        self.layer_outputs = self._alone[0].layer_outputs

    def outputs(self, examples):
        return self._joined(group.outputs(examples) for group in self._alone)

    def gradients(self, epoch):
        for batch in zip(*(group.gradients(epoch) for group in self._alone), strict=True):
            yield self._joined(batch)

    def _joined(self, of_groups):
        return [np.concatenate(of_layer) for of_layer in zip(*of_groups, strict=True)]


def network(seed, gain=1.0):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, "relu", name="wide"),
            layers.Dense(3, "relu", name="narrow"),
            layers.Dense(2, "softmax", name="readout"),
        ]
    )
    model.compile("sgd", "categorical_crossentropy")
    for layer in model.layers:
        layer.kernel.assign(gain * keras.ops.convert_to_numpy(layer.kernel))
    return model


def data(order=slice(None)):
    examples = np.random.default_rng(1).standard_normal((60, 4)).astype(np.float32)[order]
    part = LabelledDataset.from_labels(examples, examples[:, 0] > 0, 2)
    return Dataset(part, part, 2)


@pytest.fixture
def measured(request):
    """Makes a recorder's numbers of some networks, by run and row of the table."""
    module, options = MEASURES[request.param]

    def measured(*models, dataset=None):
        dataset = dataset or data()
        notes = Notes()
        known = {"run": notes, "tables": notes, "dataset": dataset, "schedule": lambda epoch: True}
        wanted = module.load.__code__.co_varnames
        recorder = module.load(**{k: v for k, v in known.items() if k in wanted}, **options)
        recorder.on_group_epoch_end(
            0, Together(list(models), dataset), {}, np.zeros(len(models), bool)
        )
        recorder.on_train_end()
        (table,) = notes.tables.values()
        column = "efficiency" if "efficiency" in table else "value"
        return [of_run[column].to_numpy() for _, of_run in table.groupby("run")]

    return measured


def of(names):
    return pytest.mark.parametrize("measured", sorted(names), indirect=True)


@of(MEASURES)
@pytest.mark.filterwarnings("ignore::deep_bottleneck.errors.UnresolvedWarning")
def test_the_numbers_of_a_run_are_its_own(measured):
    broken = network(2)
    diverge(broken, layer=1)
    alone = measured(network(0))[0]

    beside = measured(network(0), network(1))
    among_broken = measured(broken, network(0), network(3))

    np.testing.assert_allclose(beside[0], alone, rtol=1e-6)
    np.testing.assert_allclose(among_broken[1], alone, rtol=1e-6)
    assert not np.array_equal(beside[1], alone, equal_nan=True)
    assert np.isnan(among_broken[0]).any()


# in batches, another order is another sample
@of(MEASURES.keys() - IN_BATCHES)
def test_the_order_of_examples_does_not_matter(measured):
    shuffled = np.random.default_rng(2).permutation(60)

    np.testing.assert_array_equal(
        measured(network(0), dataset=data(shuffled))[0], measured(network(0))[0]
    )


# the others are measured in a range, or have a size
@of(MEASURES.keys() - BY_SCALE)
def test_where_scale_says_nothing_it_does_not_matter(measured):
    np.testing.assert_allclose(
        measured(network(0, gain=1000))[0], measured(network(0))[0], rtol=1e-4, atol=1e-9
    )
