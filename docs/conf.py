"""The documentation's settings; `make docs` builds it."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from docutils import nodes
from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.unsrt import Style
from pybtex.style.labels import BaseLabelStyle
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

os.environ["KERAS_BACKEND"] = "torch"
sys.path.insert(0, str(Path(__file__).resolve().parent))

import from_code

project = "deep-bottleneck"
author = "the deep-bottleneck authors"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.bibtex",
]
myst_enable_extensions = ["deflist", "dollarmath"]
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "author_year"
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
# the attributes of a named tuple are members too
napoleon_use_ivar = True
myst_heading_anchors = 3
linkcheck_timeout = 20
linkcheck_retries = 2
# publishers that answer browsers only
linkcheck_ignore = [
    r"http://127\.0\.0\.1",
    r"https://doi\.org/",
    r"https://openreview\.net/",
]


class AuthorYearLabels(BaseLabelStyle):
    """Labels of the bibliography that read as the references in the text do."""

    def format_labels(self, sorted_entries: Iterable[Entry]) -> Iterator[str]:
        """One label for each entry: its authors, or the first of more than two, and the year."""
        for entry in sorted_entries:
            names = [
                " ".join(map(str, one.rich_prelast_names + one.rich_last_names))
                for one in entry.persons["author"]
            ]
            authors = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
            yield f"{authors}, {entry.fields['year']}"


class AuthorYear(Style):
    """The bibliography, sorted by author and year."""

    default_sorting_style = "author_year_title"
    default_label_style = AuthorYearLabels


register_plugin("pybtex.style.formatting", "author_year", AuthorYear)


class FromCode(SphinxDirective):
    """Puts in what a function of `from_code` writes, given the words behind its name."""

    required_arguments = 1
    optional_arguments = 100

    def run(self) -> list[nodes.Node]:
        """Write it anew with each build, whatever has changed."""
        self.env.note_reread()
        return self.parse_text_to_nodes(from_code.written(*self.arguments))


def setup(app: Sphinx) -> None:
    """Tell Sphinx about the directive."""
    app.add_directive("from-code", FromCode)
