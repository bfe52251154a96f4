"""Kind: a folder that is gone when a program still writes to it."""

import shutil

import keras
import pytest

from josrc_keras.configs import digits8n_o
from josrc_keras.runs.train import train


@pytest.mark.parametrize("way", ["removed", "emptied"])
def test_a_run_folder_that_is_removed_while_it_trains(tmp_path, way):
    """Training stops, instead of ending well in a folder that nothing can read."""
    config = digits8n_o.get_config("paper")
    config.epochs, config.batch_size = 3, 32
    config.data.train_size = 64

    class Remove(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                shutil.rmtree(tmp_path / "run")
            if epoch == 1 and way == "emptied":
                (tmp_path / "run").mkdir()

    with pytest.raises(
        OSError, match=r"was removed while it trained\. Received: .*run"
    ):
        train(config, tmp_path / "run", verbose=0, callbacks=[Remove()])
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in left if "tfevents" not in path.name]
