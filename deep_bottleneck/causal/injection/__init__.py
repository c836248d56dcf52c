"""Noise goes into a layer, and what comes out is counted."""
