"""Which samples have the smallest losses: what Co-teaching and its kin select."""

from keras import ops

ROUNDING = 1e-4  # 1 - 0.8 in float32 is a little less than 0.2: 5 samples keep 1.


def smallest(per_sample, share, among=None, up=0.0):
    """The share of the samples with the smallest loss.

    Of M candidates it selects `floor(share * M)`, as the methods' published code does
    with a batch; of equal losses the earlier sample. With `up` it is the ceiling, the
    least number that is at least the share, as their papers write it: of few
    candidates the floor would leave none.

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
    # Other samples come last; two stable sorts turn an order into ranks.
    far = ops.full_like(per_sample, float("inf"))
    order = ops.argsort(ops.where(among, per_sample, far))
    rank = ops.cast(ops.argsort(order), "float32")
    return ops.logical_and(among, rank < keep)


def disagreement(logits_a, logits_b):
    """`(N,)` boolean: where two networks predict different classes."""
    return ops.argmax(logits_a, axis=-1) != ops.argmax(logits_b, axis=-1)
