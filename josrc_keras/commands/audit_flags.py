"""Which flags of josrc-audit go together."""

from absl import flags

FLAGS = flags.FLAGS
OF_PHOTOS = ("table", "shard", "classifier", "held_out", "compare")
ACTIONS = ("csv", "copy", "move")
CHOICES = ("rows", "decisions", "below", "all")  # What to act on: one of them.


def check():
    """Raises a `ValueError` for flags that do not go together."""
    if (FLAGS.run is None) == (FLAGS.photos is None):
        raise ValueError(
            "Expected what to audit: --photos=DIR or --run=DIR. Received: "
            f"{'neither' if FLAGS.run is None else 'both'}. Give one of them."
        )
    if FLAGS.photos is not None and FLAGS.output is None:
        raise ValueError(
            "Expected a folder for the audit of photos. Received: --photos without "
            "--output. Add --output=DIR, outside of the photos."
        )
    for name in OF_PHOTOS:
        if FLAGS.photos is None and _is_given(name):
            raise ValueError(
                f"--{name} is of an audit of photos. Received: --{name} with --run. "
                "Give --photos=DIR, or leave it out."
            )
    _check_choice()
    if FLAGS.table is not None and FLAGS.apply in ("copy", "move"):
        raise ValueError(
            "Only photos in class folders can be copied or moved. Received: --table "
            f"with --apply={FLAGS.apply}. Use --apply=csv."
        )


def _is_given(name):
    return FLAGS[name].value not in (None, False)


def _check_choice():
    """Raises a `ValueError` for flags of what to act on that do not go together."""
    tasks = [f"--apply={FLAGS.apply}"] if FLAGS.apply != "none" else []
    tasks += [f"--export={FLAGS.export}"] if FLAGS.export else []
    tasks += [f"--{name}" for name in ("compare", "serve") if FLAGS[name].value]
    if len(tasks) > 1:
        raise ValueError(
            "Expected one of --apply, --export, --compare and --serve. Received: "
            f"{' and '.join(tasks)}. Run the command once for each."
        )
    uses = {name: "--apply=csv, copy or move" for name in ("rows", "all", "below")}
    uses["dry_run"] = uses["rows"]
    uses["decisions"] = f"{uses['rows']}, --export or --compare"
    uses["held_out"] = "--compare"
    acts = FLAGS.apply in ACTIONS
    works = {
        "decisions": acts or FLAGS.export or FLAGS.compare,
        "held_out": FLAGS.compare,
        **dict.fromkeys(("rows", "all", "below"), acts or FLAGS.compare),
        "dry_run": acts,
    }
    for name, use in uses.items():
        if _is_given(name) and not works[name]:
            raise ValueError(
                f"--{name} belongs to {use}. Received: --{name} without {use}. Add "
                "it, or leave this out."
            )
    choices = [f"--{name}" for name in CHOICES if _is_given(name)]
    if len(choices) > 1:
        raise ValueError(
            "Expected one of --decisions, --rows, --all and --below. Received: "
            f"{' and '.join(choices)}. Leave out all but one of them."
        )
