"""A web page on this machine over stored experiments, in a folder or in a MongoDB.

python -m deep_bottleneck.board
"""
