"""What a prediction says about a given label: probability, and how well classes fit.

All functions take the logits `(N, C)` of one view and the given labels `(N,)`.
"""

from keras import ops

LOWEST = -1e30  # Lower than the logit of any class.


def given_prob(logits, labels):
    """Probability of the given label.

    Unlike the clean likelihood (eq. 3) it does not fall for a confident prediction. Its
    mean over the epochs of training ranks wrong labels best of what was compared
    (docs/explanation/how_it_was_chosen.md): a wrong label is learnt late and forgotten
    often.

    Returns:
        `(N,)` float32 in [0, 1].
    """
    probs = ops.softmax(ops.cast(logits, "float32"))
    return ops.sum(probs * _of_given(logits, labels), axis=-1)


def other_prob(logits, labels):
    """Probability of the best of the other classes, `(N,)` float32 in [0, 1]."""
    probs = ops.softmax(ops.cast(logits, "float32"))
    return ops.max(probs * (1.0 - _of_given(logits, labels)), axis=-1)


def given_logit(logits, labels):
    """How well the given class fits: its logit, `(N,)` float32."""
    logits = ops.cast(logits, "float32")
    return ops.sum(logits * _of_given(logits, labels), axis=-1)


def other_logit(logits, labels):
    """How well the best of the other classes fits: the largest of their logits.

    It is small for an out-of-distribution image, and large for an image of a class
    other than the given one. The largest logit is known from open-set recognition
    (Hendrycks et al., "Scaling Out-of-Distribution Detection for Real-World Settings",
    ICML 2022). Here the given class is left out, since a network may have learnt a
    wrong label by heart.

    Returns:
        `(N,)` float32.
    """
    logits = ops.cast(logits, "float32")
    return ops.max(logits + LOWEST * _of_given(logits, labels), axis=-1)


def of_views(logits_a, logits_b, labels):
    """What a training step records: the mean of each of `FINDINGS` over both views.

    What both views together are predicted as (`PREDICTIONS`) is recorded as well.

    Returns:
        Dict of `(N,)` float32.
    """
    means = {
        name: (find(logits_a, labels) + find(logits_b, labels)) / 2
        for name, find in FINDINGS.items()
    }
    probs = [ops.softmax(ops.cast(each, "float32")) for each in (logits_a, logits_b)]
    both = probs[0] + probs[1]
    others = both * (1.0 - _of_given(logits_a, labels))
    alike = ops.argmax(logits_a, axis=-1) == ops.argmax(logits_b, axis=-1)
    predictions = ops.argmax(both, axis=-1), ops.argmax(others, axis=-1), alike
    return means | {
        name: ops.cast(each, "float32")
        for name, each in zip(PREDICTIONS, predictions, strict=True)
    }


def _of_given(logits, labels):
    return ops.one_hot(labels, logits.shape[-1], dtype="float32")


# Predicted class, best class other than the given, and whether both views agree.
PREDICTIONS = ("predicted", "other_class", "consistent")
FINDINGS = {
    "given_prob": given_prob,
    "other_prob": other_prob,
    "given_logit": given_logit,
    "other_logit": other_logit,
}
