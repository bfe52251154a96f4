"""Lists labels that are probably wrong, of photos or of a run's data, with a report.

josrc-audit --photos=photos --output=audit
josrc-audit --photos=photos --output=audit --apply=copy --decisions=decisions.csv
josrc-audit --run=runs/photos
josrc-audit --run=runs/photos --apply=move --decisions=decisions.csv --dry_run

--photos=DIR takes photos as DIR/CLASS/NAME.jpg, or those that --table lists, and trains
nothing but heads on the features of a pretrained backbone: minutes without a GPU. The
features are kept in OUTPUT/features, so that the next audit takes seconds. --run=DIR
takes the data, the model and the history of a run that josrc-train has finished.

Writes audit.csv, audit.parquet, findings.json and report.html into the output folder,
and of photos their sizes and times into photos.json.

--apply acts on the audit that is there. `csv` writes a table of new labels. `copy`
writes a cleaned copy of the photos. `move` moves photos to the class that is suggested
and sets out-of-distribution photos aside, and `undo` moves them back. `csv` and `copy`
audit first if there is no audit. A photo that was replaced since the audit stays as it
is. No photo is ever deleted: those decided so go to OUTPUT/deleted.

--decisions=FILE, which the report exports, acts on the decided rows alone, and --rows
on the rows of a part of audit.csv. Every --apply first prints what it does, and with
--dry_run only that. Without --decisions and --rows, `copy` and `move` do no more than
that either, unless --all or --below=SCORE says that no person need decide.

--serve shows the report at an address of this machine, with the photos themselves,
until it is stopped, and keeps what is decided there in OUTPUT/decisions.csv.
"""

import contextlib
import json
from pathlib import Path

from absl import flags, logging

from josrc_keras.commands import shell

