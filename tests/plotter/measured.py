import numpy as np
import pandas as pd


def table(n_runs=3, epochs=(0, 1, 20), n_layers=4):
    """A table of information as estimation leaves it, of random values."""
    generator = np.random.default_rng(0)
    rows = [
        (run, epoch, layer, 10 - layer + generator.random(), generator.random())
        for run in range(n_runs)
        for epoch in epochs
        for layer in range(n_layers)
    ]
    frame = pd.DataFrame(rows, columns=["run", "epoch", "layer", "MI_XM", "MI_YM"])
    return frame.assign(
        estimator="binning",
        parameter="bin width 0.07",
        bounds="estimate",
        geometric=True,
        part="train",
        n_examples=4096,
        ceiling=12.0,
    )


def metrics(n_runs=3, epochs=range(21)):
    """Loss and accuracy of every run and epoch, of random values."""
    generator = np.random.default_rng(0)
    rows = [(run, epoch, *generator.random(4)) for run in range(n_runs) for epoch in epochs]
    columns = ["run", "epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    return pd.DataFrame(rows, columns=columns)
