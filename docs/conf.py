"""The site, built from the pages as they lie: `sphinx-build -W -c docs . build/site` in the root of the repository.

The source is the repository itself, so that links between pages, examples and files lead to the same places as in the
repository. Generated are one page a room from docstrings, in docs/api, and a page of each Python file that is linked.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels"), str(ROOT / "docs" / "extension")]

import docstrings  # noqa: E402
import pages  # noqa: E402
import reference  # noqa: E402

from jaxsamp import __version__  # noqa: E402

project, author, copyright = "jaxsamp", "The jaxsamp developers", "The jaxsamp developers"
version = release = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_copybutton"]

root_doc = "README"
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext", ".py": "python-page"}
include_patterns = [*pages.documents(ROOT), "docs/api/*.rst"]
exclude_patterns = [".*", "build", "dist", "runs"]  # which need not be walked
myst_heading_anchors = 4  # named as on GitHub
myst_enable_extensions = ["dollarmath"]
nb_execution_mode = "off"  # notebooks are stored as they ran
nb_merge_streams = True
default_role = "literal"  # code in docstrings
highlight_language = "none"  # indented blocks of docstrings are mostly equations
smartquotes_action = "D"  # dashes alone

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
maximum_signature_line_length = 88
napoleon_custom_sections = [("Attributes", "params_style")]  # a list; what is documented alone has an entry
napoleon_use_rtype = False
napoleon_numpy_docstring = False
python_use_unqualified_type_names = True
toc_object_entries = False  # the headings of names suffice, and with methods the build would take twice as long

html_theme = "furo"
html_title = f"jaxsamp {version}"
html_copy_source = False
html_static_path, html_css_files = ["extension/static"], ["site.css"]


def setup(app):
    """Generate the reference, and connect what makes pages of files."""
    reference.write(ROOT / "docs" / "api")
    docstrings.setup(app)
    pages.setup(app)
    return {"parallel_read_safe": True}
