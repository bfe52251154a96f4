"""The worker that trains `josrc_keras` through `Model.fit`; started by `step.py`.

An epoch of `fit` answers a request, so what is timed includes the augmentation on the
device, the metrics and the callbacks.

    josrc_step.py STEPS BATCH
"""

import os
import sys
import time

from pipe import Pipe

NUM_CLASSES = 80
EPOCHS = 10**6  # `fit` ends with the requests


def compiled_model():
    import keras

    from josrc_keras import JoSRC, networks, views

    keras.utils.set_random_seed(0)
    network = networks.cnn7(NUM_CLASSES, head="mlp")
    augmentation = views.crop_and_flip(padding=4)
    model = JoSRC(network, NUM_CLASSES, augmentation=augmentation)
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    return model


def random_dataset(batch):
    """The same batch of random images and labels again and again."""
    import numpy as np
    import tensorflow as tf

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, 32, 32, 3), dtype="uint8")
    labels = random.integers(0, NUM_CLASSES, batch)
    return tf.data.Dataset.from_tensors((images, labels)).repeat()


def answer_requests(pipe, steps):
    """A callback that times the epochs that were asked for."""
    import keras

    class AnswerRequests(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if pipe.wait() != steps:
                os._exit(0)  # no more requests
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            pipe.reply(seconds=time.perf_counter() - self.start)

    return AnswerRequests()


def main():
    pipe = Pipe()
    steps, batch = map(int, sys.argv[1:])

    import keras
    import tensorflow as tf

    from josrc_keras.callbacks import CleanThreshold, MeanTeacher

    model = compiled_model()
    pipe.reply(keras=keras.__version__, tensorflow=tf.__version__)
    model.fit(
        random_dataset(batch),
        steps_per_epoch=steps,
        epochs=EPOCHS,
        verbose=0,
        callbacks=[
            answer_requests(pipe, steps),
            # The joint phase begins at epoch 1, the first.
            CleanThreshold(tau_c=0.75, tau_m=0.95, warmup_epochs=1),
            MeanTeacher(decay=0.99),
        ],
    )


if __name__ == "__main__":
    main()
