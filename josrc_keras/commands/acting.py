"""What josrc-audit does with an audit that is there: applies, exports, compares it."""

import json
from pathlib import Path

from absl import flags, logging

from josrc_keras.commands import shell

FLAGS = flags.FLAGS


def photos_of(output):
    """The folder of photos to act on."""
    from josrc_keras.cleaning import audit_of_photos, audit_of_run

    if FLAGS.photos is None:
        return audit_of_run.photos_of(FLAGS.run)
    audited = audit_of_photos.photos_of(output)
    if audited != Path(FLAGS.photos).expanduser().absolute():
        raise ValueError(
            f"Expected the photos that the audit in {output} is of, {audited}. "
            f"Received: --photos={FLAGS.photos}. Give that folder, or audit this one "
            "with another --output."
        )
    return audited


def folder_of_ids(output):
    """The folder that ids of an audit are paths in; None where they are no paths."""
    from josrc_keras.cleaning import audit_of_photos, audit_of_run

    if FLAGS.photos is not None:
        return audit_of_photos.folder_of(output)
    return audit_of_run.folder_of(FLAGS.run)


def _known(output):
    """The findings of the audit; empty where there are none."""
    path = output / "findings.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _class_names(output):
    return _known(output).get("class_names", ())


def _planned(output, chosen):
    """The plan of what to do, of photos that are as they were audited."""
    from josrc_keras.cleaning import audit_of_photos, audit_of_run, decisions, plan

    table = plan.read_table(output / "audit.csv")
    if FLAGS.decisions is not None:
        planned = decisions.planned(table, chosen, _class_names(output))
    else:
        planned = plan.plan(table, chosen, FLAGS.below)
    if FLAGS.run is not None:
        return audit_of_run.keep_changed(planned, FLAGS.run, output)
    return audit_of_photos.keep_changed(planned, output)


def apply(output, chosen):
    """Carries out --apply, or says what it would do.

    Args:
        output: The folder of the audit.
        chosen: A table of --rows or --decisions, or None.
    """
    from josrc_keras.cleaning import decisions, moves, plan

    planned = _planned(output, chosen)
    photos = None if FLAGS.apply == "csv" else photos_of(output)
    decided = chosen is not None or FLAGS.all or FLAGS.below is not None
    only_said = FLAGS.dry_run or (photos is not None and not decided)
    for line in decisions.preview(planned):
        shell.say(line) if only_said else logging.info("%s", line)
    if only_said:
        why = "" if decided else " Add --decisions=FILE, or --all to follow the audit."
        shell.say(f"Nothing was changed.{why}")
        return
    counts = planned["action"].value_counts()
    if photos is None:
        done = plan.write_csv(planned, output)
    else:
        act = {"copy": moves.copy, "move": moves.move}[FLAGS.apply]
        done = act(planned, photos, output)
    names = [a for a in plan.ACTIONS.values() if a != "look" or a in counts]
    names += ["delete"] if "delete" in counts else []
    kinds = ", ".join(f"{counts.get(a, 0)} {a}" for a in names)
    back = "\n--apply=undo moves them back." if FLAGS.apply == "move" else ""
    shell.say(f"{kinds}: {done}{back}")


def export(output, decided):
    """Writes the audit for --export, with the decisions.

    Args:
        output: The folder of the audit.
        decided: A table of --decisions, or None.
    """
    from josrc_keras.cleaning import formats, plan

    table = plan.read_table(output / "audit.csv")
    names, photos = _class_names(output), folder_of_ids(output)
    found = formats.findings(table, names, decided, photos)
    path = formats.export(found, output, FLAGS.export)
    number = 0 if decided is None else len(decided)
    shell.say(f"{len(table)} samples, {number} decided: {path}")
    for line in formats.LOADED_BY[FLAGS.export]:
        shell.say(line.format(path=path, photos=photos and photos.parent))


def compare(output, chosen):
    """Shows what training on the labels before and after is like.

    Args:
        output: The folder of the audit.
        chosen: A table of --rows or --decisions, or None.
    """
    from josrc_keras.cleaning import audit_of_photos, comparison, decisions

    if chosen is None and not FLAGS.all and FLAGS.below is None:
        raise ValueError(
            "Expected what --compare compares with. Received: none of --decisions, "
            "--rows, --below and --all. Add --decisions=FILE, or --all to follow the "
            "audit."
        )
    planned = _planned(output, chosen)
    shell.say(decisions.preview(planned)[0])
    found = comparison.compare(
        audit_of_photos.folder_of(output),
        output,
        planned,
        source=_known(output)["source"],
        class_names=_class_names(output),
        held_out=FLAGS.held_out,
    )
    for line in comparison.said(found, FLAGS.held_out):
        shell.say(line)
    shell.say(f"Wrote {output / comparison.WRITTEN}")
