"""Networks that train: one ensemble, its batches, checkpoints and recorders."""
