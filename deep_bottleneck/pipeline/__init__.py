"""An experiment from its config to its pictures."""
