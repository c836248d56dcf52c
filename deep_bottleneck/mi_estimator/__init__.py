"""Estimators of mutual information: modules with load(...) -> MutualInformationEstimator.

The tables of the documentation are what each module says: the first line of its docstring what it
is, a paragraph "How it fails: ..." there, and `load` what `discretization_range` is to it, with a
usual value as its default.
"""
