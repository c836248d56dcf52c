"""What holds for the numbers of every estimator, whatever its method.

Each module with a `load` is found, so that a new one is held to this without being named here. What
it cannot promise, for a reason of its own, stands in one of the sets below.
"""

import numpy as np
import pytest
import torch
from known_estimators import MODULES, loaded, name_of
from recordings import Recording

from deep_bottleneck.errors import EstimationError
from deep_bottleneck.measuring.estimation import estimate

N_EXAMPLES = 120
# The width of the kernel is in the units of the inputs, as "absolute" says.
IN_UNITS_OF_THE_INPUTS = {"renyi"}
# The width of a hash's cells follows the number of examples.
RESOLVES_MORE_OF_MORE_EXAMPLES = {"edge", "edge_published"}
# Values that repeat have no density.
NEEDS_A_DENSITY = {"kraskov"}
MEASURES = ["MI_XM", "MI_YM"]
EXACT = 1e-9


class Silent:
    def advance(self, steps=1, **values):
        pass


def network(seed, examples):
    """A layer of relus of examples, and one of them, before and after a training."""
    generator = np.random.default_rng(seed)
    first = generator.standard_normal((examples.shape[1], 4))
    second = generator.standard_normal((4, 3))
    layers = {}
    for epoch, gain in ((0, 1.0), (7, 3.0)):
        hidden = np.maximum(gain * examples @ first, 0.05 * examples @ first)
        readout = np.maximum(hidden @ second, 0.05 * hidden @ second)
        layers[epoch] = [values.astype(np.float32) for values in (hidden, readout)]
    return layers


def together(*runs):
    return {
        epoch: [np.stack(values) for values in zip(*(run[epoch] for run in runs), strict=True)]
        for epoch in runs[0]
    }


@pytest.fixture
def examples():
    return np.random.default_rng(5).standard_normal((N_EXAMPLES, 3)).astype(np.float32)


@pytest.fixture
def labels(examples):
    return (examples.sum(axis=1) > 0).astype(np.int64) + (examples[:, 0] > 1)


@pytest.fixture(params=MODULES, ids=name_of)
def table(request, examples, labels):
    """Makes the estimator's table of some runs, by run, epoch and layer."""

    def table(layers, examples=examples, labels=labels, runs=None):
        recording = Recording(layers, labels, examples, runs or {})
        made = estimate(loaded(request.param), recording, "train", Silent())
        return made.set_index(["run", "epoch", "layer"]).sort_index()

    table.name = name_of(request.param)
    return table


def assert_same(found, expected, tolerance=EXACT):
    for measure, error in (("MI_XM", "error_XM"), ("MI_YM", "error_YM")):
        # what is drawn at random may differ by its standard errors, which are drawn as well
        allowed = max(tolerance, 4 * expected[error].fillna(0).max())
        both = found[measure].to_numpy(), expected[measure].to_numpy()
        np.testing.assert_array_equal(*map(np.isnan, both))
        difference = np.abs(both[0] - both[1])
        assert (np.isnan(difference) | (difference <= allowed)).all(), (measure, *both)


def diverged(layers):
    """The same run, which becomes too large and then none at all."""
    early, late = layers.values()
    broken = [values.copy() for values in late]
    broken[0][0, 0] = np.nan
    broken[1][3, 1] = np.inf
    return dict(zip(layers, ([1e6 * values for values in early], broken), strict=True))


@pytest.mark.parametrize("others", ["another", "ten times as large", "diverged"])
@pytest.mark.parametrize("place", [0, 1])
def test_the_numbers_of_a_run_are_its_own(table, examples, others, place):
    run, other = network(0, examples), network(1, examples)
    if others == "ten times as large":
        other = {epoch: [10 * values for values in layers] for epoch, layers in other.items()}
    if others == "diverged":
        other = diverged(other)

    alone = table(together(run))
    beside = table(together(*((run, other) if place == 0 else (other, run))))

    assert alone[MEASURES].notna().any(axis=None)
    assert_same(beside.loc[[place]], alone.loc[[0]], tolerance=1e-6)
    assert (beside.loc[place, "ceiling"] == alone.loc[0, "ceiling"]).all()


def test_a_run_that_stops_early_leaves_the_others_theirs(table, examples):
    runs = [network(seed, examples) for seed in range(3)]
    whole, later = together(*runs), together(runs[0], runs[2])

    stopped = table({0: whole[0], 7: later[7]}, runs={7: [0, 2]})

    assert_same(stopped.loc[[0, 2]], table(whole).loc[[0, 2]], tolerance=1e-6)
    assert len(stopped.loc[1]) == 2


def test_the_order_of_examples_does_not_matter(table, examples, labels):
    layers = together(network(0, examples), network(1, examples))
    order = np.random.default_rng(1).permutation(N_EXAMPLES)
    shuffled = {epoch: [values[:, order] for values in each] for epoch, each in layers.items()}

    assert_same(table(shuffled, examples[order], labels[order]), table(layers), tolerance=1e-6)


@pytest.mark.parametrize("scale", [1000.0, 1e-3, np.array([1.0, 50.0, 0.02])])
def test_units_of_the_inputs_do_not_matter(table, examples, scale):
    layers = together(network(0, examples))

    found = table(layers, (examples * scale).astype(np.float32))

    if table.name in IN_UNITS_OF_THE_INPUTS:
        assert (found["MI_XM"] != table(layers)["MI_XM"]).any()
        assert_same(found.drop(columns="MI_XM").assign(MI_XM=0), table(layers).assign(MI_XM=0))
    else:
        assert_same(found, table(layers), tolerance=1e-3)


