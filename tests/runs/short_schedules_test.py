"""Warm-ups and ramps of compared methods in runs that are too short for them."""

import pytest

from josrc_keras import DivideMix, views
from josrc_keras.callbacks import Divide
from josrc_keras.configs import partial_digits
from josrc_keras.runs import build_model, corrections
from josrc_keras.runs.methods import METHODS
from tests.support import steps
from tests.support.models import CLASSES, linear_network


@pytest.mark.parametrize(("epochs", "warmup"), [(300, 10), (40, 10), (10, 3), (2, 1)])
def test_the_warmup_of_dividemix_ends_within_a_third(epochs, warmup):
    config = partial_digits.get_config("paper")
    config.method, config.epochs = "dividemix", epochs
    (divide,) = METHODS["dividemix"].callbacks(config, steps.batch()[0], None)
    assert divide.warmup_epochs == warmup


def test_a_warmup_that_never_ends_is_told(caplog):
    caplog.set_level("WARNING", logger="absl")
    images, labels = steps.batch(count=12)
    peer = linear_network()
    peer.set_weights([1 + weight for weight in peer.get_weights()])
    model = DivideMix(
        linear_network(), CLASSES, 12, views.crop_and_flip(padding=1), peer
    )
    model.compile("sgd")
    divide = Divide(lambda: [(images, labels)], warmup_epochs=1)
    model.fit(images, labels, epochs=1, callbacks=divide, verbose=0)
    assert "does not end within 1 epochs: DivideMix is ordinary" in caplog.text


@pytest.mark.parametrize(
    ("steps_in_all", "ramp"),
    [(100_000, (500, 2000)), (4000, (500, 2000)), (320, (40, 160)), (1, (0, 0))],
)
def test_the_ramp_of_mlnt_ends_within_half(steps_in_all, ramp):
    assert corrections.shortened_ramp((500, 2000), steps_in_all) == ramp


def test_a_run_shortens_the_ramp():
    config = partial_digits.get_config("paper")
    config.method, config.epochs = "mlnt", 10
    model = build_model.make_model(config, 8, 16, (8, 8, 1), 1000)
    assert model.ramp == (20, 80)


def test_the_rate_of_pencil_follows_the_batch():
    """A sample's step is the gradient of the batch's mean times the rate."""
    config = partial_digits.get_config("paper")
    config.method = "pencil"
    for batch_size in (32, 128, 256):
        config.batch_size = batch_size
        rate = METHODS["pencil"].arguments(config)["label_rate"]
        assert rate / batch_size == pytest.approx(500 / 128)
