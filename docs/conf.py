"""Sphinx: ``make docs`` builds the pages, and fails on a warning.

The source folder is the root of the repository (``sphinx-build -c docs .``):
the README beside each group of recipes is a page as it stands, and a link
between two files is the same on the web, in an editor and here.
"""

import mmgan_compress
from mmgan_compress import registry  # noqa: F401  applies the shims first

project = 'mmgan_compress'
copyright = 'the authors of mmgan_compress'
version = release = mmgan_compress.__version__
root_doc = 'docs/index'

extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
source_suffix = {'.md': 'markdown'}
include_patterns = [
    'docs/**.md',
    'configs/**README.md',
    'models/README.md',
    'projects/**README.md',
    'CHANGELOG.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'mmgan_compress/datasets/demo/LICENSE.md',
]
exclude_patterns = [
    '.*',
    'build',
    'data',
    'dist',
    'docs/_build',
    'mmgan_compress/.mim',
    'teachers',
    'tests',
    'tools',
    'work_dirs',
]

myst_heading_anchors = 3
myst_links_external_new_tab = True
suppress_warnings = ['myst.header']  # a README may begin with a lower title

autodoc_default_options = {'members': True, 'show-inheritance': True, 'member-order': 'bysource'}
autodoc_typehints = 'none'  # the docstrings have types, shapes and units
autodoc_mock_imports = []
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = 'furo'
html_title = f'mmgan_compress {version}'
html_extra_path = ['_extra']  # index.html, which leads to docs/index.html
html_copy_source = False
