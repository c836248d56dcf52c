"""Callbacks of other trainers that step a watch; each imports its trainer when it is asked for."""
