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

--compare trains a head on the labels before and after --decisions, in seconds, by the
features that are kept, and shows estimates and accuracies side by side: on photos that
a head has not learnt from, or on those of --held_out.

--export=NAME writes findings and decisions for label_studio, fiftyone, cleanlab or
huggingface, and says how that tool loads them.

--serve shows the report at an address of this machine, with the photos themselves,
until it is stopped, and keeps what is decided there in OUTPUT/decisions.csv.
"""

import contextlib
import json
from pathlib import Path

from absl import flags, logging

from josrc_keras.commands import acting, audit_flags, shell

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
_EXPORT = flags.DEFINE_enum(
    "export",
    None,
    ["cleanlab", "fiftyone", "huggingface", "label_studio"],
    "Write findings and --decisions for another tool into the output folder.",
)
_COMPARE = flags.DEFINE_bool(
    "compare", False, "Train on the labels before and after, and show both."
)
_HELD_OUT = flags.DEFINE_string(
    "held_out", None, "Folder of photos with right labels, which --compare tests on."
)
_SERVE = flags.DEFINE_bool(
    "serve", False, "Show the report to this machine's browsers, and keep decisions."
)
WRITTEN = {"audit.csv", "audit.parquet", "findings.json", "photos.json", "report.html"}
WRITTEN |= {f"{name}.csv" for name in ("relabel", "moved", "decisions")}
WRITTEN |= {"source.json", "decisions.json"}


def _audit():
    audit_flags.check()
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
            photos = acting.photos_of(output) if listed else None
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


def _serve(output):
    from josrc_keras.cleaning import serving

    if not (output / "report.html").exists():
        raise ValueError(
            "Expected --serve of an audit that is there. Received: --serve with "
            f"{output}. Run the same command without --serve first."
        )
    # A run on data that are no photos has thumbnails alone.
    photos = acting.folder_of_ids(output)
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


@contextlib.contextmanager
def _alone_in(output):
    """Keeps other audits out of the audit's folder and of the folder of photos."""
    from josrc_keras import _files

    folders = [output if output.exists() else None]
    if _APPLY.value in ("copy", "move") and (output / "audit.csv").exists():
        folders.append(acting.photos_of(output))
    with contextlib.ExitStack() as stack:
        for folder in dict.fromkeys(folders):
            if folder is not None and Path(folder).is_dir():
                stack.enter_context(_files.locked(folder))
        _files.remove_unfinished(output, WRITTEN)  # A killed process left it.
        yield


def _audit_in(output, chosen):
    acts = _APPLY.value != "none" or _EXPORT.value or _COMPARE.value
    if not acts or not (output / "audit.csv").exists():
        _say(_write(output), output)
    else:
        logging.info("Acting on the audit in %s.", output)
    if _APPLY.value != "none":
        acting.apply(output, chosen)
    if _EXPORT.value:
        acting.export(output, chosen)
    if _COMPARE.value:
        acting.compare(output, chosen)


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


def main():
    """Entry point of `josrc-audit`."""
    shell.run(_audit)


if __name__ == "__main__":
    main()
