"""The documentation's settings; `make docs` builds it."""

import os

os.environ["KERAS_BACKEND"] = "torch"

project = "deep-bottleneck"
author = "the deep-bottleneck authors"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.bibtex",
]
myst_enable_extensions = ["dollarmath"]
bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"
exclude_patterns = ["_build", "jupyter_execute", "estimator_accuracy.md"]
# the notebooks of analyses/ hold no outputs: every build executes them, and fails where one does
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_output_stderr = "remove"
html_theme = "furo"
autodoc_typehints = "description"
autodoc_member_order = "bysource"
myst_heading_anchors = 3
