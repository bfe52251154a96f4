"""Records of the digits, and their page."""

import pytest

from josrc_keras.reproduction import tables_page
from tests.support.synthetic import make_record


@pytest.fixture(scope="module")
def made():
    """Records of the digits: three seeds, two methods, two cells."""
    return [
        make_record(method, cell, seed)
        for method in ("josrc", "standard")
        for cell in ("asymmetric-0.4", "symmetric-0.2")
        for seed in (2, 0, 1)
    ]


@pytest.fixture(scope="module")
def written(made):
    return tables_page.write(made, "digits")
