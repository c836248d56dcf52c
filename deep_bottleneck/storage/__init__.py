"""Stored experiments, read and changed alike whether they are in a folder or in a database."""
