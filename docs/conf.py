"""The documentation's settings; `make docs` builds it."""

import os

os.environ["KERAS_BACKEND"] = "torch"

project = "deep-bottleneck"
author = "the deep-bottleneck authors"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.bibtex",
]
myst_enable_extensions = ["dollarmath"]
bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"
exclude_patterns = ["_build", "estimator_accuracy.md"]
html_theme = "furo"
autodoc_typehints = "description"
autodoc_member_order = "bysource"
myst_heading_anchors = 3
