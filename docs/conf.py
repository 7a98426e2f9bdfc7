"""The configuration of Sphinx: python -m sphinx -W --keep-going -b html docs docs/_build/html"""

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

from amsl_tf import __version__  # noqa: E402
from amsl_tf.registry import Registry  # noqa: E402

project = "amsl_tf"
author = "the amsl_tf maintainers"
copyright = "the amsl_tf maintainers, MIT licence"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "serving"]
nitpicky = False  # types of NumPy, TensorFlow and Keras have no targets here
default_role = "py:obj"  # `name` in a docstring: a link if it is documented, else code

html_theme = "pydata_sphinx_theme"
html_title = "amsl_tf"
html_show_sourcelink = False
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 4,
    "footer_start": ["copyright"],
    "footer_end": [],
}

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [
    ("Attributes", "params_style"),  # not as members, which properties and dataclasses have already
    ("Class attributes", "params_style"),
    ("Call arguments", "params_style"),
    "Reference",
]

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_inherit_docstrings = False  # those of Keras and scikit-learn are written in other formats
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"

# Files of the repository that are pages here, because a page includes them.
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
    "RESULTS.md": "results_all.md",
    "benchmarks/NOTES.md": "optimisation_notes.md",
    "benchmarks/PSEUDO.md": "pseudo_anomalies.md",
    "data/README.md": "data.md",
    "saved_models/README.md": "saved_detectors.md",
}
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]\[]+)\]\((?P<target>[^)\s:]+)\)")  # [text](path), not an image and not a URL


def rewrite_links(text, source):
    """Rewrites the relative links of a Markdown file: to pages where they exist, else to paths of the repository as code.

    Args:
        text: The Markdown.
        source: The path of the file, which the links are relative to.
    """

    def rewrite(link):
        path, _, anchor = link["target"].partition("#")
        if not path:
            return link[0]
        target = (source.parent / path).resolve()
        if not target.is_relative_to(ROOT) or not target.exists():
            return link[0]  # Sphinx warns of it
        name = target.relative_to(ROOT).as_posix()
        if name in PAGES:
            return f"[{link['text']}](/{PAGES[name]}{'#' + anchor if anchor and name != 'README.md' else ''})"
        if name.startswith("docs/") and target.suffix == ".md":
            return f"[{link['text']}](/{name.removeprefix('docs/')}{'#' + anchor if anchor else ''})"
        label = link["text"].strip("`")
        return f"`{name}`" if label in (name, target.name, path) else f"{link['text']} (`{name}`)"

    return LINK.sub(rewrite, text)


def read_page(app, docname, source):
    source[0] = rewrite_links(source[0], Path(app.env.doc2path(docname)))


def read_included(app, path, docname, source):
    source[0] = rewrite_links(source[0], (ROOT / "docs" / path).resolve())


def format_docstring(app, what, name, item, options, lines):
    """Lists the parts of a registry; shows an indented block after a paragraph as it is written, and escapes `|`."""
    if isinstance(item, Registry):
        lines[:] = [f"Parts: {', '.join(f'``{part}``' for part in item)}."]
        return
    shown = []
    literal = None  # the indent that ends the literal block
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if literal is not None and line.strip() and indent <= literal:
            literal = None
        before = lines[max(0, number - 2) : number]
        if literal is None and line.strip() and len(before) == 2 and not before[1].strip():
            text = before[0].strip()
            introduced = indent > len(before[0]) - len(before[0].lstrip())
            if text and introduced and not text.endswith("::") and not re.match(r"[:*-]|\.\.|\d+\.", text):
                shown += [before[0][: len(before[0]) - len(before[0].lstrip())] + "::", ""]
                literal = len(before[0]) - len(before[0].lstrip())
        shown.append(line if literal is not None else re.sub(r"\|(?=[^|`]*\|)", r"\\|", line))
    lines[:] = shown


def skip_member(app, what, name, item, skip, options):
    """Leaves out what scikit-learn and NamedTuple add to a class."""
    added = re.fullmatch(r"set_\w+_request", name) or str(getattr(item, "__doc__", "")).startswith("Alias for field number")
    return True if added else None


def setup(app):
    app.connect("source-read", read_page)
    app.connect("include-read", read_included)
    app.connect("autodoc-process-docstring", format_docstring, priority=900)  # after napoleon
    app.connect("autodoc-skip-member", skip_member)
