"""Estimators of mutual information: modules with load(...) -> MutualInformationEstimator."""
