"""Records the simple gradient noise scale, tr(Sigma) / |G|^2, of each layer and in total.

McCandlish et al. 2018, "An empirical model of large-batch training", eq. 2.9, by the unbiased
estimator of appendix A.1: small batches are those of training, the large one is all of them.
"""

import math
from itertools import islice

import numpy as np

from deep_bottleneck.callbacks.measures import WHOLE_NETWORK, MeasureRecorder, Values
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.gradient_noise import NoiseScale, from_squared_norms
from deep_bottleneck.interfaces import Dataset, FloatArray, IntArray, Record, RunGroup, TableRecord
from deep_bottleneck.training.schedule import Schedule

REFERENCES = ("mccandlish2018",)

TABLES = ("gradient_noise",)


def load(
    run: Record,
    tables: TableRecord,
    dataset: Dataset,
    schedule: Schedule,
    batch_size: int,
    steps_per_epoch: int | None,
) -> "GradientNoiseRecorder":
    """A recorder that leaves the table `gradient_noise` and logs its means as metrics.

    Args:
        run: where the metrics go.
        tables: where the table goes.
        dataset: whose training examples the gradients are of.
        schedule: the epochs to record.
        batch_size: examples in a batch.
        steps_per_epoch: batches in an epoch, None for one pass over the training examples.

    Raises:
        ConfigError: if a pass over the training examples has not two full batches.
    """
    n_batches = len(dataset.train) // batch_size
    n_batches = n_batches if steps_per_epoch is None else min(n_batches, steps_per_epoch)
    if n_batches < 2:
        raise ConfigError(
            '"callbacks": gradient_noise compares the batches of an epoch and needs at least two '
            f"full ones, but {len(dataset.train)} training examples in batches of {batch_size}"
            + (f" and {steps_per_epoch} steps" if steps_per_epoch else "")
            + f" make {n_batches}: choose a smaller batch_size"
        )
    return GradientNoiseRecorder(run, tables, schedule, batch_size, n_batches)


class GradientNoiseRecorder(MeasureRecorder):
    """Computes the gradients of an epoch's batches again, at the weights it ends with.

    Of the kernels' gradients. The measures are noise, tr(Sigma), signal, |G|^2, and scale, their
    ratio in examples; all layers together have the layer -1 and the name total. Noise and signal
    are unbiased and so may be negative where they are small; where the signal is not above 0 the
    scale is NaN, and the log says so.
    """

    def __init__(
        self, run: Record, tables: TableRecord, schedule: Schedule, batch_size: int, n_batches: int
    ) -> None:
        super().__init__(run, tables, schedule, "gradient_noise")
        self._batch_size = batch_size
        self._n_batches = n_batches

    def record(self, epoch: int, group: RunGroup, due: IntArray) -> None:
        """Measure every layer of the runs that are due."""
        sums: list[_Gradients] = [_Gradients() for _ in group.layer_outputs]
        for of_layers in islice(group.gradients(epoch), self._n_batches):
            for of_layer, gradient in zip(sums, of_layers, strict=True):
                of_layer.add(gradient[due])
        runs = [group.runs[row] for row in due]
        scales = [one.scales(self._batch_size, self._n_batches) for one in sums]
        totals = [_total(of_run) for of_run in zip(*scales, strict=True)]
        self._keep(epoch, runs, WHOLE_NETWORK, "total", totals)
        for index, (layer, of_runs) in enumerate(zip(group.layer_outputs, scales, strict=True)):
            self._keep(epoch, runs, index, layer.name, of_runs)

    def _keep(
        self, epoch: int, runs: list[int], layer: int, name: str, scales: list[NoiseScale]
    ) -> None:
        noise, signal = (
            np.array([getattr(scale, part) for scale in scales]) for part in ("noise", "signal")
        )
        known = signal > 0
        scale = np.full(len(scales), math.nan)
        scale[known] = noise[known] / signal[known]
        if not known.all():
            self.tell_once(
                layer,
                f"the scale of {name} is NaN at epoch {epoch}, perhaps at others too: |G|^2 is "
                f"{signal[~known][0]:.2g} by its unbiased estimate, not above 0",
            )
        self.keep(epoch, runs, layer, name, {"noise": noise, "signal": signal, "scale": scale})


class _Gradients:
    """What is needed of the gradients of a layer's kernel over batches."""

    def __init__(self) -> None:
        self._sum: Values | float = 0.0
        self._squared_norms: Values | float = 0.0

    def add(self, gradient: FloatArray) -> None:
        """Add the gradient over a batch, shape (runs, n_weights)."""
        exact = gradient.astype(np.float64)
        self._sum = self._sum + exact
        self._squared_norms = self._squared_norms + np.square(exact).sum(axis=1)

    def scales(self, batch_size: int, n_batches: int) -> list[NoiseScale]:
        """The noise scale of each run."""
        of_small = np.asarray(self._squared_norms) / n_batches
        of_large = np.square(np.asarray(self._sum) / n_batches).sum(axis=1)
        return [
            from_squared_norms(float(small), float(large), batch_size, batch_size * n_batches)
            for small, large in zip(of_small, of_large, strict=True)
        ]


def _total(scales: tuple[NoiseScale, ...]) -> NoiseScale:
    return NoiseScale(sum(scale.noise for scale in scales), sum(scale.signal for scale in scales))
