"""`deep_bottleneck.watch`: somebody else's network, in somebody else's loop."""
