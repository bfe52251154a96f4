"""Lists the labels of a run's training data that are probably wrong, with a report.

josrc-audit --run=runs/photos
josrc-audit --run=runs/photos --apply=copy
josrc-audit --run=runs/photos --apply=move --rows=ticked.csv

Writes audit.csv, audit.parquet, findings.json and report.html into RUN/audit, and of
photos their sizes and times into photos.json.

--apply acts on the audit that is there. `csv` writes a table of new labels. `copy`
writes a cleaned copy of the photos. `move` moves photos to the class that is suggested
and sets out-of-distribution photos aside, and `undo` moves them back. `csv` and `copy`
audit first if there is no audit. A photo that was replaced since the audit stays as it
is. No photo is ever deleted.
"""

import contextlib
import json
from pathlib import Path

from absl import flags, logging

from josrc_keras.commands import shell

_RUN = flags.DEFINE_string("run", None, "The run folder that was trained.")
_OUTPUT = flags.DEFINE_string("output", None, "Where to write; RUN/audit by default.")
_VIEW_PAIRS = flags.DEFINE_integer(
    "view_pairs", 4, "Pairs of views of each image.", lower_bound=1
)
_THUMBNAILS = flags.DEFINE_integer(
    "max_thumbnails",
    1200,
    "The most images in the report, the worst ones.",
    lower_bound=0,
)
_APPLY = flags.DEFINE_enum(
    "apply",
    "none",
    ["none", "csv", "copy", "move", "undo"],
    "What to do about the audit; see above.",
)
_ROWS = flags.DEFINE_string(
    "rows", None, "CSV file of rows, as the report exports them: apply to these only."
)
flags.mark_flags_as_required(["run"])
WRITTEN = {"audit.csv", "audit.parquet", "findings.json", "photos.json", "report.html"}
WRITTEN |= {"relabel.csv", "moved.csv"}


def _audit():
    from josrc_keras.cleaning import audit_of_run, moves, plan

    if _ROWS.value is not None and _APPLY.value not in ("csv", "copy", "move"):
        raise ValueError(
            "--rows says which rows to act on. Received: --rows without --apply=csv, "
            "copy or move. Add one of them."
        )
    output = Path(_OUTPUT.value or Path(str(_RUN.value)) / "audit")
    if _APPLY.value == "undo":
        with _alone_in(output):
            listed = (output / moves.JOURNAL).exists()
            photos = audit_of_run.photos_of(_RUN.value) if listed else None
            shell.say(f"{moves.move_back(output, photos)} photos moved back.")
        return
    if _APPLY.value == "move" and not (output / "audit.csv").exists():
        raise ValueError(
            "Expected an audit to look at before photos are moved. Received: "
            f"--apply=move, and no {output / 'audit.csv'}. Run the same command "
            "without --apply first."
        )
    chosen = None if _ROWS.value is None else plan.read_table(_ROWS.value)
    with _alone_in(output):
        _audit_in(output, chosen)


@contextlib.contextmanager
def _alone_in(output):
    """Keeps other audits out of the audit's folder and of the folder of photos."""
    from josrc_keras import _files
    from josrc_keras.cleaning import audit_of_run

    folders = [output if output.exists() else None]
    if _APPLY.value in ("copy", "move"):
        folders.append(audit_of_run.photos_of(_RUN.value))
    with contextlib.ExitStack() as stack:
        for folder in dict.fromkeys(folders):
            if folder is not None and Path(folder).is_dir():
                stack.enter_context(_files.locked(folder))
        _files.remove_unfinished(output, WRITTEN)  # A killed process left it.
        yield


def _audit_in(output, chosen):
    from josrc_keras.cleaning import audit_of_run

    if _APPLY.value == "none" or not (output / "audit.csv").exists():
        findings = audit_of_run.write(
            _RUN.value,
            output,
            view_pairs=_VIEW_PAIRS.value,
            max_thumbnails=_THUMBNAILS.value,
        )
        _say(findings, output)
    else:
        logging.info("Acting on the audit in %s.", output)
    if _APPLY.value != "none":
        _act(output, chosen)


def _say(findings, output):
    shell.say(
        f"{findings['images']} images of {findings['classes']} classes: "
        f"{findings['noise_rate']:.1%} of the labels look wrong, {_parts(findings)}."
    )
    if "quality" in findings:
        shell.say(json.dumps({"against_the_truth": findings["quality"]}, indent=2))
    shell.say(f"Look at {output / 'report.html'}")


def _parts(findings):
    """The parts of the noise rate, as a text."""
    inside = f"{findings['in_distribution_rate']:.1%} in-distribution noise"
    outside = f"{findings['out_of_distribution_rate']:.1%} out-of-distribution"
    if not findings["undecided_rate"]:
        return f"{inside} and {outside}"
    return f"{inside}, {outside} and {findings['undecided_rate']:.1%} undecided"


def _act(output, chosen):
    from josrc_keras.cleaning import audit_of_run, moves, plan

    planned = plan.plan(plan.read_table(output / "audit.csv"), chosen)
    planned = audit_of_run.keep_changed(planned, _RUN.value, output)
    counts = planned["action"].value_counts()
    if _APPLY.value == "csv":
        done = plan.write_csv(planned, output)
    else:
        photos = audit_of_run.photos_of(_RUN.value)
        act = {"copy": moves.copy, "move": moves.move}[_APPLY.value]
        done = act(planned, photos, output)
    names = [a for a in plan.ACTIONS.values() if a != "look" or a in counts]
    kinds = ", ".join(f"{counts.get(a, 0)} {a}" for a in names)
    shell.say(f"{kinds}: {done}")
    if _APPLY.value == "move":
        shell.say("--apply=undo moves them back.")


def main():
    """Entry point of `josrc-audit`."""
    shell.run(_audit)


if __name__ == "__main__":
    main()
