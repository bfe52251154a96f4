"""What each method keeps on the device, beside its networks."""

import pytest

from josrc_keras.configs import digits8n_o
from josrc_keras.runs import build_model, methods

CLASSES = 8
# Numbers of four bytes that a sample needs, and networks as large as the student.
EXPECTED = {
    "standard": (0, 1),
    "decoupling": (0, 2),
    "coteaching": (0, 2),
    "coteaching_plus": (0, 2),
    "jocor": (0, 2),
    "f_correction": (0, 1),
    "m_correction": (0, 1),
    "joint_optim": (2 * CLASSES, 1),
    "meta_cleaner": (0, 1),
    "mlnt": (0, 2),
    "pencil": (CLASSES, 1),
    "dividemix": (2, 2),
    "cleannet": (1, 1),
    "cleannet_hard": (1, 1),
    "deepself": (2, 1),  # The second number is how alike an image is, for the audit.
    "josrc": (0, 2),
    "josrc_adaptive": (1, 2),
}


def size_of(variables):
    return sum(4 * v.value.shape.num_elements() for v in variables)


def made(name, samples):
    config = digits8n_o.get_config("paper")
    config.method = name
    return build_model.make_model(config, CLASSES, num_samples=samples)


@pytest.mark.parametrize("name", methods.METHODS)
def test_what_a_method_keeps(name):
    """Tables, networks, and a little more: counters, and CleanNet's second network."""
    numbers, networks = EXPECTED[name]
    few, many = made(name, 1000), made(name, 3000)
    kept = size_of(few.variables)
    assert (size_of(many.variables) - kept) / 2000 <= 4 * numbers
    rest = kept - 4 * 1000 * numbers - networks * size_of(few.student.variables)
    # Meta-Cleaner weighs groups of 4 images by 256 features each with 128 units.
    small = 4 * 4 * 256 * 128 if name == "meta_cleaner" else 0
    assert -64 <= rest - small <= 32_000
