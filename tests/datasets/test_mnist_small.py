import numpy as np
import pytest

from deep_bottleneck.datasets import mnist, mnist_small


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Images of which the first has one bright block, the second is white."""
    pixels = np.zeros((10, 28, 28), np.uint8)
    pixels[0, :6, 11:17] = 255
    pixels[1] = 255
    digits = np.arange(10, dtype=np.uint8)
    np.savez(
        tmp_path / "mnist.npz", x_train=pixels, y_train=digits, x_test=pixels, y_test=digits[::-1]
    )
    monkeypatch.setenv("DEEP_BOTTLENECK_DATA", str(tmp_path))


def test_pixels_are_means_over_their_part_of_the_image(stored):
    train = mnist_small.load().train

    bright = train.examples[0].reshape(5, 5)
    assert bright[0, 2] == 1
    assert bright[1:].max() < 0.2
    assert bright.sum() == bright[:2].sum()
    np.testing.assert_array_equal(train.examples[1], np.ones(25))


def test_only_the_first_five_digits_are_left_in_mnists_own_split(stored):
    dataset = mnist_small.load()

    assert dataset.train.labels.tolist() == [0, 1, 2, 3, 4]
    assert dataset.test.labels.tolist() == [4, 3, 2, 1, 0]
    assert (dataset.input_shape, dataset.n_classes) == ((25,), 5)


def test_the_real_images(data_folder, monkeypatch):
    if not (data_folder / "mnist.npz").exists():
        pytest.skip(f"there is no mnist.npz in {data_folder}")
    monkeypatch.setenv("DEEP_BOTTLENECK_DATA", str(data_folder))

    dataset, whole = mnist_small.load(), mnist.load()

    assert len(dataset.test) == (whole.test.labels < 5).sum()
    assert 0 <= dataset.train.examples.min() < dataset.train.examples.max() <= 1
    brightness = (whole.test.examples[whole.test.labels < 5].mean(axis=(1, 2, 3)) + 1) / 2
    correlation = np.corrcoef(brightness, dataset.test.examples.mean(axis=1))[0, 1]
    assert correlation > 0.99
