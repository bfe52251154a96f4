"""Batches from TFRecord files, in tf.data; `data.batches` says what they are.

Of the whole dataset only labels and row numbers are in memory. An epoch's order is
that of the files, drawn anew, several of which are read in turns; what they give, still
compressed, is shuffled in a buffer.
"""

import os

import keras
import numpy as np
import tensorflow as tf

from josrc_keras.data.batches.in_memory import known_of, rows_of_epoch, shared
from josrc_keras.devices import replicas

# Images that are decoded at once. As many as cores would leave cores without work
# while the oldest image, which is next, is not done.
DECODED_AT_ONCE = 4 * (os.cpu_count() or 1)
FILES_AT_ONCE = 16
BUFFER = 2048  # Records among which the next one is drawn.
TOGETHER = 64  # Records read at a time, which takes less than one by one.
FEATURES = {
    "image": tf.io.FixedLenFeature([], "string"),
    "row": tf.io.FixedLenFeature([], "int64"),
}


def train_batches(split, steps, batch_size, seed, initial_epoch, limit):
    """Endless shuffled batches; see `data.batches.train_batches`."""
    samples = tf.constant(split.images.samples())
    truth_of, rows_of = known_of(split), rows_of_epoch(split, seed, limit)
    whole = limit is None and len(split) == split.images.total
    first, last = _own_columns(batch_size)

    def epoch_of(epoch):
        seeds = tf.stack([np.int64(seed), epoch])
        paths = tf.random.experimental.stateless_shuffle(split.images.paths, seed=seeds)
        records = tf.data.Dataset.from_tensor_slices(paths).interleave(
            lambda path: tf.data.TFRecordDataset(path).batch(TOGETHER),
            cycle_length=FILES_AT_ONCE,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        taken = samples if limit is None else _only(rows_of(epoch), samples)
        found = _samples_in(records, taken, whole).unbatch()
        # Of this function's graph alone: else the order would follow the global seed.
        tf.random.set_seed(1)
        drawn = tf.random.stateless_uniform((), seeds, None, None, "int64")
        found = found.shuffle(BUFFER, seed=drawn, reshuffle_each_iteration=False)
        return found.take(steps * batch_size)

    data = tf.data.Dataset.counter(start=initial_epoch).flat_map(epoch_of)
    if last - first < batch_size:  # Other processes have the rest of each batch.
        data = data.batch(batch_size, drop_remainder=True)
        data = data.map(lambda image, found: (image[first:last], found[first:last]))
        data = data.unbatch()
    data = _decoded(data, split.images).batch(last - first, drop_remainder=True)
    return shared(data.map(lambda image, found: (image, truth_of(found))).prefetch(2))


def evaluation_batches(split, batch_size):
    """Batches in original order; see `data.batches.evaluation_batches`."""
    labels = tf.constant(split.labels)
    data = in_order(split.images)
    parts = replicas.part_count() if keras.backend.backend() == "jax" else 1
    if parts == 1:
        batched = data.batch(batch_size)
        batched = batched.map(lambda x, i: (x, tf.gather(labels, i)))
        return _of_known_length(batched, len(split), batch_size)
    # As in `data.resident`: the last batch is filled up, with weights of 0.
    batch_size = -(-batch_size // parts) * parts
    padding = data.take(1).repeat(-len(split) % batch_size)
    weights = tf.data.Dataset.range(len(split)).map(lambda _: 1.0)
    weights = weights.concatenate(tf.data.Dataset.from_tensors(0.0).repeat())
    first, last = _own_columns(batch_size)
    batched = tf.data.Dataset.zip(data.concatenate(padding), weights).batch(batch_size)
    batched = batched.map(
        lambda xi, w: (
            xi[0][first:last],
            tf.gather(labels, xi[1][first:last]),
            w[first:last],
        )
    )
    return _of_known_length(batched, len(split), batch_size)


def _of_known_length(batched, count, batch_size):
    """Says how many batches there are, which a filter hides."""
    count = -(-count // batch_size)
    known = batched.apply(tf.data.experimental.assert_cardinality(count))
    return shared(known.prefetch(2))


def in_order(images):
    """A `tf.data.Dataset` of `(image, sample)` in original order."""
    records = tf.data.TFRecordDataset(images.paths).batch(TOGETHER)
    whole = len(images) == images.total
    found = _samples_in(records, tf.constant(images.samples()), whole)
    return _decoded(found.unbatch(), images)


def _only(rows, samples):
    """The samples, -1 for those that are not among the rows."""
    count = tf.reduce_max(samples) + 1
    kept = tf.scatter_nd(rows[:, None], tf.ones_like(rows), count[None]) > 0
    return tf.where(
        (samples >= 0) & tf.gather(kept, tf.maximum(samples, 0)), samples, -1
    )


def _samples_in(records, samples, whole):
    """`(encoded images, samples)` of those of a batch of records that are samples.

    `whole` says that all are: their images are copied once less.
    """

    def parse(batch):
        found = tf.io.parse_example(batch, FEATURES)
        sample = tf.gather(samples, found["row"])
        if whole:
            return found["image"], sample
        (kept,) = tf.unstack(tf.where(sample >= 0), axis=1)
        return tf.gather(found["image"], kept), tf.gather(sample, kept)

    return records.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _decoded(data, images):
    """The images of `(encoded image, sample)`."""
    channels = images.image_shape[-1]

    def decode(content, sample):
        if images.encoding == "jpeg":
            # As Pillow decodes. TensorFlow's default, the fast method, is off by up
            # to 8 of 255, and no faster.
            image = tf.io.decode_jpeg(
                content, channels=channels, dct_method="INTEGER_ACCURATE"
            )
        else:
            image = tf.io.decode_png(content, channels=channels)
        return tf.ensure_shape(image, images.image_shape), sample

    # Tuned, it ends at one core at times where another process takes some of them.
    return data.map(decode, num_parallel_calls=DECODED_AT_ONCE, deterministic=True)


def _own_columns(batch_size):
    """The part of each batch that this process feeds: on JAX its own, else all.

    In TensorFlow the strategy takes its part of a dataset of whole batches.
    """
    if keras.backend.backend() != "jax":
        return 0, batch_size
    import jax

    width = batch_size // jax.process_count()
    return jax.process_index() * width, (jax.process_index() + 1) * width
