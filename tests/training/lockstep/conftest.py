"""Groups of compiled runs, and the same models trained by `model.fit` on the same batches."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras
import numpy as np
import pytest

from deep_bottleneck.interfaces import Dataset
from deep_bottleneck.training.batches import Batches
from deep_bottleneck.training.lockstep.compiled import TEST_BATCH, CompiledGroup
from deep_bottleneck.training.targets import targets

BATCH_SIZE = 16


@pytest.fixture(autouse=True, scope="session")
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let XLA keep what it compiles: many tests train the same networks."""
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("programs")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@pytest.fixture
def batches(tiny_dataset: Dataset) -> Batches:
    """Three batches of 16 and one of 2."""
    return Batches(len(tiny_dataset.train), BATCH_SIZE, None, seed=1)


@pytest.fixture
def group(tiny_dataset: Dataset, batches: Batches) -> Callable[..., "CompiledGroup"]:
    """Makes a group of models, as runs 0, 1, 2 and so on unless they are given."""

    def group(models: Sequence[keras.Model], runs: Sequence[int] | None = None) -> "CompiledGroup":
        numbers = range(len(models)) if runs is None else runs
        return CompiledGroup(models, list(numbers), tiny_dataset, batches)

    return group


@pytest.fixture
def model_fit(tiny_dataset: Dataset, batches: Batches) -> Callable[..., dict[str, list[float]]]:
    """Trains a model with `model.fit` on the batches of a run, and gives its history."""

    def model_fit(
        model: keras.Model, run: int, epochs: int, callbacks: Sequence[Any] = ()
    ) -> dict[str, list[float]]:
        train, test = tiny_dataset.train, tiny_dataset.test
        labels = targets(model, train)

        def stream():
            for epoch in range(epochs):
                order = batches.order(run, epoch)
                for batch in batches.slices:
                    yield train.examples[order[batch]], labels[order[batch]]

        history = model.fit(
            stream(),
            epochs=epochs,
            steps_per_epoch=len(batches.slices),
            validation_data=(test.examples, targets(model, test)),
            validation_batch_size=TEST_BATCH,
            callbacks=list(callbacks),
            shuffle=False,
            verbose=0,
        )
        return history.history

    return model_fit


@pytest.fixture
def values() -> Callable[[keras.Model], np.ndarray]:
    """All numbers of a model: its weights, its random generators, and its optimizer's variables."""

    def values(model: keras.Model) -> np.ndarray:
        variables = [*model.variables, *model.optimizer.variables]
        return np.concatenate([np.ravel(np.array(v.value, np.float64)) for v in variables])

    return values
