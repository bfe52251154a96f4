"""The reported half of the suite, and its page."""

import pytest

from josrc_keras.reproduction import robustness_page
from tests.support.robustness_page import report_records


@pytest.fixture(scope="module")
def made():
    return report_records()


@pytest.fixture(scope="module")
def written(made):
    return robustness_page.write(made)
