"""Configuration of the documentation site: `make docs` builds it into build/docs."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

# The tutorials' kernels and their shell cells inherit this environment.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
)
os.environ["PATH"] = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ["PATH"]]
)
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # The pages show what a CPU computes.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from generate import configuration, docstrings, mathml

from josrc_keras import __version__

GENERATED = ROOT / "build" / "generated"
GENERATED.mkdir(parents=True, exist_ok=True)
for name, page in (("configuration.md", configuration.page()),):
    path = GENERATED / name
    if not path.exists() or path.read_text(encoding="utf-8") != page:
        path.write_text(page, encoding="utf-8")

project = "josrc_keras"
author = "the authors of josrc_keras"
copyright = author
version = release = __version__
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["generate"]
nitpicky = True
# A docstring's `name` is a link where there is such an object, and code elsewhere.
default_role = "py:obj"
nitpick_ignore_regex = [
    (r"py:obj", r"(?s).*"),
    # Types of other packages, whose sites are not read: the build needs no network.
    (
        r"py:.*",
        r"(collections|keras|os|numpy|np|pandas|pathlib|Path|tf|tensorflow|jax)(\..*)?",
    ),
    (r"py:.*", r"(Any|Callable|Sequence|Iterable|Mapping|ClassVar|optional)"),
]

# Every build executes the tutorials anew. An error in a cell is a warning with its
# traceback, and `make docs` takes warnings for errors.
nb_execution_mode = "force"
nb_execution_show_tb = True
nb_execution_timeout = 300  # Seconds a cell, on a busy machine.
nb_execution_in_temp = True
nb_merge_streams = True
nb_output_stderr = "remove"  # TensorFlow logs to it, whatever one sets.

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Call arguments", "params_style")]
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_title = f"josrc_keras {release}"
html_copy_source = False
html_show_copyright = False
linkcheck_timeout = 20
linkcheck_retries = 2


def setup(app):
    """Adds what reads docstrings as Markdown, and what writes formulas."""
    mathml.add_to(app)
    app.connect("autodoc-process-docstring", docstrings.process, priority=400)
    app.connect("autodoc-process-signature", docstrings.signature)
    app.connect("autodoc-skip-member", docstrings.skipped)
