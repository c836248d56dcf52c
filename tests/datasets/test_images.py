import keras
import numpy as np
import pytest

from deep_bottleneck.datasets import cifar10, fashion_mnist
from deep_bottleneck.errors import DataError


def arrays(shape, n=6, column=False):
    generator = np.random.default_rng(0)
    labels = np.arange(n, dtype=np.uint8) % 10
    pixels = generator.integers(0, 256, (n, *shape), np.uint8)
    return pixels, labels[:, None] if column else labels


@pytest.mark.parametrize(
    ("module", "shape", "input_shape"),
    [(fashion_mnist, (28, 28), (28, 28, 1)), (cifar10, (32, 32, 3), (32, 32, 3))],
)
@pytest.mark.parametrize("column", [False, True])
def test_a_local_file_is_scaled_and_labelled(
    module, shape, input_shape, column, tmp_path, monkeypatch
):
    name = module.__name__.rpartition(".")[2]
    pixels, labels = arrays(shape, column=column)
    path = tmp_path / f"{name}.npz"
    np.savez(path, x_train=pixels, y_train=labels, x_test=pixels[:3], y_test=labels[:3])
    monkeypatch.setenv("DEEP_BOTTLENECK_DATA", str(tmp_path))

    dataset = module.load()

    assert (dataset.input_shape, dataset.n_classes) == (input_shape, 10)
    assert dataset.train.labels.tolist() == [0, 1, 2, 3, 4, 5]
    restored = (dataset.test.examples.reshape(3, *shape) + 1) * 127.5
    np.testing.assert_allclose(restored, pixels[:3], atol=1e-3)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (fashion_mnist, keras.datasets.fashion_mnist),
        (cifar10, keras.datasets.cifar10),
    ],
)
def test_without_file_and_network_it_says_what_to_put_where(module, source, tmp_path, monkeypatch):
    def refuse():
        raise Exception("URL fetch failure on https://example.org/data")  # noqa: TRY002, as Keras

    monkeypatch.setenv("DEEP_BOTTLENECK_DATA", str(tmp_path))
    monkeypatch.setattr(source, "load_data", refuse)
    name = module.__name__.rpartition(".")[2]

    with pytest.raises(DataError) as error:
        module.load()

    assert f"there is no {tmp_path}/{name}.npz: put {name}.npz with" in str(error.value)
    assert "https://example.org/data" in str(error.value)


def test_a_file_of_other_images_is_named(tmp_path, monkeypatch):
    pixels, labels = arrays((28, 28))
    np.savez(tmp_path / "cifar10.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    monkeypatch.setenv("DEEP_BOTTLENECK_DATA", str(tmp_path))

    with pytest.raises(DataError, match=r"is not CIFAR-10 .* of shape \(n, 32, 32, 3\)"):
        cifar10.load()
