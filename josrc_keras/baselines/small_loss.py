"""Which samples have the smallest losses, as Co-teaching and its successors ask."""

from keras import ops

ROUNDING = 1e-4  # In float32, 5 * (1 - 0.8) is a little less than 1.


def smallest(per_sample, share, among=None, up=0.0):
    """The share of the samples with the smallest loss.

    Of M candidates `floor(share * M)` are selected, as the methods' published code does
    with a batch. Of equal losses the earlier sample is selected. With `up` the number
    is the ceiling, as in the papers: of few candidates the floor might select none.

    Args:
        per_sample: `(N,)` losses.
        share: Scalar in [0, 1], the papers' R(T).
        among: `(N,)` boolean, the candidates; None means all.
        up: Scalar, 1 to round up, or 0.

    Returns:
        `(N,)` boolean.
    """
    per_sample = ops.stop_gradient(per_sample)
    if among is None:
        among = ops.ones_like(per_sample, dtype="bool")
    candidates = ops.sum(ops.cast(among, "float32"))
    keep, most = (
        ops.floor(share * candidates + ROUNDING),
        ops.ceil(share * candidates - ROUNDING),
    )
    keep += up * (most - keep)
    # Samples that are no candidates come last. Sorting the order itself gives ranks.
    far = ops.full_like(per_sample, float("inf"))
    order = ops.argsort(ops.where(among, per_sample, far))
    rank = ops.cast(ops.argsort(order), "float32")
    return ops.logical_and(among, rank < keep)


def disagreement(logits_a, logits_b):
    """`(N,)` boolean: where two networks predict different classes."""
    return ops.argmax(logits_a, axis=-1) != ops.argmax(logits_b, axis=-1)
