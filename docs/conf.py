"""How Sphinx reads this folder; ``nox -s docs`` has it do so."""

project = "parallelops"
author = "The parallelops developers"
extensions = [
    "myst_parser",
    "oslo_config.sphinxext",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "stevedore.sphinxext",
]
exclude_patterns = ["pictures/*.py"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
html_theme = "furo"
html_show_copyright = False
# Two rooms may have a name in common, as both have a Lease; the link goes to
# one of them.
suppress_warnings = ["ref.python"]
