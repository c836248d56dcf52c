"""What the functions of the deep-ei interface return."""

from typing import Any

import numpy as np
import torch

from deep_bottleneck.causal.injection.edges import EdgeInformation

Matrix = np.ndarray[Any, np.dtype[np.float64]]
Value = float | tuple[float, float]
MatrixValue = Matrix | tuple[Matrix, Matrix]

# for the delete-a-group jackknife: enough for a standard error good to a quarter
GROUPS = 10


def as_value(total: torch.Tensor, error: torch.Tensor, return_error: bool) -> Value:
    """The estimate in bits, and its standard error if asked for."""
    return (float(total), float(error)) if return_error else float(total)


def as_matrix(information: EdgeInformation, return_error: bool) -> MatrixValue:
    """The estimates of a single run in bits, and their standard errors if asked for."""
    matrix: Matrix = information.matrix[0].cpu().numpy()
    if not return_error:
        return matrix
    return matrix, information.matrix_error[0].cpu().numpy()
