"""Experiments moved between folders and databases, and mended."""
