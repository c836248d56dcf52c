"""What estimators share that count states, such as the bins of all units.

The plug-ins are `mi_estimator.binning`, `mi_estimator.binning_global`,
`mi_estimator.binning_adaptive` and `mi_estimator.exact`.
"""

import math
from collections.abc import Callable

import torch

from deep_bottleneck.errors import ConfigError, EstimationError
from deep_bottleneck.information.arrays import as_layer
from deep_bottleneck.information.discrete import mutual_information, row_keys
from deep_bottleneck.interfaces import FloatArray, IntArray, LayerInformation
from deep_bottleneck.machine.threads import threads_for

# of more, their edges alone would fill the memory
MOST_BINS = 10**6


def information_of_states(
    activations: FloatArray, labels: IntArray, states: Callable[[torch.Tensor], torch.Tensor]
) -> LayerInformation:
    """Plug-in MI of a representation whose state is the states of all its units.

    The network is deterministic, so I(X;M) = H(M) and I(Y;M) = H(M) - H(M|Y) (Saxe et al. 2018,
    section 2).

    Args:
        activations: numbers, shape (runs, n_examples, n_units).
        labels: int64, shape (n_examples,).
        states: gives the state of each unit, int64 of the same shape, for activations as floats;
            a ValueError says why there is none.

    Raises:
        EstimationError: if there are no states, or the labels do not fit.
    """
    try:
        values = as_layer(activations)
        with threads_for(values.numel()):
            entropy, about_label = mutual_information(row_keys(states(values)), labels)
    except ValueError as error:
        raise EstimationError(str(error)) from error
    return LayerInformation(
        entropy.cpu().numpy(), about_label.cpu().numpy(), ceiling=math.log2(len(labels))
    )


def whole_number_of_bins(discretization_range: float) -> int:
    """The number of bins that a config asks for.

    Raises:
        ConfigError: if it is not a whole number of at least 2, or there would be too many.
    """
    number = float(discretization_range)
    if not number.is_integer() or not 2 <= number <= MOST_BINS:
        raise ConfigError(
            f'"discretization_range" is {discretization_range:g} but this estimator takes it as '
            "the number of bins, which should be a whole number of at least 2, such as 30, and of "
            f"at most {MOST_BINS}"
        )
    return int(discretization_range)
