"""Batches from TFRecord files, in tf.data. See `data.batches`.

Only labels and row numbers of the dataset are in memory. Each epoch draws an order of
the files and reads several of them in turns. Their images, still compressed, are
shuffled in a buffer.
"""

import os

import keras
import numpy as np
import tensorflow as tf

from josrc_keras.data.batches.in_memory import known_of, rows_of_epoch, shared
from josrc_keras.devices import replicas

# Images that are decoded at once. One for each core would leave cores without work
# while the oldest image, which has to come next, is not decoded.
DECODED_AT_ONCE = 4 * (os.cpu_count() or 1)
FILES_AT_ONCE = 16
BUFFER = 2048  # Records among which the next one is drawn.
TOGETHER = 64  # Records read at a time, which is faster than one by one.
FEATURES = {
    "image": tf.io.FixedLenFeature([], "string"),
    "row": tf.io.FixedLenFeature([], "int64"),
}


def train_batches(split, steps, batch_size, seed, initial_epoch, limit, group=1):
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
        pairs = _samples_in(records, taken, whole).unbatch()
        # This sets the seed of this function's graph alone. Without it the order would
        # follow the global seed.
        tf.random.set_seed(1)
        drawn = tf.random.stateless_uniform((), seeds, None, None, "int64")
        pairs = pairs.shuffle(BUFFER, seed=drawn, reshuffle_each_iteration=False)
        if group > 1:
            pairs = _grouped(pairs, tf.constant(split.labels), group)
        return pairs.take(steps * batch_size)

    data = tf.data.Dataset.counter(start=initial_epoch).flat_map(epoch_of)
    if last - first < batch_size:  # Other processes have the rest of each batch.
        data = data.batch(batch_size, drop_remainder=True)
        data = data.map(lambda image, sample: (image[first:last], sample[first:last]))
        data = data.unbatch()
    data = _decoded(data, split.images).batch(last - first, drop_remainder=True)
    return shared(data.map(lambda image, sample: (image, truth_of(sample))).prefetch(2))


def _grouped(pairs, labels, group):
    """The pairs in groups of one given label.

    The last group of a class is filled up with its own samples.
    """

    def filled(label, window):
        return window.repeat().take(group).batch(group)

    groups = pairs.group_by_window(
        lambda image, sample: tf.gather(labels, sample), filled, window_size=group
    )
    return groups.unbatch()


def evaluation_batches(split, batch_size):
    """Batches in original order; see `data.batches.evaluation_batches`."""
    labels = tf.constant(split.labels)
    data = in_order(split.images)
    parts = replicas.part_count() if keras.backend.backend() == "jax" else 1
    if parts == 1:
        batched = data.batch(batch_size)
        batched = batched.map(lambda x, i: (x, tf.gather(labels, i)))
        return _of_known_length(batched, len(split), batch_size)
    # The last batch is filled up, with weights of 0, as in `data.batches.on_device`.
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
    """The batches with their number, which tf.data does not know behind a filter."""
    count = -(-count // batch_size)
    known = batched.apply(tf.data.experimental.assert_cardinality(count))
    return shared(known.prefetch(2))


def in_order(images):
    """A `tf.data.Dataset` of `(image, sample)` in original order."""
    records = tf.data.TFRecordDataset(images.paths).batch(TOGETHER)
    whole = len(images) == images.total
    pairs = _samples_in(records, tf.constant(images.samples()), whole)
    return _decoded(pairs.unbatch(), images)


def _only(rows, samples):
    """The samples, with -1 in place of those that are not among the rows."""
    count = tf.reduce_max(samples) + 1
    kept = tf.scatter_nd(rows[:, None], tf.ones_like(rows), count[None]) > 0
    return tf.where(
        (samples >= 0) & tf.gather(kept, tf.maximum(samples, 0)), samples, -1
    )


def _samples_in(records, samples, whole):
    """A dataset of `(encoded images, samples)`, without records that are no sample.

    `whole` says that every record is a sample, which saves a copy of the images.
    """

    def parse(batch):
        fields = tf.io.parse_example(batch, FEATURES)
        sample = tf.gather(samples, fields["row"])
        if whole:
            return fields["image"], sample
        (kept,) = tf.unstack(tf.where(sample >= 0), axis=1)
        return tf.gather(fields["image"], kept), tf.gather(sample, kept)

    return records.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _decoded(data, images):
    """A dataset of `(image, sample)`, from one of `(encoded image, sample)`."""
    channels = images.image_shape[-1]

    def decode(content, sample):
        if images.encoding == "jpeg":
            # Pillow decodes like this. TensorFlow's default method is off by up to 8 of
            # 255, and no faster.
            image = tf.io.decode_jpeg(
                content, channels=channels, dct_method="INTEGER_ACCURATE"
            )
        else:
            image = tf.io.decode_png(content, channels=channels)
        return tf.ensure_shape(image, images.image_shape), sample

    # AUTOTUNE sometimes ends at one core where another process takes some of them.
    return data.map(decode, num_parallel_calls=DECODED_AT_ONCE, deterministic=True)


def _own_columns(batch_size):
    """The columns of each batch that this process feeds: the first, and past the last.

    On JAX a process feeds its own part. In TensorFlow it feeds whole batches, of which
    the strategy takes a part.
    """
    if keras.backend.backend() != "jax":
        return 0, batch_size
    import jax

    width = batch_size // jax.process_count()
    return jax.process_index() * width, (jax.process_index() + 1) * width
