"""Each position of a layer as an example of its own."""

import numpy as np
import pytest
import torch
from torch import nn

from deep_bottleneck import watch
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.mi_estimator import binning

TOKENS = torch.randint(9, (30, 4), generator=torch.Generator().manual_seed(0))
Y = torch.arange(30) % 2
MASK = torch.arange(4) < 1 + torch.arange(30)[:, None] % 4


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.readout = nn.Embedding(9, 3), nn.Linear(3, 2)

    def forward(self, tokens):
        return self.readout(self.words(tokens).mean(1))


def information(rows, labels):
    """By hand, of rows that are an example each."""
    return binning.load(discretization_range=0.5).estimate(rows[None], labels)


@pytest.mark.parametrize("mask", [None, MASK], ids=["all positions", "a mask"])
def test_values_are_those_of_positions_by_hand(mask):
    model = Reader()
    watched = watch(
        [model, Reader()], data=(TOKENS, Y), representation="positions", mask=mask, batch_size=7,
        estimators="binning=0.5",
    )  # fmt: skip

    watched.step()

    counts = torch.ones(30, 4, dtype=torch.bool) if mask is None else mask
    rows = model.words(TOKENS)[counts].detach().numpy()
    expected = information(rows, np.repeat(Y.numpy(), counts.sum(1)))
    words, readout = watched.table.query("run == 0").to_dict("records")
    assert (words["MI_XM"], words["MI_YM"]) == (*expected.mi_xm, *expected.mi_ym)
    assert words["n_examples"] == counts.sum()
    assert words["ceiling"] == pytest.approx(np.log2(float(counts.sum())))
    expected = information(model(TOKENS).detach().numpy(), Y.numpy())
    assert (readout["MI_XM"], readout["MI_YM"]) == (*expected.mi_xm, *expected.mi_ym)
    assert readout["n_examples"] == 30
    assert watched.table["run"].tolist() == [0, 0, 1, 1]
    assert watched.table["representation"].eq("positions").all()
    assert set(watched.trust()["n_examples"]) == {30, int(counts.sum())}


def test_of_some_layers_and_going_on_elsewhere():
    options = {"data": (TOKENS, Y), "representation": {"words": "positions"}}
    first, second = (watch(Reader(), **options) for _ in range(2))
    first.step()
    second.load_state_dict(first.state_dict())

    second.step()

    assert second.table["n_examples"].tolist() == [120, 30] * 2
    assert second.table["name"].tolist() == ["words", "readout"] * 2
    assert second.table[:2].equals(first.table)


def test_similarity_compares_the_same_examples():
    with pytest.raises(ConfigError, match="compares layers by the same examples, and each pos"):
        watch(Reader(), data=(TOKENS, Y), representation="positions", measures=["similarity"])
