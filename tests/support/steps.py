"""One step of a method with a linear network, redone in float64 NumPy."""

import keras
import numpy as np

from tests.support.models import CLASSES, SHAPE, linear_network

COUNT = 12
RATE = 0.25


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def batch(seed=0, classes=CLASSES, count=COUNT):
    """Images and given labels."""
    random = np.random.default_rng(seed)
    images = random.uniform(0, 255, (count, *SHAPE)).astype("float32")
    return images, random.integers(0, classes, count)


def make(method, *arguments, classes=CLASSES, rate=RATE, **options):
    """A compiled method with a linear network."""
    model = method(linear_network(classes), classes, *arguments, **options)
    model.compile(keras.optimizers.SGD(rate), metrics=["accuracy"])
    return model


def weights_of(model):
    return [np.asarray(w, "float64") for w in model.student.get_weights()]


def logits_of(images, weights):
    kernel, bias = weights
    return images.reshape(len(images), -1).astype("float64") / 255 @ kernel + bias


def numeric_gradients(loss, weights):
    """Central differences of a function of a list of arrays, which it changes."""
    gradients = []
    for array in weights:
        gradient = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            before = array[index]
            ends = []
            for step in (1e-5, -1e-5):
                array[index] = before + step
                ends.append(loss())
            array[index] = before
            gradient[index] = (ends[0] - ends[1]) / 2e-5
        gradients.append(gradient)
    return gradients


def check_step(model, images, labels, loss_of_logits, **options):
    """A step reports the loss and moves the weights by its gradient.

    Args:
        model: What `make` returned.
        images: The batch's images.
        labels: What the model is given with them.
        loss_of_logits: Function of the `(N, C)` logits that returns the loss.
        **options: Arguments of `train_on_batch`.

    Returns:
        The logs of the step, and the logits before it.
    """
    weights = weights_of(model)
    start = [array.copy() for array in weights]
    logits = logits_of(images, start)
    gradients = numeric_gradients(
        lambda: loss_of_logits(logits_of(images, weights)), weights
    )
    assert max(np.abs(gradient).max() for gradient in gradients) > 1e-3
    logs = model.train_on_batch(images, labels, return_dict=True, **options)
    if not options:
        np.testing.assert_allclose(logs["loss"], loss_of_logits(logits), rtol=2e-5)
    for now, then, gradient in zip(weights_of(model), start, gradients, strict=True):
        np.testing.assert_allclose(now, then - RATE * gradient, atol=2e-5)
    return logs, logits


def check_equals_standard(model, images, labels):
    """A step of the model moves its network as a step of `Standard` does."""
    from josrc_keras import Standard

    other = make(Standard, classes=model.num_classes)
    given = labels["label"] if isinstance(labels, dict) else labels
    ours = model.train_on_batch(images, labels, return_dict=True)
    theirs = other.train_on_batch(images, given, return_dict=True)
    np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=1e-6)
    for now, then in zip(weights_of(model), weights_of(other), strict=True):
        np.testing.assert_allclose(now, then, rtol=1e-5, atol=1e-6)
