"""A command that ends as its flag `--as` says: in an error that is meant, or a bug."""

import sys
from pathlib import Path

from absl import flags

from josrc_keras import _checks, labels, schedules
from josrc_keras.commands import shell
from josrc_keras.export.proof import ExportError
from josrc_keras.networks import registry
from josrc_keras.runs import build_model


def broken_network(*arguments, **options):
    return len(5)


def bug_within_the_package():
    """Of a function that a test has broken: Python itself complains."""
    from josrc_keras.configs import digits8n_o

    registry.NETWORKS["digits_cnn"] = broken_network
    build_model.make_model(digits8n_o.get_config("paper"), 8)


def bug_that_names_what_it_received():
    raise TypeError("Received: this, from outside of the package.")


def read_damaged_records():
    """What TensorFlow says of a file of which a byte was changed since."""
    import tensorflow as tf

    from josrc_keras.data.records import damage

    with tf.io.TFRecordWriter("damaged.tfrecord") as writer:
        writer.write(b"an image")
    path = Path("damaged.tfrecord")
    path.write_bytes(path.read_bytes().replace(b"image", b"Image"))
    damage.remember([path])  # As `records.read` does.
    list(tf.data.TFRecordDataset(str(path)))


def own_class():
    raise ExportError("The artefact differs.")


ENDS = {
    "meant": lambda: labels.check_smoothing(0.9, 2),
    "install": lambda: _checks.imported("no_such_package", "this", "report"),
    "own class": own_class,
    "file": Path("absent.txt").read_text,
    "damaged": read_damaged_records,
    "bug": bug_within_the_package,
    "attribute": lambda: schedules.no_such_plan,
    "key": lambda: {}["absent"],
    "numpy": lambda: labels.check_smoothing("much", 2),
    "outside": bug_that_names_what_it_received,
    "well": lambda: shell.say("done"),
}
AS = flags.DEFINE_enum("as", None, list(ENDS), "How it ends.")


def fail():
    ENDS[AS.value]()


if __name__ == "__main__":
    fail.__module__ = __name__
    shell.run(fail)
    sys.exit(0)
