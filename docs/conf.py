"""Sphinx configuration: MyST pages, and an API reference made from docstrings."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'docs')]

import api_stubs  # noqa: E402  (found through the path above)
import docstrings  # noqa: E402
from pygments.lexers.python import PythonLexer  # noqa: E402

from llmrec_jax.version import __version__  # noqa: E402

project = 'LLMRec-JAX'
author = 'The LLMRec-JAX authors'
release = __version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.autosummary',
    'sphinx.ext.napoleon',
    'sphinx_copybutton',
]
exclude_patterns = ['_build']

myst_heading_anchors = 3
myst_enable_extensions = ['dollarmath', 'colon_fence']

# Docstrings put code between single backticks.
default_role = 'code'
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
autodoc_member_order = 'bysource'
autodoc_default_options = {'members': True, 'show-inheritance': True, 'ignore-module-all': True}
# PyPI has no working T5X, and Beam has an environment of its own: what imports them is read with stand-ins.
autodoc_mock_imports = ['t5x', 'airio', 'jestimator', 'apache_beam']

html_theme = 'furo'
html_title = f'LLMRec-JAX {__version__}'
html_static_path = ['_static']


def setup(app):
    """Writes a page for each room, converts docstrings, and colours gin files as Python."""
    api_stubs.write(ROOT, ROOT / 'docs' / 'api')
    app.add_lexer('gin', PythonLexer)
    # Before napoleon, whose priority is 500.
    app.connect('autodoc-process-docstring', docstrings.convert, priority=400)
