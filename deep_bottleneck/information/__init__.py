"""Entropy and mutual information of arrays, in bits.

Pure mathematics: NumPy arrays or tensors in, tensors out, on the device of the input. Nothing
here knows Keras, files or configs.

- `discrete`: how often does each row occur? Counts, entropies, MI of discrete variables.
- `bins`: bins of equal width on a range, and of equal mass.
- `corrections`: entropies corrected for their finite-sample bias.
- `hashing`: MI of continuous variables from hashes (EDGE).
- `mixture`: bounds on the entropy of a mixture of Gaussians.
- `neighbors`: MI of continuous variables from distances to nearest neighbours.
- `kernel`: Rényi's entropy of kernel matrices.
"""
