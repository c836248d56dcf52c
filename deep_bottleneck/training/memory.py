"""How many runs fit into the memory of a device at a time, by an estimate that is stated here.

Of a run, with P trainable weights, S numbers of state (the weights, the others such as moving
averages, and what the optimizer keeps of them), U outputs of all layers for an example, D numbers
of an example and its label, B examples in a batch and N examples that are looked at in one go::

    bytes = 4 x (3 S + 3 P + 4 B (U + D) + 3 N U) + 8 x (2 E)

The state is there twice while a step replaces it, and as it was before the epoch, which somebody
may look at meanwhile; gradients and what the optimizer makes of them take three vectors of weights;
a step keeps the outputs of a batch and their gradients, with as much again for what lies between;
recording, and the test at the end of an epoch, hold the outputs of the N training and test examples
while an estimator works on as much again. E is the examples of an epoch, whose order is there for
this one and the next. The data themselves are there once for all runs.
"""

from collections.abc import Sequence

import keras
import numpy as np
import torch

from deep_bottleneck.interfaces import Dataset
from deep_bottleneck.training.batches import Batches

_FLOAT, _INDEX = 4, 8
# The rest is for what frameworks need themselves, and for the estimators' tiles.
SHARE_OF_FREE = 0.7


def bytes_per_run(model: keras.Model, dataset: Dataset, batches: Batches) -> int:
    """The estimate for one run.

    Args:
        model: a compiled model.
        dataset: what it trains and is tested on.
        batches: how many examples it sees in a step and an epoch.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    weights = _numbers(model.trainable_variables)
    others = _numbers(model.non_trainable_variables)
    state = weights + others + _numbers(model.optimizer.variables)
    outputs = sum(int(np.prod(layer.output.shape[1:])) for layer in model.layers)
    example = dataset.input_size + dataset.n_classes
    recorded = len(dataset.train) + len(dataset.test)
    step = 4 * batches.batch_size * (outputs + example)
    epoch = batches.slices[-1].stop
    floats = 3 * state + 3 * weights + step + 3 * recorded * outputs
    return _FLOAT * floats + _INDEX * 2 * epoch


def bytes_of_data(dataset: Dataset) -> int:
    """What the examples and labels take on the device, for all runs together."""
    parts = (dataset.train, dataset.test)
    return sum(part.examples.nbytes + part.one_hot_labels.nbytes for part in parts)


def budget(device: torch.device) -> int | None:
    """Bytes to use: most of what is free on a CUDA device now; None, for no limit, on a CPU."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return int(SHARE_OF_FREE * free)


def runs_at_a_time(
    models: Sequence[keras.Model], dataset: Dataset, batches: Batches, bytes_to_use: int | None
) -> int:
    """How many of the runs may train together, at least one.

    Args:
        models: one compiled model for each run, all of one architecture.
        dataset: what they train and are tested on.
        batches: how many examples a run sees in a step and an epoch.
        bytes_to_use: what there is; None for no limit.
    """
    if bytes_to_use is None:
        return len(models)
    left = bytes_to_use - bytes_of_data(dataset)
    return max(1, left // bytes_per_run(models[0], dataset, batches))


def _numbers(variables: Sequence[keras.Variable]) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)
