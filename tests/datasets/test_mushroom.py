from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from deep_bottleneck.datasets import mushroom
from deep_bottleneck.errors import DataError


def test_the_real_table_is_one_hot(data_folder, monkeypatch):
    if not (data_folder / "mushroom.csv").exists():
        pytest.skip(f"there is no mushroom.csv in {data_folder}")
    monkeypatch.setenv("DEEP_BOTTLENECK_DATA", str(data_folder))

    dataset = mushroom.load()

    examples = np.concatenate([dataset.train.examples, dataset.test.examples])
    labels = np.concatenate([dataset.train.labels, dataset.test.labels])
    assert examples.shape == (8124, 117)
    assert (len(dataset.train), dataset.n_classes) == (6499, 2)
    assert np.unique(examples).tolist() == [0, 1]
    np.testing.assert_array_equal(examples.sum(axis=1), 22)
    assert labels.sum() == 3916


def test_a_download_is_made_one_hot(monkeypatch):
    monkeypatch.delenv("DEEP_BOTTLENECK_DATA", raising=False)
    frame = pd.DataFrame(
        {"odor": ["a", "b", None, "a", "b"], "class": ["e", "p", "p", "e", "p"]}, dtype="category"
    )
    monkeypatch.setattr(mushroom, "fetch_openml", lambda *a, **k: SimpleNamespace(frame=frame))

    dataset = mushroom.load()

    assert dataset.input_size == 3
    examples = np.concatenate([dataset.train.examples, dataset.test.examples])
    assert sorted(examples.sum(axis=0)) == [1, 2, 2]
    np.testing.assert_array_equal(dataset.train.labels, 1 - (dataset.train.examples[:, 1] == 1))


def test_neither_a_file_nor_a_network_is_one_sentence(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setenv("DEEP_BOTTLENECK_DATA", str(tmp_path))
    monkeypatch.setattr(mushroom, "fetch_openml", refuse)

    with pytest.raises(
        DataError, match=r"no .*mushroom\.csv: put mushroom\.csv, a column of 0 and"
    ):
        mushroom.load()


@pytest.mark.parametrize(
    "content", ["class=e,odor=a\n1,0\n", "class=e,class=p,odor=a\n1,0,7\n", ""]
)
def test_a_file_that_is_no_such_table_is_named(content, tmp_path, monkeypatch):
    monkeypatch.setenv("DEEP_BOTTLENECK_DATA", str(tmp_path))
    (tmp_path / "mushroom.csv").write_text(content)

    with pytest.raises(DataError, match=r"mushroom\.csv is not the mushroom table"):
        mushroom.load()
