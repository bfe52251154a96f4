"""The worker of `step.py` that trains `josrc_keras` through `Model.fit`.

An epoch of `fit` answers a request, so that the time includes the augmentation on the
device, the metrics and the callbacks.

    josrc_step.py STEPS BATCH [--xla] [--devices=2] [--lean]
"""

import argparse
import os
import time

from pipe import Pipe

NUM_CLASSES = 80
EPOCHS = 10**6  # `fit` ends when the requests do.


def compiled_model(jit_compile):
    import keras

    from josrc_keras import JoSRC, networks, views

    keras.utils.set_random_seed(0)
    network = networks.cnn7(NUM_CLASSES, head="mlp")
    augmentation = views.crop_and_flip(padding=4)
    model = JoSRC(network, NUM_CLASSES, augmentation=augmentation)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=jit_compile)
    return model


def lean_model(batch):
    """The adaptive method as the recipe `lean` has it, for one batch of samples."""
    from josrc_keras.configs import cifar80n_o
    from josrc_keras.runs import build_model

    config = cifar80n_o.get_config("lean")
    config.deterministic = "never"
    return build_model.make_model(config, NUM_CLASSES, 1, (32, 32, 3), batch)


def products(network):
    """Multiplications of one image's forward pass, and those of its first layer."""
    import keras
    import numpy as np

    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    each = [
        np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:-1], dtype=int)
        for layer in network.layers
        if isinstance(layer, kinds)
    ]
    return int(sum(each)), int(each[0])


def flops(network, batch, views=2):
    """Arithmetic of a step: views of the student, with gradients, and the teacher.

    A layer's gradients count as two passes, but as one in the first layer, since no
    gradient flows into the images.
    """
    whole, first = products(network)
    return views * batch * 2 * (3 * whole - first + whole)


def random_dataset(size, numbered=False):
    """A dataset that repeats one batch of random images and labels."""
    import itertools

    import keras
    import numpy as np

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (size, 32, 32, 3), dtype="uint8")
    labels = random.integers(0, NUM_CLASSES, size).astype("int32")
    if numbered:
        labels = {"label": labels, "index": np.arange(size)}
    if keras.backend.backend() == "jax":
        return (batch for batch in itertools.repeat((images, labels)))
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensors((images, labels)).repeat()
    options = tf.data.Options()
    policy = tf.data.experimental.AutoShardPolicy.DATA
    options.experimental_distribute.auto_shard_policy = policy
    return dataset.with_options(options)


def answer_requests(pipe, steps):
    """A callback that times the epochs that were asked for."""
    import keras

    class AnswerRequests(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if pipe.wait() != steps:
                os._exit(0)  # There are no more requests.
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            pipe.reply(seconds=time.perf_counter() - self.start)

    return AnswerRequests()


def train(pipe, options):
    import keras

    from josrc_keras.callbacks import CleanThreshold, LabelTrust, MeanTeacher
    from josrc_keras.runs import summary

    # The joint phase begins with epoch 1, which is the first.
    control = CleanThreshold(tau_c=0.75, tau_m=0.95, warmup_epochs=1)
    if options.lean:
        model, control = lean_model(options.batch), LabelTrust(options.batch)
    else:
        model = compiled_model(True if options.xla else "auto")
    found = summary.versions()
    versions = {name: found[name] for name in ("keras", keras.backend.backend())}
    views = 1 if options.lean else 2
    pipe.reply(flops=flops(model.student, options.batch, views), **versions)
    model.fit(
        random_dataset(options.batch, numbered=options.lean),
        steps_per_epoch=options.steps,
        epochs=EPOCHS,
        verbose=0,
        callbacks=[
            answer_requests(pipe, options.steps),
            control,
            MeanTeacher(decay=0.99),
        ],
    )


def main():
    pipe = Pipe()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", type=int)
    parser.add_argument("batch", type=int)
    parser.add_argument("--xla", action="store_true")
    parser.add_argument("--lean", action="store_true")
    parser.add_argument("--devices", type=int, help="that the CPU is split into")
    options = parser.parse_args()
    from josrc_keras.devices import strategies

    with strategies.scope("mirrored" if options.devices else "none", options.devices):
        train(pipe, options)


if __name__ == "__main__":
    main()
