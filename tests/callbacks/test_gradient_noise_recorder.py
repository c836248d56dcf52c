import numpy as np
import pytest
import torch
from notes import Notes

from deep_bottleneck.callbacks import gradient_noise
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.gradient_noise import from_two_batch_sizes
from deep_bottleneck.interfaces import Dataset, LabelledDataset
from deep_bottleneck.training.ensemble import Ensemble
from deep_bottleneck.training.lockstep import obstacles


def train(models, dataset, epochs=1, batch_size=16, steps_per_epoch=None):
    notes = Notes()
    recorder = gradient_noise.load(
        notes, notes, dataset, lambda epoch: True, batch_size, steps_per_epoch
    )
    kept = Kept(recorder.record)
    recorder.record = kept
    Ensemble(models, seed=1).fit(dataset, epochs, batch_size, steps_per_epoch, recorders=[recorder])
    return notes, kept.gradients


class Kept:
    """Keeps the gradients of an epoch's batches, by layer of shape (runs, batches, weights)."""

    def __init__(self, record):
        self._record = record

    def __call__(self, epoch, group, due):
        batches = list(group.gradients(epoch))
        self.gradients = [np.stack(layer, axis=1) for layer in zip(*batches, strict=True)]
        self._record(epoch, group, due)


@pytest.mark.slow
@pytest.mark.parametrize("together", [True, False])
def test_values_are_those_of_the_library_on_the_batches_gradients(
    make_models, tiny_dataset, monkeypatch, together
):
    if not together:
        monkeypatch.setattr(obstacles, "obstacle", lambda models: "the test wants it")

    notes, gradients = train(make_models(1), tiny_dataset)

    # 50 examples make three full batches of 16
    small = {str(i): torch.from_numpy(layer[0, :3]) for i, layer in enumerate(gradients)}
    large = {name: batches.double().mean(dim=0) for name, batches in small.items()}
    expected = from_two_batch_sizes(small, large, 16, 48)
    found = notes.tables["gradient_noise"].set_index(["layer", "measure"])["value"]
    for layer, name in [(-1, "total"), (0, "0"), (1, "1"), (2, "2")]:
        assert found[layer, "noise"] == pytest.approx(expected[name].noise, rel=1e-4)
        assert found[layer, "signal"] == pytest.approx(expected[name].signal, rel=1e-3, abs=1e-7)


@pytest.mark.slow
def test_every_run_has_its_own_values(make_models, tiny_dataset):
    models = make_models(2)
    together, _ = train(models, tiny_dataset)

    table = together.tables["gradient_noise"]

    assert len(table) == 2 * 4 * 3
    noise = table[table["measure"] == "noise"].set_index(["layer", "run"])["value"]
    assert all(noise[layer, 0] != noise[layer, 1] for layer in range(-1, 3))


@pytest.mark.slow
def test_scale_is_noise_by_signal_or_nan_with_its_reason(make_models, tiny_dataset, caplog):
    notes, _ = train(make_models(4), tiny_dataset, epochs=12)

    wide = notes.tables["gradient_noise"].pivot_table(
        index=["run", "epoch", "layer"], columns="measure", values="value", dropna=False
    )
    known = wide["signal"] > 0
    np.testing.assert_allclose(wide["scale"][known], (wide["noise"] / wide["signal"])[known])
    assert wide["scale"][~known].isna().all()
    assert known.any()
    assert not known.all()
    assert any("by its unbiased estimate, not above 0" in text for text in caplog.messages)


def test_the_noise_is_the_variance_of_single_examples(make_models):
    """Of a linear readout, whose gradient at zero weights is known in closed form."""
    generator = np.random.default_rng(0)
    examples = generator.standard_normal((6_000, 4))
    labels = generator.integers(0, 2, 6_000)
    part = LabelledDataset.from_labels(examples, labels, n_classes=2)
    (model,) = make_models(1, architecture=[], learning_rate=1e-30)
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])

    notes, _ = train([model], Dataset(part, part, 2))

    # the gradient of an example is x (1/2 - y): of variance 1/4 for each of 8 weights
    found = notes.tables["gradient_noise"].set_index(["layer", "measure"])["value"]
    assert found[0, "noise"] == pytest.approx(2.0, rel=0.1)
    assert notes.metrics["gradient_noise.total.noise"][0] == found[-1, "noise"]


@pytest.mark.parametrize(("batch_size", "steps"), [(50, None), (26, None), (200, 3), (16, 1)])
def test_batches_that_cannot_be_compared_are_one_sentence(tiny_dataset, batch_size, steps):
    with pytest.raises(
        ConfigError, match=r"gradient_noise .* at least two full ones, but 50 train"
    ):
        gradient_noise.load(Notes(), Notes(), tiny_dataset, lambda epoch: True, batch_size, steps)
