"""Formulas as MathML, which browsers show without a script and without a network.

A command of LaTeX that the converter does not know is a warning of the build, so no
page has a formula that nobody can read.
"""

from docutils import nodes
from latex2mathml import converter
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
# What the converter does not know, in words that it does.
SYNONYMS = {
    r"\arg\max": r"\mathrm{arg\,max}\,",
    r"\operatorname": r"\mathrm",
    r"\_": "_",
}


def add_to(app):
    """Registers the renderer, which `html_math_renderer` names."""
    app.add_html_math_renderer(
        "mathml", inline_renderers=(_inline, None), block_renderers=(_block, None)
    )


def converted(latex, display="inline"):
    """The MathML of a formula.

    Args:
        latex: Its source.
        display: `"inline"` or `"block"`.

    Returns:
        A text.

    Raises:
        ValueError: If it has a command that the converter does not know.
    """
    for known, other in SYNONYMS.items():
        latex = latex.replace(known, other)
    result = converter.convert(latex.strip(), display=display)
    if "\\" in result:
        raise ValueError(f"A formula that MathML can't show. Received: {latex}")
    return result


def _inline(writer, node):
    writer.body.append(_checked(node, "inline"))
    raise nodes.SkipNode


def _block(writer, node):
    writer.body.append(f'<div class="math">{_checked(node, "block")}</div>')
    raise nodes.SkipNode


def _checked(node, display):
    try:
        return converted(node.astext(), display)
    except Exception as error:  # Whatever the converter raises at bad LaTeX.
        LOGGER.warning("%s (%r)", node.astext(), error, location=node)
        return ""
