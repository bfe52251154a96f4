"""Measures how long an artefact takes, beside the plain Keras network."""

import functools
import statistics
import time

import numpy as np

from josrc_keras.export import served_process
from josrc_keras.networks import input_shape

BATCHES = (1, 128)
SECONDS = 1.0  # Time for each artefact and batch size.


def measure(network, serving, artefacts, batches=BATCHES, seconds=SECONDS):
    """Times artefacts and the plain network in turns, in this process.

    Args:
        network: The `keras.Model` that was exported. It gets pixels in its own size.
        serving: The fitted `serving.Serving` of the artefacts.
        artefacts: Dict from a name to `(format, path)`.
        batches: Batch sizes.
        seconds: Time for each artefact and batch size, in seconds.

    Returns:
        A list of dicts: `name`, `batch`, `milliseconds` (the median of the calls), and
        `ratio` to Keras's `predict_on_batch` (below 1 is faster).
    """
    height, width, channels = (
        side or 64 for side in (*serving.image_size, input_shape(network)[-1])
    )
    predictors = {
        name: served_process.PREDICTORS[format](str(path))
        for name, (format, path) in artefacts.items()
    }
    rows = []
    for batch in batches:
        images = np.random.default_rng(0).uniform(
            0, 255, (batch, height, width, channels)
        )
        pixels, images = images.astype("float32"), images.astype(serving.dtype)
        calls = {"keras": functools.partial(network.predict_on_batch, pixels)}
        for name, predict in predictors.items():
            calls[name] = functools.partial(predict, "all", images)
        medians = _medians(calls, seconds)
        for name, median in medians.items():
            ratio = median / medians["keras"]
            rows.append(
                {
                    "name": name,
                    "batch": batch,
                    "milliseconds": 1000 * median,
                    "ratio": ratio,
                }
            )
    return rows


def _medians(calls, seconds):
    """The median time of each call in seconds, taken in turns."""
    times: dict = {name: [] for name in calls}
    for call in calls.values():  # The first call compiles and is not counted.
        call()
    end = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < end or len(times["keras"]) < 5:
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}
