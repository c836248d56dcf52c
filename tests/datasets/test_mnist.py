import keras
import numpy as np
import pytest

from deep_bottleneck.datasets import mnist
from deep_bottleneck.errors import DataError


@pytest.fixture
def offline(monkeypatch):
    """Keras' download, as it fails without a network."""

    def refuse(*args, **kwargs):
        raise Exception("URL fetch failure: no route to host")  # noqa: TRY002, as Keras does

    monkeypatch.setattr(keras.datasets.mnist, "load_data", refuse)


def images(n):
    return np.random.default_rng(0).integers(0, 256, (n, 28, 28), np.uint8)


def digits(n):
    return np.arange(n, dtype=np.uint8) % 10


def write(path, **changes):
    arrays = {
        "x_train": images(6),
        "y_train": digits(6),
        "x_test": images(3),
        "y_test": digits(3),
    }
    np.savez(path, **{**arrays, **changes})


def test_the_real_images_are_scaled_and_labelled(data_folder, monkeypatch, offline):
    if not (data_folder / "mnist.npz").exists():
        pytest.skip(f"there is no mnist.npz in {data_folder}")
    monkeypatch.setenv("DEEP_BOTTLENECK_DATA", str(data_folder))

    dataset = mnist.load()

    assert dataset.input_shape == (28, 28, 1)
    assert dataset.n_classes == 10
    assert dataset.train.examples.dtype == np.float32
    assert (dataset.train.examples.min(), dataset.train.examples.max()) == (-1, 1)
    with np.load(data_folder / "mnist.npz") as stored:
        np.testing.assert_array_equal(dataset.test.labels, stored["y_test"])
        restored = (dataset.test.examples[..., 0] + 1) * 127.5
        np.testing.assert_allclose(restored, stored["x_test"], atol=1e-3)


@pytest.mark.parametrize("folder", [None, "absent"])
def test_without_a_file_it_is_downloaded(tmp_path, monkeypatch, folder):
    if folder is None:
        monkeypatch.delenv("DEEP_BOTTLENECK_DATA", raising=False)
    else:
        monkeypatch.setenv("DEEP_BOTTLENECK_DATA", str(tmp_path / folder))
    monkeypatch.setattr(
        keras.datasets.mnist,
        "load_data",
        lambda: ((images(6), digits(6)), (images(3), digits(3))),
    )

    dataset = mnist.load()

    assert (len(dataset.train), len(dataset.test)) == (6, 3)


def test_neither_a_file_nor_a_network_is_one_sentence(tmp_path, monkeypatch, offline):
    monkeypatch.setenv("DEEP_BOTTLENECK_DATA", str(tmp_path))

    with pytest.raises(DataError, match=f"there is no {tmp_path}/mnist.npz: put mnist.npz with"):
        mnist.load()


def test_no_folder_named_says_how_to_name_one(monkeypatch, offline):
    monkeypatch.delenv("DEEP_BOTTLENECK_DATA", raising=False)

    with pytest.raises(DataError, match="DEEP_BOTTLENECK_DATA names no folder to look in"):
        mnist.load()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"x_train": images(6).reshape(6, 784)}, r"\(6, 784\) images"),
        ({"y_test": digits(4)}, r"\(4,\) labels do not go together"),
        ({"y_test": np.array([3, 10, 4])}, "a label is 10"),
    ],
)
def test_a_file_that_is_not_mnist_is_named(tmp_path, monkeypatch, offline, changes, reason):
    monkeypatch.setenv("DEEP_BOTTLENECK_DATA", str(tmp_path))
    write(tmp_path / "mnist.npz", **changes)

    with pytest.raises(DataError, match=f"mnist.npz is not MNIST in Keras' format.*{reason}"):
        mnist.load()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_named(tmp_path, monkeypatch, offline, content):
    monkeypatch.setenv("DEEP_BOTTLENECK_DATA", str(tmp_path))
    (tmp_path / "mnist.npz").write_bytes(content)

    with pytest.raises(DataError, match=r"mnist\.npz is not MNIST in Keras' format"):
        mnist.load()