def test_of_repeated_inputs_nothing_tells_more_than_there_is(table, labels):
    """Eight patterns of three bits: H(X) by NumPy is below 3 bits, log2 120 is 6.9."""
    patterns = np.random.default_rng(3).integers(0, 2, (N_EXAMPLES, 3)).astype(np.float32)
    layers = together(network(0, patterns))

    found = table(layers, patterns, (patterns.sum(axis=1) > 1).astype(np.int64))

    _, counts = np.unique(patterns, axis=0, return_counts=True)
    entropy = -np.sum(counts / N_EXAMPLES * np.log2(counts / N_EXAMPLES))
    known = found.dropna(subset="MI_XM")
    assert (known["ceiling"] <= entropy + EXACT).all()
    assert (known["MI_XM"] <= known["ceiling"] + 1e-6 + 6 * known["error_XM"].fillna(0)).all()


@pytest.mark.parametrize("repeats", [2, 3])
def test_copies_of_all_examples_change_nothing(table, examples, labels, repeats):
    """How often each input occurs, in proportion, stays as it was."""
    layers = together(network(0, examples))
    copied = {
        epoch: [np.tile(values, (1, repeats, 1)) for values in each]
        for epoch, each in layers.items()
    }

    found = table(copied, np.tile(examples, (repeats, 1)), np.tile(labels, repeats))

    if table.name in RESOLVES_MORE_OF_MORE_EXAMPLES:
        assert (found["MI_XM"] <= found["ceiling"] + EXACT).all()
    elif table.name in NEEDS_A_DENSITY:
        assert found[MEASURES].isna().all(axis=None)
    else:
        assert_same(found, table(layers), tolerance=1e-6)


@pytest.mark.parametrize("module", MODULES, ids=name_of)
@pytest.mark.parametrize(
    "kind", [np.int64, np.int32, np.uint8, np.uint16, np.float16, np.float64, ">f4", bool]
)
def test_activations_of_any_number_type_are_those_numbers(module, kind, labels):
    whole = np.random.default_rng(2).integers(0, 2 if kind is bool else 60, (2, N_EXAMPLES, 2))

    assert_answers_alike(module, whole.astype(kind), whole.astype(np.float32), labels)


@pytest.mark.parametrize("module", MODULES, ids=name_of)
@pytest.mark.parametrize("view", ["every second", "backwards", "transposed", "read-only", "tensor"])
def test_arrays_may_lie_in_memory_as_they_like(module, view, labels):
    values = np.random.default_rng(2).standard_normal((2, 2 * N_EXAMPLES, 4)).astype(np.float32)
    read_only = values[:, :N_EXAMPLES].copy()
    read_only.flags.writeable = False
    seen = {
        "every second": values[:, ::2, ::2],
        "backwards": values[::-1, :N_EXAMPLES, ::-1],
        "transposed": values[:, :N_EXAMPLES].transpose(0, 2, 1).copy().transpose(0, 2, 1),
        "read-only": read_only,
        "tensor": torch.from_numpy(values)[:, ::2],
    }[view]

    assert_answers_alike(module, seen, np.ascontiguousarray(seen), labels)


def assert_answers_alike(module, activations, expected, labels):
    """An estimator says the same of both, or the same sentence."""
    inputs = np.random.default_rng(4).standard_normal((N_EXAMPLES, 2)).astype(np.float32)
    answers = []
    for values in (activations, expected):
        fitted = loaded(module).fitted(Recording({0: [np.asarray(values)]}, labels, inputs))
        try:
            found = fitted.for_layer(0).estimate(values, labels)
            answers.append([found.mi_xm.tolist(), found.mi_ym.tolist(), found.reasons])
        except EstimationError as error:
            answers.append([str(error)])
    assert str(answers[0]) == str(answers[1])


@pytest.mark.parametrize("module", MODULES, ids=name_of)
@pytest.mark.parametrize(
    ("activations", "sentence"),
    [
        (np.array([[["a"], ["b"]]]), "numbers that PyTorch has a type for, got an array of <U1"),
        (np.ones((1, N_EXAMPLES, 2), complex), "real numbers, got an array of torch.complex128"),
        (np.ones((N_EXAMPLES, 2), np.float32), r"shape \(runs, n_examples, n_units\)"),
        (np.ones((1, 0, 2), np.float32), "at least one run and example"),
    ],
)
def test_what_are_no_activations_is_one_sentence(module, activations, sentence, labels):
    inputs = np.zeros((N_EXAMPLES, 2), np.float32)
    estimator = loaded(module).fitted(Recording({}, labels, inputs))

    with pytest.raises(EstimationError, match=sentence):
        estimator.estimate(activations, labels)


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_labels_of_other_examples_are_one_sentence(module, examples, labels):
    layer = together(network(0, examples))[0][0]
    fitted = loaded(module).fitted(Recording({0: [layer]}, labels, examples))
    estimator = fitted.for_layer(0)

    try:
        found = estimator.estimate(layer, labels[:-1])
    except EstimationError as error:
        said = str(error)
    else:
        assert np.isnan(found.mi_ym).all()
        said = " ".join(found.reasons)
    assert f"expected one label for each of {N_EXAMPLES} examples" in said
