import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deep_bottleneck.information import counting
from deep_bottleneck.information.counting import count_by_distances, count_closer


def by_definition(points, radii):
    apart = np.abs(points[:, None] - points).max(axis=2)
    return (apart < radii[:, None]).sum(axis=1)


def counted(points, radii):
    return count_closer(torch.from_numpy(points), torch.from_numpy(radii)).tolist()


@given(st.integers(1, 300), st.integers(1, 6), st.integers(0, 999), st.sampled_from([0.1, 1, 30]))
@settings(max_examples=80, deadline=None)
def test_counts_equal_their_definition(n_points, n_units, seed, scale):
    generator = np.random.default_rng(seed)
    points = generator.standard_normal((n_points, n_units))
    radii = scale * generator.random(n_points) + 1e-9

    assert counted(points, radii) == by_definition(points, radii).tolist()


@given(st.integers(2, 200), st.integers(1, 4), st.integers(0, 999), st.sampled_from([0, 1e3, -7.1]))
@settings(max_examples=80, deadline=None)
def test_a_point_exactly_on_the_radius_is_not_closer(n_points, n_units, seed, offset):
    """Radii that are distances themselves, of values that repeat and round."""
    generator = np.random.default_rng(seed)
    points = offset + generator.integers(-20, 20, (n_points, n_units)) / 10
    others = points[generator.permutation(n_points)]
    radii = np.abs(points - others).max(axis=1)
    radii = np.where(radii == 0, 0.1, radii)

    assert counted(points, radii) == by_definition(points, radii).tolist()


@pytest.mark.parametrize("n_units", [1, 3])
def test_more_points_than_are_compared_at_a_time(n_units):
    points = np.random.default_rng(0).standard_normal((2500, n_units)).astype(np.float32)
    radii = np.sort(np.abs(points[:, None] - points).max(axis=2), axis=1)[:, 40].astype(float)

    counts = counted(points.astype(float), radii)

    assert counts == by_definition(points.astype(float), radii).tolist()


def test_tiny_values_beside_large_ones():
    """Differences from 1 are all rounded to 1."""
    points = np.concatenate([[1.0], 10.0 ** -np.arange(17, 60)])[:, None]
    radii = np.ones(len(points))

    assert counted(points, radii) == by_definition(points, radii).tolist()


@pytest.mark.parametrize("tile", [2**25, 4000])
def test_distances_in_tiles_count_the_same(monkeypatch, tile):
    """The way of a GPU."""
    monkeypatch.setattr(counting, "_GPU_TILE", tile)
    points = torch.from_numpy(np.random.default_rng(0).standard_normal((1000, 3)))
    radii = torch.full((1000,), 0.4, dtype=torch.float64)

    assert torch.equal(count_by_distances(points, radii), count_closer(points, radii))


@pytest.mark.gpu
def test_a_gpu_gives_what_a_cpu_gives():
    points = torch.from_numpy(np.random.default_rng(0).standard_normal((3000, 3)))
    radii = torch.full((3000,), 0.4, dtype=torch.float64)

    assert torch.equal(count_closer(points.cuda(), radii.cuda()).cpu(), count_closer(points, radii))
