"""Symbolic links among photos that move: each leads to the same photo afterwards."""

import os
from pathlib import Path

MOST = 40  # The most links on the way to a file that Linux follows.


def ends(moves):
    """The file that each link that moves is to lead to, in the place that it gets.

    Args:
        moves: `(from, to)` of each photo that moves, `pathlib.Path`s.

    Returns:
        A dict from the `from` of each link to a path.
    """
    moved = _moved(moves)
    paths = {a: os.path.realpath(a) for a, _ in moves if a.is_symlink()}
    return {a: moved.get(end, end) for a, end in paths.items()}


def _moved(moves):
    """Where each file goes that is no link itself, by its path without links."""
    return {os.path.realpath(a): str(b) for a, b in moves if not a.is_symlink()}


def kept(folder, audited, moves):
    """The links that stay, lead over a photo that moves, and would lead nowhere.

    Args:
        folder: The folder of photos.
        audited: Paths of the photos that were audited. Some may be in a folder of which
            the folder of photos has a link only.
        moves: `(from, to)` of each photo that moves, `pathlib.Path`s.

    Returns:
        A dict from the path of a link to the end that it is to get. A relative end
        stays relative.
    """
    sources, moved = {entry(a) for a, _ in moves}, _moved(moves)
    found = {}
    for link in dict.fromkeys([*_links_in(folder), *audited]):
        if not link.is_symlink() or entry(link) in sources:
            continue
        if sources.isdisjoint(_way(link)):
            continue
        end = os.path.realpath(link)
        end = moved.get(end, end)
        if not os.path.isabs(os.readlink(link)):
            end = os.path.relpath(end, os.path.realpath(link.parent))
        found[link] = end
    return found


def _links_in(folder):
    for inside, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(inside, name)
            if path.is_symlink():
                yield path


def _way(link):
    """The places of all that a link leads over, the file at its end included."""
    path = link
    for _ in range(MOST):
        if not path.is_symlink():
            return
        path = entry(path.parent / os.readlink(path))
        yield path


def ways(paths):
    """A set of the places of all that links among some paths lead over."""
    return {place for path in paths if path.is_symlink() for place in _way(path)}


def entry(path):
    """The path of a file or link itself, without links in the folders above it."""
    return Path(os.path.realpath(path.parent), path.name)
