"""Muon for networks of convolutions."""

import keras
from keras import ops

if not hasattr(getattr(keras.optimizers, "Muon", None), "lr_adjust"):
    raise ImportError(
        "Muon for convolutions needs Keras 3.13 or newer. Received: Keras "
        f"{keras.__version__}. `pip install -U keras`"
    )


@keras.saving.register_keras_serializable(package="josrc_keras")
class ConvolutionalMuon(keras.optimizers.Muon):
    """`keras.optimizers.Muon` whose step is also that of convolutions' kernels.

    Keras's own optimizer leaves every weight that is no matrix to AdamW. Here a kernel
    `(height, width, inputs, outputs)` is a matrix with a column for each output, as its
    author has it (Jordan et al., "Muon: An optimizer for hidden layers in neural
    networks", 2024). Biases, batch normalisation and the layers of `exclude_layers`
    stay with AdamW.

    Arguments are those of `keras.optimizers.Muon`.
    """

    def _should_use_adamw(self, variable):
        if len(variable.shape) != 4:
            return super()._should_use_adamw(variable)
        return any(keyword in variable.path for keyword in self.exclude_layers)

    def _muon_update_step(self, gradient, variable, lr, m):
        self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
        moved = ops.add(gradient, self.momentum * m) if self.nesterov else m
        matrix = ops.reshape(moved, (-1, moved.shape[-1]))
        update = self.lr_adjust(
            lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps)
        )
        self.assign_sub(variable, ops.reshape(update, variable.shape))
