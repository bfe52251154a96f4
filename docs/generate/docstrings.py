"""The Markdown of docstrings as reStructuredText, which autodoc reads."""

import re

FENCE = re.compile(r"^(\s*)```(\w*)\s*$")
ITEM = re.compile(r"^\s*[-*] ")


def process(app, what, name, obj, options, lines):
    """Handler of `autodoc-process-docstring`: changes `lines` in place."""
    lines[:] = converted(lines)


def converted(lines):
    """Fenced code, lists and `code`s of Markdown, as reStructuredText has them.

    Args:
        lines: Lines of a docstring.

    Returns:
        A list of lines.
    """
    result: list = []
    fence = None
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
        else:
            starts = ITEM.match(line) and result and result[-1].strip()
            if starts and not _in_list(result[-1], line):
                result.append("")
            # A letter right behind a `name`, as in `JoSRC`s, ends no role.
            result.append(re.sub(r"(`[^`]+`)(?=[A-Za-z])", r"\1\\ ", line))
    return result


def _in_list(before, line):
    """Whether the line before belongs to the same list."""
    indent = len(line) - len(line.lstrip())
    return bool(ITEM.match(before)) or len(before) - len(before.lstrip()) > indent