_RUN = flags.DEFINE_string("run", None, "The run folder that was trained.")
_PHOTOS = flags.DEFINE_string("photos", None, "The folder of photos to audit.")
_TABLE = flags.DEFINE_string(
    "table", None, "CSV file of photos: path (within --photos), label, perhaps split."
)
_BACKBONE = flags.DEFINE_string(
    "backbone",
    "efficientnet_lite0",
    "The pretrained network for --photos: a name, keras_applications:MODEL, "
    "keras_hub:PRESET, a .keras file, or the folder of a preset.",
)
_SHARD = flags.DEFINE_string(
    "shard",
    None,
    "Only compute features, of a part of the photos, such as 3/8; several processes "
    "share the work.",
)
_CLASSIFIER = flags.DEFINE_string(
    "classifier", None, "Save backbone and head as a classifier, to this .keras file."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of an audit of --photos.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "Where to write; RUN/audit by default, required with --photos."
)
_VIEW_PAIRS = flags.DEFINE_integer(
    "view_pairs", 4, "Pairs of views of each image.", lower_bound=1
)
_THUMBNAILS = flags.DEFINE_integer(
    "max_thumbnails", 1200, "The most images in the report, the worst.", lower_bound=0
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
_DECISIONS = flags.DEFINE_string(
    "decisions", None, "CSV or JSON file of decisions, as the report exports them."
)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Only say what --apply would do.")
_ALL = flags.DEFINE_bool(
    "all", False, "Follow the audit in all rows, which nobody has decided."
)
_BELOW = flags.DEFINE_float(
    "below",
    None,
    "Follow the audit where label_score is at most this, from 0 to 1.",
    lower_bound=0,
    upper_bound=1,
)
_SERVE = flags.DEFINE_bool(
    "serve", False, "Show the report to this machine's browsers, and keep decisions."
)
WRITTEN = {"audit.csv", "audit.parquet", "findings.json", "photos.json", "report.html"}
WRITTEN |= {f"{name}.csv" for name in ("relabel", "moved", "decisions")}
WRITTEN |= {"source.json", "decisions.json"}
OF_PHOTOS = (_TABLE, _SHARD, _CLASSIFIER)


def _audit():
    _check_flags()
    shell.begin()
    from josrc_keras.cleaning import decisions, moves, plan

    output = Path(_OUTPUT.value or Path(str(_RUN.value)) / "audit")
    if _SHARD.value is not None:
        _look_at_shard(output)
        return
    if _SERVE.value:
        _serve(output)
        return
    if _APPLY.value == "undo":
        with _alone_in(output):
            listed = (output / moves.JOURNAL).exists()
            photos = _photos_of(output) if listed else None
            shell.say(f"{moves.move_back(output, photos)} photos moved back.")
        return
    if _APPLY.value == "move" and not (output / "audit.csv").exists():
        raise ValueError(
            "Expected an audit to look at before photos are moved. Received: "
            f"--apply=move, and no {output / 'audit.csv'}. Run the same command "
            "without --apply first."
        )
    chosen = None if _ROWS.value is None else plan.read_table(_ROWS.value)
    if _DECISIONS.value is not None:
        chosen = decisions.read(_DECISIONS.value)
    with _alone_in(output):
        _audit_in(output, chosen)


def _check_flags():
    """Raises a `ValueError` for flags that do not go together."""
    if (_RUN.value is None) == (_PHOTOS.value is None):
        raise ValueError(
            "Expected what to audit: --photos=DIR or --run=DIR. Received: "
            f"{'neither' if _RUN.value is None else 'both'}. Give one of them."
        )
    if _PHOTOS.value is not None and _OUTPUT.value is None:
        raise ValueError(
            "Expected a folder for the audit of photos. Received: --photos without "
            "--output. Add --output=DIR, outside of the photos."
        )
    for flag in OF_PHOTOS:
        if _PHOTOS.value is None and flag.value is not None:
            raise ValueError(
                f"--{flag.name} is of an audit of photos. Received: --{flag.name} "
                "with --run. Give --photos=DIR, or leave it out."
            )
    _check_choice()
    if _TABLE.value is not None and _APPLY.value in ("copy", "move"):
        raise ValueError(
            "Only photos in class folders can be copied or moved. Received: --table "
            f"with --apply={_APPLY.value}. Use --apply=csv."
        )


def _check_choice():
    """Raises a `ValueError` for flags of what to act on that do not go together."""
    acts = _APPLY.value in ("csv", "copy", "move")
    given = [f for f in (_ROWS, _DECISIONS, _BELOW) if f.value is not None]
    given += [f for f in (_ALL, _DRY_RUN) if f.value]
    for flag in () if acts else given:
        raise ValueError(
            f"--{flag.name} says which rows to act on, or how. Received: "
            f"--{flag.name} without --apply=csv, copy or move. Add one of them."
        )
    choices = [f"--{flag.name}" for flag in given if flag is not _DRY_RUN]
    if len(choices) > 1:
        raise ValueError(
            "Expected one of --decisions, --rows, --all and --below. Received: "
            f"{' and '.join(choices)}. Leave out all but one of them."
        )


def _serve(output):
    from josrc_keras.cleaning import audit_of_photos, audit_of_run, serving

    if _APPLY.value != "none" or not (output / "report.html").exists():
        raise ValueError(
            "Expected --serve of an audit that is there, without --apply. Received: "
            f"--apply={_APPLY.value} with {output}. Run the same command without "
            "--serve first."
        )
    try:
        of = audit_of_photos.folder_of(output) if _PHOTOS.value else None
        photos = of or audit_of_run.photos_of(_RUN.value)
    except ValueError:  # A run on data that are no photos has thumbnails.
        photos = None
    with serving.Server(output, photos) as server:
        shell.say(f"Open {server.address} and stop with Ctrl-C.")
        server.serve_forever()


def _look_at_shard(output):
    from josrc_keras.cleaning import audit_of_run
    from josrc_keras.probe import audits

    audit_of_run.make_folder(output)
    audits.look_at(
        _PHOTOS.value,
        _BACKBONE.value,
        features=audits.default_features(output),
        table=_TABLE.value,
        shard=_SHARD.value,
    )
    shell.say(
        f"Part {_SHARD.value} is done. Once all are, run the same command without "
        "--shard."
    )


def _photos_of(output):
    """The folder of photos to act on."""
    from josrc_keras.cleaning import audit_of_photos, audit_of_run

    if _PHOTOS.value is None:
        return audit_of_run.photos_of(_RUN.value)
    audited = audit_of_photos.photos_of(output)
    if audited != Path(_PHOTOS.value).expanduser().absolute():
        raise ValueError(
            f"Expected the photos that the audit in {output} is of, {audited}. "
            f"Received: --photos={_PHOTOS.value}. Give that folder, or audit this one "
            "with another --output."
        )
    return audited


@contextlib.contextmanager
def _alone_in(output):
    """Keeps other audits out of the audit's folder and of the folder of photos."""
    from josrc_keras import _files

    folders = [output if output.exists() else None]
    if _APPLY.value in ("copy", "move") and (output / "audit.csv").exists():
        folders.append(_photos_of(output))
    with contextlib.ExitStack() as stack:
        for folder in dict.fromkeys(folders):
            if folder is not None and Path(folder).is_dir():
                stack.enter_context(_files.locked(folder))
        _files.remove_unfinished(output, WRITTEN)  # A killed process left it.
        yield


def _audit_in(output, chosen):
    if _APPLY.value == "none" or not (output / "audit.csv").exists():
        _say(_write(output), output)
    else:
        logging.info("Acting on the audit in %s.", output)
    if _APPLY.value != "none":
        _act(output, chosen)


def _write(output):
    """Audits; returns the findings."""
    from josrc_keras.cleaning import audit_of_photos, audit_of_run

    if _RUN.value is not None:
        return audit_of_run.write(
            _RUN.value,
            output,
            view_pairs=_VIEW_PAIRS.value,
            max_thumbnails=_THUMBNAILS.value,
        )
    return audit_of_photos.write(
        _PHOTOS.value,
        output,
        backbone=_BACKBONE.value,
        table=_TABLE.value,
        seed=_SEED.value,
        max_thumbnails=_THUMBNAILS.value,
        classifier=_CLASSIFIER.value,
    )


def _say(findings, output):
    shell.say(
        f"{findings['images']} images of {findings['classes']} classes: "
        f"{findings['noise_rate']:.1%} of the labels look wrong, {_parts(findings)}."
    )
    if "estimates" in findings:
        from josrc_keras.cleaning import audit_of_photos

        for line in audit_of_photos.said(findings):
            shell.say(line)
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


def _planned(output, chosen):
    """The plan of what to do, of photos that are as they were audited."""
    from josrc_keras.cleaning import audit_of_photos, audit_of_run, decisions, plan

    table = plan.read_table(output / "audit.csv")
    if _DECISIONS.value is not None:
        path = output / "findings.json"
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        planned = decisions.planned(table, chosen, known.get("class_names", ()))
    else:
        planned = plan.plan(table, chosen, _BELOW.value)
    if _RUN.value is not None:
        return audit_of_run.keep_changed(planned, _RUN.value, output)
    return audit_of_photos.keep_changed(planned, output)


def _act(output, chosen):
    from josrc_keras.cleaning import decisions, moves, plan

    planned = _planned(output, chosen)
    photos = None if _APPLY.value == "csv" else _photos_of(output)
    decided = chosen is not None or _ALL.value or _BELOW.value is not None
    only_said = _DRY_RUN.value or (photos is not None and not decided)
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
        act = {"copy": moves.copy, "move": moves.move}[_APPLY.value]
        done = act(planned, photos, output)
    names = [a for a in plan.ACTIONS.values() if a != "look" or a in counts]
    names += ["delete"] if "delete" in counts else []
    kinds = ", ".join(f"{counts.get(a, 0)} {a}" for a in names)
    back = "\n--apply=undo moves them back." if _APPLY.value == "move" else ""
    shell.say(f"{kinds}: {done}{back}")


def main():
    """Entry point of `josrc-audit`."""
    shell.run(_audit)


if __name__ == "__main__":
    main()
