"""Whatever goes into a checkpoint comes out of it: the same value, of the same type."""

import json
import math
import os
from collections import OrderedDict, deque

import keras
import numpy as np
import pandas as pd
import pytest
import torch

from deep_bottleneck.training.plain_values import NotPlainError, Packing, Unpacking, is_plain


def there_and_back(value):
    packing = Packing()
    node = json.loads(json.dumps(packing.node(value)))
    return Unpacking(packing.arrays).value(node)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1,
        -(2**63),
        -(10**40),
        0.1,
        -0.0,
        math.inf,
        "a\ud800\0ä",
        b"\0x",
        b"",
        [1, [2.5, None]],
        (1, ("x",)),
        {"a": 1, ("b", 2): [None], 3: {}},
        {"tuple": [1]},
        {1, "two"},
        frozenset({3}),
        deque([1, 2], maxlen=3),
        keras.ops.less,
        np.greater,
    ],
    ids=lambda value: str(type(value).__name__),
)
def test_values_of_python(value):
    back = there_and_back(value)

    assert type(back) is type(value)
    assert back == value
    assert str(back)[:100] == str(value)[:100]


def test_nan_is_nan():
    assert math.isnan(there_and_back(math.nan))


def test_a_deque_forgets_as_before():
    assert there_and_back(deque([1, 2], maxlen=2)).maxlen == 2


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.arange(6).reshape(2, 3).T,
        np.array(5.0),
        np.zeros((0, 3), np.float16),
        np.array([1, 2], ">i4"),
        np.array([1 + 2j]),
        np.array([True, False]),
        np.array(["a", "bb"]),
        np.zeros((0, 2), "U3"),
        np.array(["2020-01-01"], "M8[s]"),
        np.array([b"\0a"]),
        np.float32(0.1),
        np.int64(3),
        np.str_("text"),
    ],
    ids=lambda array: str(array.dtype),
)
def test_arrays_and_numbers_of_numpy(array):
    back = there_and_back([1, array, np.ones(3, array.dtype if array.dtype.kind == "f" else int)])

    assert type(back[1]) is type(array)
    assert back[1].dtype == array.dtype
    assert back[1].shape == array.shape
    assert back[1].tobytes() == array.tobytes()


def test_arrays_of_objects():
    back = there_and_back(np.array([None, "x", 2.5], dtype=object))

    assert back.dtype == object
    assert back.tolist() == [None, "x", 2.5]


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor(3.0),
        torch.arange(6, dtype=torch.bfloat16).reshape(2, 3).T,
        torch.tensor([1 + 2j]).conj(),
        torch.tensor([True]),
        torch.zeros(0, 2),
    ],
    ids=lambda tensor: str(tensor.dtype),
)
def test_tensors(tensor):
    back = there_and_back(tensor)

    assert back.dtype == tensor.dtype
    assert torch.equal(back, tensor)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(
            {
                "text": ["x", None],
                "number": [1.5, np.nan],
                "time": pd.to_datetime(["2020", "2021"]),
                "any": pd.Series(["p", 1], dtype=object),
            }
        ),
        pd.DataFrame({"a": [1, 2]}, index=[7, 7]),
        pd.DataFrame([[1, "x"]], index=["row"]),
        pd.DataFrame([[1, 2]], columns=["same", "same"]),
        pd.DataFrame({"a": ["x"]}, dtype=object).rename_axis("i").rename_axis("c", axis=1),
        pd.DataFrame(),
        pd.DataFrame({"a": []}),
    ],
    ids=["kinds", "numbered", "named", "the same twice", "with names", "empty", "no rows"],
)
def test_data_frames(frame):
    pd.testing.assert_frame_equal(
        there_and_back(frame), frame, check_index_type=True, check_column_type=True
    )


@pytest.mark.parametrize(
    "value",
    [
        object(),
        lambda: 0,
        print,
        os.system,
        np.load,
        keras.saving.load_model,
        int,
        OrderedDict(a=1),
        [[object()]],
        {"a": {1: object()}},
        np.array([(1,)], dtype=[("a", int)]),
        np.array([object()]),
        torch.nn.Parameter(torch.ones(1)),
        torch.ones(2).to_sparse(),
        keras.Variable(1.0),
        pd.DataFrame({"a": pd.Categorical(["x"])}),
        pd.DataFrame({"a": [1]}, index=pd.to_datetime(["2020"])),
    ],
    ids=lambda value: str(type(value).__name__),
)
def test_all_else_is_not_plain(value):
    assert not is_plain(value)
    with pytest.raises(NotPlainError):
        Packing().node(value)


def test_a_list_that_holds_itself_is_not_plain():
    endless = []
    endless.append(endless)

    assert not is_plain(endless)


@pytest.mark.parametrize(
    "node",
    [
        {"function": "os.system"},
        {"function": "numpy.load"},
        {"function": "keras.ops.keras.saving.load_model"},
        {"object": "builtins.print"},
        {"tensor": ["load", [1], "cpu", ["u1", 0, 1]]},
        {"array": ["O", [1], ["u1", 0, 8]]},
        {"array": ["<f4", [2], ["<f4", 0, 2]]},
        {"array": ["<f4", [1000000], ["<f4", 0, 1]]},
        {"list": [1], "tuple": [1]},
        {},
    ],
    ids=str,
)
def test_nothing_else_is_made_of_json(node):
    arrays = {"u1": np.zeros(8, np.uint8), "<f4": np.ones(1, np.float32)}

    with pytest.raises((AttributeError, KeyError, TypeError, ValueError)):
        Unpacking(arrays).value(node)
