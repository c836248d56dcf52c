"""Data in whatever form users have it."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from deep_bottleneck.errors import DataError
from deep_bottleneck.watching.data import read_data

X = torch.arange(20.0).reshape(10, 2)
Y = torch.arange(10) % 3
FORMS = {
    "tensors": (X, Y),
    "arrays": (X.double().numpy(), Y.numpy()),
    "a column of labels": (X, Y[:, None]),
    "words": (X, np.array(["a", "b", "c"])[Y]),
    "a data set": TensorDataset(X, Y),
    "a loader": DataLoader(TensorDataset(X, Y), batch_size=3),
    "keywords": ({"x": X}, Y),
    "keywords with labels": {"x": X, "labels": Y},
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_give_the_same(form):
    data = read_data(FORMS[form])

    np.testing.assert_array_equal(data.examples.flat(), X)
    np.testing.assert_array_equal(data.labels, Y)
    assert data.n_classes == 3


def test_some_are_drawn_the_same_each_time():
    few = [read_data((X, Y)).few(4, seed) for seed in (0, 0, 1)]

    assert [len(data.labels) for data in few] == [4, 4, 4]
    np.testing.assert_array_equal(few[0].examples.flat(), few[1].examples.flat())
    assert not np.array_equal(few[0].examples.flat(), few[2].examples.flat())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ((X, Y[:5]), r"^labels have the shape \(5,\), should be one class for each of the 10"),
        ((X, X), r"^labels have the shape \(10, 2\)"),
        ((X, X[:, 0] / 3), r"^labels should be classes, got numbers such as 0.666667"),
        ((X, Y, Y), r"^data is a tuple of 3, should be inputs, or \(inputs, labels\)"),
        (((X, X[:4]), Y), r"^the inputs of data are of 4, 10 examples"),
        (X[:1], r"^data has 1 examples, and nothing can be said of fewer than 2"),
        ({}, r"^data has no inputs"),
        ([], r"^data is a list of 0"),
        (DataLoader(TensorDataset(X[:0])), r"^data gives no examples"),
        ((["a", "b"], [0, 1]), r"^data has a str where an array or a tensor should be"),
    ],
)
def test_what_does_not_fit_is_one_sentence(data, said):
    with pytest.raises(DataError, match=said):
        read_data(data)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        ("padding", r"^mask names 'padding', but the keyword inputs of data are x"),
        (torch.ones(3, 2), r"^mask has the shape \(3, 2\), should be \(10, positions\)"),
        (torch.zeros(10, 2), r"^mask leaves an example without any position"),
    ],
)
def test_a_mask_that_does_not_fit_is_one_sentence(mask, said):
    with pytest.raises(DataError, match=said):
        read_data({"x": X}, mask)
