"""Runs that take every step together."""
