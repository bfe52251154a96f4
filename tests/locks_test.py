"""Kinds: two processes that change one folder; a folder replaced in two steps."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from josrc_keras import _files

HOLD = textwrap.dedent(
    """
    import sys, time
    from josrc_keras import _files
    with _files.locked(sys.argv[1]):
        print("held", flush=True)
        time.sleep(60)
    """
)


def test_a_folder_is_one_process_s_until_it_dies(tmp_path):
    """A lock ends with its process, killed or not, and leaves no file."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    with (
        pytest.raises(RuntimeError, match=r"no other process works\. Received: "),
        _files.locked(tmp_path),
    ):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with _files.locked(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def replace_folder(path):
    with _files.replacing(path) as beside:
        beside.mkdir()
        (beside / "new").write_text("new")


def folder_with(path, name):
    path.mkdir()
    (path / name).write_text(name)
    return path


def test_a_folder_is_replaced_whole(tmp_path):
    path = folder_with(tmp_path / "saved_model", "old")
    replace_folder(path)
    assert [each.name for each in path.iterdir()] == ["new"]
    assert [each.name for each in tmp_path.iterdir()] == ["saved_model"]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_kill_at_any_rename_leaves_the_old_or_the_new_folder(
    tmp_path, monkeypatch, at_once
):
    """In one step, or where the system has none, after the next start."""
    if not at_once:
        monkeypatch.setattr(_files, "_exchange", lambda *paths: False)
    plain, kills = os.replace, 0
    for number in range(3):
        place = folder_with(tmp_path / f"{number}", "here")
        path = folder_with(place / "saved_model", "old")
        done = []

        def counted(source, target, done=done, number=number):
            if len(done) == number:
                raise KeyboardInterrupt  # In the place of a kill.
            done.append(target)
            plain(source, target)

        monkeypatch.setattr(os, "replace", counted)
        monkeypatch.setattr(_files.shutil, "rmtree", lambda *a, **k: None)
        try:
            replace_folder(path)
        except KeyboardInterrupt:
            kills += 1
        monkeypatch.undo()
        if not at_once:
            monkeypatch.setattr(_files, "_exchange", lambda *paths: False)
        _files.remove_unfinished(place)
        assert [each.name for each in path.iterdir()] in (["old"], ["new"])
        assert sorted(each.name for each in place.iterdir()) == ["here", "saved_model"]
    assert kills == (0 if at_once and sys.platform == "linux" else 2)
