import numpy as np
import scipy.io

from deep_bottleneck.datasets import harmonics, harmonics_zero_mean


def test_all_inputs_and_labels_equal_the_published_file(data_folder):
    published = scipy.io.loadmat(data_folder / "var_u.mat")

    np.testing.assert_array_equal(harmonics.patterns(), published["F"])
    np.testing.assert_array_equal(harmonics.labels(), published["y"].ravel())


def test_vertices_are_those_of_an_icosahedron():
    cosines = harmonics.vertices() @ harmonics.vertices().T

    np.testing.assert_allclose(np.diag(cosines), 1)
    neighbours = np.isclose(cosines, 1 / np.sqrt(5)).sum(axis=1)
    np.testing.assert_array_equal(neighbours, 5)


def test_share_of_label_1_by_number_of_active_inputs():
    active = harmonics.patterns().sum(axis=1)
    ones = [harmonics.labels()[active == k].sum() for k in range(7)]

    assert ones == [0, 0, 0, 0, 0, 60, 532]


def test_labels_are_the_same_from_every_side():
    """The label does not change under a rotation of the icosahedron, here by half a turn."""
    vertices = harmonics.vertices()
    turned = vertices * [-1, -1, 1]
    permutation = np.argmax(turned @ vertices.T, axis=1)
    numbers = (harmonics.patterns()[:, permutation] @ 2.0 ** np.arange(11, -1, -1)).astype(int)

    np.testing.assert_array_equal(harmonics.labels()[numbers], harmonics.labels())


def test_split_is_80_to_20_without_overlap_and_always_the_same():
    dataset, again = harmonics.load(), harmonics.load()
    rows = np.concatenate([dataset.train.examples, dataset.test.examples])

    assert (len(dataset.train), len(dataset.test)) == (3277, 819)
    assert len(np.unique(rows, axis=0)) == 4096
    np.testing.assert_array_equal(dataset.train.examples, again.train.examples)


def test_zero_mean_is_the_same_data_moved():
    dataset, moved = harmonics.load(), harmonics_zero_mean.load()

    np.testing.assert_array_equal(moved.train.examples, dataset.train.examples - 0.5)
    np.testing.assert_array_equal(moved.test.labels, dataset.test.labels)
    np.testing.assert_array_equal(moved.test.one_hot_labels.argmax(axis=1), moved.test.labels)
