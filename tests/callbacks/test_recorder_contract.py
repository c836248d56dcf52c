"""What holds for the numbers of every recorder, whatever it measures.

A run's numbers are its own: they depend on no other run, not on the order of the examples, not on
how often all of them are there, and where a run has diverged it alone is NaN. Each module of
callbacks that measures when the schedule says is found, so that a new one is held to this without
being named here. What it cannot promise, for a reason of its own, stands in one of the sets below.
"""

import importlib
import inspect
import pkgutil

import keras
import numpy as np
import pytest
from keras import layers
from notes import Notes, diverge

from deep_bottleneck import callbacks
from deep_bottleneck.interfaces import Dataset, LabelledDataset
from deep_bottleneck.training.batches import Batches
from deep_bottleneck.training.sequential import SequentialGroup

BATCH = 10
CONFIG = {"seed": 0, "batch_size": BATCH, "steps_per_epoch": None, "epochs": 1, "n_runs": 1}
FASTER = {"samples": 400, "in_bins": 3, "out_bins": 3}
# which examples share a batch is another draw of the noise
OF_BATCHES = {"gradient_noise", "gradient_logger"}
OF_EACH_EXAMPLE = {"activity_logger"}
# a range, or a size
BY_SCALE = {"effective_information", "activity_logger", *OF_BATCHES}


def measuring():
    """The modules of callbacks that measure when the schedule says, by name."""
    for info in pkgutil.iter_modules(callbacks.__path__):
        module = importlib.import_module(f"{callbacks.__name__}.{info.name}")
        if "schedule" in inspect.signature(getattr(module, "load", list)).parameters:
            yield info.name, module


MEASURES = dict(measuring())


class Written(Notes):
    """Keeps tables, and what is written into an activation store, by run."""

    def __init__(self):
        super().__init__()
        self.of_runs = {}

    def write_gradients(self, epoch, runs, norms):
        self._write(runs, norms.values())

    def write_activations(self, epoch, runs, activations):
        self._write(runs, [layer for part in activations.values() for layer in part])

    def _write(self, runs, layers):
        for row, run in enumerate(runs):
            self.of_runs[run] = np.concatenate([np.ravel(layer[row]) for layer in layers])

    def by_run(self):
        """All numbers that were measured of each run."""
        for table in self.tables.values():
            numbers = table.select_dtypes("number").drop(columns=["run", "epoch", "layer"])
            for run, of_run in numbers.groupby(table["run"]):
                self.of_runs[run] = of_run.to_numpy().ravel()
        return [self.of_runs[run] for run in sorted(self.of_runs)]


class Together:
    """Networks as one group of runs."""

    def __init__(self, models, dataset):
        batches = Batches(len(dataset.train), BATCH, None, 0)
        self._alone = [SequentialGroup(model, 0, dataset, batches) for model in models]
        self.models, self.runs = models, list(range(len(models)))
        self.layer_outputs = self._alone[0].layer_outputs

    def example(self, row):
        return self._alone[row].example(0)

    def layers(self, row):
        return self._alone[row].layers(0)

    def outputs(self, examples):
        return self._joined(group.outputs(examples) for group in self._alone)

    def kernels(self):
        return self._joined(group.kernels() for group in self._alone)

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
    """Makes a recorder's numbers of some networks, by run."""
    module = MEASURES[request.param]

    def measured(*models, dataset=None):
        dataset, notes = dataset or data(), Written()
        places = dict.fromkeys(["run", "tables", "writer"], notes)
        known = {**CONFIG, **FASTER, **places, "dataset": dataset, "schedule": lambda epoch: True}
        wanted = inspect.signature(module.load).parameters.keys() & known.keys()
        recorder = module.load(**{name: known[name] for name in wanted})
        group, stopping = Together(list(models), dataset), np.zeros(len(models), bool)
        recorder.on_group_epoch_end(0, group, {}, stopping)
        recorder.on_train_end()
        return notes.by_run()

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


@of(MEASURES.keys() - OF_BATCHES - OF_EACH_EXAMPLE)
def test_the_order_of_examples_does_not_matter(measured):
    shuffled = np.random.default_rng(2).permutation(60)

    np.testing.assert_array_equal(
        measured(network(0), dataset=data(shuffled))[0], measured(network(0))[0]
    )


@of(MEASURES.keys() - OF_BATCHES - OF_EACH_EXAMPLE)
def test_copies_of_all_examples_change_nothing(measured):
    three_times = np.tile(np.arange(60), 3)

    np.testing.assert_allclose(
        measured(network(0), dataset=data(three_times))[0], measured(network(0))[0], rtol=1e-9
    )


@of(MEASURES.keys() - BY_SCALE)
def test_where_scale_says_nothing_it_does_not_matter(measured):
    np.testing.assert_allclose(
        measured(network(0, gain=1000))[0], measured(network(0))[0], rtol=1e-4, atol=1e-9
    )
