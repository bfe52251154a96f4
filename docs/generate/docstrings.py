"""The Markdown of docstrings as reStructuredText, which autodoc reads."""

import re

FENCE = re.compile(r"^(\s*)```(\w*)\s*$")
ITEM = re.compile(r"^\s*[-*] ")
OBJECT = re.compile(
    r"= ?(\w+)\([^()]*(?:\([^()]*\)[^()]*)*\)"
)  # A default, written out.
NAME = re.compile(r"(?<![`:\w])`([A-Z]\w+|\w+(?:\.\w+)+)`(?!`)")
ROW = re.compile(r"^(\s*)\|(.*)\|\s*$")


def process(app, what, name, obj, options, lines):
    """Handler of `autodoc-process-docstring`: changes `lines` in place."""
    lines[:] = converted(lines)


def signature(app, what, name, obj, options, arguments, returns):
    """Handler of `autodoc-process-signature`: a Keras object's own constructor.

    Keras's classes have a `__new__` that takes anything.
    """
    if what != "class" or arguments != "(*args, **kwargs)":
        return None
    from sphinx.util import inspect

    own = inspect.signature(obj.__init__, bound_method=True)
    shown = inspect.stringify_signature(
        own, show_return_annotation=False, unqualified_typehints=True
    )
    return OBJECT.sub(r"= \1()", shown), returns


def skipped(app, what, name, obj, skip, options):
    """Handler of `autodoc-skip-member`: the fields that a named tuple explains."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def converted(lines):
    """Code, tables, lists and `name`s of Markdown, as reStructuredText has them.

    Args:
        lines: Lines of a docstring.

    Returns:
        A list of lines.
    """
    result: list = []
    fence, table = None, False
    for line in lines:
        found = FENCE.match(line)
        if found and fence is None:
            fence = found[1]
            result += ["", f"{fence}.. code-block:: {found[2] or 'text'}", ""]
        elif found:
            fence = None
            result.append("")
        elif fence is not None:
            result.append(f"   {line}" if line.strip() else "")
        elif row := ROW.match(line):
            result += _row(*row.groups(), first=not table)
        else:
            result += _before_list(result, line)
            result.append(_names(line))
        table = fence is None and bool(ROW.match(line))
    return result


def _names(line):
    """Links to this package's objects, by the ends of their names.

    Sphinx leaves code what is none of them.
    """
    line = NAME.sub(r":py:obj:`.\1`", line)
    # A letter right behind a `name`, as in `JoSRC`s, ends no role.
    return re.sub(r"(`[^`]+`)(?=[A-Za-z])", r"\1\\ ", line)


def _row(indent, cells, *, first):
    """A row of a table; before the first one the directive."""
    if not cells.strip("|-: "):
        return []
    start = [f"{indent}.. list-table::", f"{indent}   :header-rows: 1", ""]
    marks = ["* -", *["  -"] * cells.count("|")]
    rows = zip(marks, cells.split("|"), strict=True)
    body = [f"{indent}   {mark} {cell.strip()}" for mark, cell in rows]
    return ["", *start, *body] if first else body


def _before_list(before, line):
    """The empty line that a list needs, where Markdown needs none."""
    if not ITEM.match(line) or not before or not before[-1].strip():
        return []
    last, indent = before[-1], len(line) - len(line.lstrip())
    inside = ITEM.match(last) or len(last) - len(last.lstrip()) > indent
    return [] if inside else [""]
