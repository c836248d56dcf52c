import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deep_bottleneck.causal.injection.histogram import joint_counts


def pairwise(inputs, outputs, in_edges, out_edges):
    return np.array(
        [
            [
                np.histogram2d(x, y, bins=(in_edges, edges[np.isfinite(edges)]))[0]
                for y, edges in zip(outputs, out_edges, strict=True)
            ]
            for x in inputs
        ]
    )


def counted(inputs, outputs, in_edges, out_edges):
    counts = joint_counts(
        inputs[None], outputs[None], torch.from_numpy(in_edges), torch.from_numpy(out_edges)
    )
    return counts[0].numpy()


@pytest.mark.parametrize("in_bins, out_bins", [(8, 8), (5, 11), (64, 64), (1, 3), (3, 1)])
@pytest.mark.parametrize("out_range", [(0.0, 1.0), (0.4, 0.6), (0.3, 0.31), (2.0, 3.0)])
def test_counts_of_all_pairs_are_those_of_numpy(in_bins, out_bins, out_range):
    inputs = torch.rand(4, 9_001)
    outputs = torch.sigmoid(torch.randn(3, 4) @ inputs)
    in_edges = np.linspace(0, 1, in_bins + 1)
    out_edges = np.tile(np.linspace(*out_range, out_bins + 1), (3, 1))

    expected = pairwise(inputs.double().numpy(), outputs.double().numpy(), in_edges, out_edges)

    np.testing.assert_array_equal(counted(inputs, outputs, in_edges, out_edges), expected)


def test_values_on_edges_belong_to_the_bin_above_and_the_last_edge_to_the_last_bin():
    inputs = torch.tensor([[0.0, 0.5, 1.0]])
    outputs = torch.tensor([[0.0, 0.5, 1.0]])
    edges = np.array([0.0, 0.5, 1.0])

    counts = counted(inputs, outputs, edges, edges[None])

    assert counts[0, 0].tolist() == [[1, 0], [0, 2]]


def test_edges_that_float32_cannot_hold_are_compared_exactly():
    tenth = torch.tensor(0.1)  # in float32 slightly above the 0.1 of float64
    inputs = torch.stack([torch.nextafter(tenth, torch.tensor(0.0)), tenth])[None]
    edges = np.array([0.0, 0.1, 1.0])

    assert counted(inputs, inputs, edges, edges[None])[0, 0].tolist() == [[1, 0], [0, 1]]


def test_outputs_with_fewer_bins_are_padded():
    inputs = torch.rand(2, 500)
    outputs = torch.rand(2, 500)
    out_edges = np.array([[0.0, 0.5, 1.0, np.inf], [0.0, 0.2, 0.4, 1.0]])

    counts = counted(inputs, outputs, np.array([0.0, 0.5, 1.0]), out_edges)

    first = np.histogram2d(inputs[0], outputs[0], bins=([0, 0.5, 1], [0, 0.5, 1]))[0]
    assert counts[0, 0, :, :2].tolist() == first.tolist()
    assert counts[:, 0, :, 2].sum() == 0
    assert counts[0, 1].sum() == 500


@settings(deadline=None, max_examples=40)
@given(
    n_inputs=st.integers(1, 4),
    n_outputs=st.integers(1, 5),
    n_samples=st.integers(1, 50),
    in_bins=st.integers(1, 40),
    out_bins=st.integers(1, 40),
    seed=st.integers(0, 1000),
)
def test_counts_of_any_size(n_inputs, n_outputs, n_samples, in_bins, out_bins, seed):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.rand(n_inputs, n_samples, generator=generator)
    outputs = torch.randn(n_outputs, n_samples, generator=generator)
    in_edges = np.linspace(0, 1, in_bins + 1)
    out_edges = np.tile(np.linspace(-1, 1, out_bins + 1), (n_outputs, 1))

    expected = pairwise(inputs.double().numpy(), outputs.double().numpy(), in_edges, out_edges)

    np.testing.assert_array_equal(counted(inputs, outputs, in_edges, out_edges), expected)


def test_batches_are_counted_apart():
    inputs, outputs = torch.rand(3, 2, 100), torch.rand(3, 4, 100)
    edges = torch.linspace(0, 1, 9, dtype=torch.float64)

    together = joint_counts(inputs, outputs, edges, edges.expand(4, -1))

    for index in range(3):
        alone = joint_counts(inputs[index, None], outputs[index, None], edges, edges.expand(4, -1))
        assert torch.equal(together[index], alone[0])
