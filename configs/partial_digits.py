"""Jo-SRC on scikit-learn's digits, with noise of any kind; see configs/partial.py.

    josrc-train --config=partial_digits --workdir=runs/pairflip \
        --config.data.noise=pairflip --config.data.rate=0.4

The noise may also be a weak network's mistakes (`noise=image`), and there may be
out-of-distribution images (`partial.ood_share`).
"""

from josrc_keras.configs import digits8n_o


def get_config(recipe="adaptive"):
    config = digits8n_o.get_config(recipe)
    config.data.name = "partial"
    config.data.partial.source = "digits"
    return config
