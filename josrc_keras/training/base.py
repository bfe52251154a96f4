"""What all models for noisy labels share: data checks, metrics by phase, compile."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import keras

from josrc_keras import _checks, _runtime, losses
from josrc_keras.data.checks import class_weights, contract, values
from josrc_keras.networks import freezing
from josrc_keras.networks.checks import check_network, input_shape
from josrc_keras.training import jax_step, required_callbacks, tf_step
from josrc_keras.training.reporting import ReportingModel


class NoisyLabelModel(ReportingModel):
    """A `keras.Model` with a loss of its own, trained on labels that may be wrong.

    A subclass overrides `train_step`, and its constructor ends with `make_metrics`.

    Args:
        network: A built `keras.Model` from images to logits `(N, C)`.
        num_classes: C, at least 2.
        augmentation: A `keras.Layer` that draws a new view each time it is called with
            `training=True`, or None.
        further: Dict from an attribute's name to a function of the student that makes
            a further network; set by subclasses.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        student: The trained network.
        controls: Dict from a variable that a callback must set to an example of that
            callback.
        serialized: Names of the constructor's arguments that are Keras objects.
        needs_two_views: Whether training compares two views of an image.
    """

    controls: ClassVar[dict] = {}
    serialized: ClassVar[tuple] = ("network", "augmentation")
    needs_two_views = True

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        augmentation: keras.Layer | None = None,
        *,
        further: Mapping[str, Callable[[Any], Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        _checks.check_backend("tensorflow", "jax")
        super().__init__(**kwargs)
        # The networks come first, since a checkpoint holds variables in this order.
        self.student = check_network(network, num_classes)
        for name, make in (further or {}).items():
            setattr(self, name, make(self.student))
        self.num_classes = num_classes
        self.augmentation = _checks.check_augmentation(augmentation)

    def make_variables(self, *names: str) -> None:
        """Creates scalars that callbacks write and the compiled step reads."""
        for name in names:
            variable = self.add_weight(
                name=name,
                shape=(),
                initializer="zeros",
                dtype="float32",
                trainable=False,
                aggregation="only_first_replica",
            )
            setattr(self, name, variable)

    # This is a method, since Keras saves the layers that it finds in properties.

    def data_contract(self) -> contract.Contract:
        """What this model expects of its data."""
        shape = input_shape(self.student)
        return contract.Contract(
            self.num_classes, shape, self.augmentation, self.needs_two_views
        )

    def required_controls(self) -> dict[str, str]:
        """The variables that a callback must set in `fit`, as `controls` has them."""
        return self.controls

    def passes(self) -> int:
        """What a training step costs for each sample, in forward passes.

        A backward pass counts as two forward ones. A pass over the training data at an
        epoch's end, which a method learns from, counts as if each step had its part.
        """
        return self.passes_of_view() * len(self.trained_networks())

    def passes_of_view(self) -> int:
        """What learning from a view costs: 3 forward passes, or 1 of a frozen one."""
        return 1 if freezing.is_frozen(self.student) else 3

    # Evaluation and prediction use the student.

    def call(self, images: Any, training: bool = False) -> Any:
        """The student's logits `(N, C)`; of the first view if there are two."""
        return self.student(self.seen_in_evaluation(images), training=training)

    def export(self, *args: Any, **kwargs: Any) -> None:
        """Exports the network that answers, as `keras.Model.export` does.

        Without an `input_signature` it takes float32 images of the network's size.
        """
        shape = input_shape(self.student)
        if shape is not None and len(args) < 4:
            signature = [keras.InputSpec("float32", (None, *shape[1:]))]
            kwargs.setdefault("input_signature", signature)
        super().export(*args, **kwargs)

    def seen_in_evaluation(self, images: Any) -> Any:
        """What a network sees of images that are not augmented, such as their middle.

        The augmentation decides this when it is called with `training=False`. Most
        return the images as they are.
        """
        if isinstance(images, dict):
            return images["view_a"]
        if self.augmentation is None:
            return images
        return self.augmentation(images, training=False)

    def test_step(self, *arguments: Any) -> Any:
        """Runs `evaluation_step`. On JAX, Keras passes `(state, data)`."""
        *state, data = arguments
        if state:
            return jax_step.test_step(self, state[0], data)
        return self.evaluation_step(data)

    def evaluation_step(self, data: Any) -> dict[str, Any]:
        """Cross-entropy against the given labels, and the compiled metrics."""
        batch = contract.unpack(data)
        self.data_contract().check(batch, training=False)
        logits = self.evaluate_batch(batch)
        with self._reporting_evaluation():
            return self.compute_metrics(
                None, batch.labels, logits, sample_weight=batch.sample_weight
            )

    def network_to_evaluate(self) -> keras.Model:
        """The network whose loss and compiled metrics `evaluate` reports."""
        return self.student

    def evaluate_batch(self, batch: contract.Batch) -> Any:
        """Updates the loss with a batch; returns the logits `(N, C)` for metrics."""
        images = self.seen_in_evaluation(batch.images)
        logits = self.network_to_evaluate()(images, training=False)
        per_sample = losses.cross_entropy(batch.integer_labels(), logits)
        _runtime.loss_metric(self).update_state(per_sample, batch.sample_weight)
        return logits

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: None = None,
        loss_weights: None = None,
        metrics: Any = None,
        **kwargs: Any,
    ) -> None:
        """Configures training, as `keras.Model.compile` does without a loss.

        Args:
            optimizer: A Keras optimizer or its name.
            loss: Must be None; the method has its own.
            loss_weights: Must be None.
            metrics: List of Keras metrics, against the given labels.
            **kwargs: Further arguments of `keras.Model.compile`.

        Raises:
            ValueError: If a loss is given, or `jit_compile=True` with many replicas of
                a TensorFlow strategy.
        """
        if loss is not None or loss_weights is not None:
            raise ValueError(
                f"{type(self).__name__} brings its own loss. Received: loss={loss!r}, "
                f"loss_weights={loss_weights!r}. Leave both out of `compile`."
            )
        if kwargs.get("jit_compile") is True and tf_step.distributed(self):
            raise ValueError(
                "A step of many TensorFlow replicas can't be compiled by XLA: they "
                "synchronise within it. Received: jit_compile=True. Leave it out, or "
                "train on the JAX backend, whose step is compiled for all devices."
            )
        half = any(
            layer.compute_dtype == "float16" for layer in _runtime.all_layers(self)
        )
        optimizer = keras.optimizers.get(optimizer)
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if half and not scaled and kwargs.get("auto_scale_loss", True):
            # Keras looks only at this model's policy, not at that of the network.
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        super().compile(optimizer=optimizer, metrics=metrics, **kwargs)

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compiles a loaded model as it was when saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Trains as `keras.Model.fit` does, after checking data and callbacks.

        Args:
            *args: As for `keras.Model.fit`.
            **kwargs: As for `keras.Model.fit`. `callbacks` must include those that the
                method requires.

        Returns:
            A `keras.callbacks.History`.

        Raises:
            ValueError: If a callback is missing or the data is not what the class
                docstring says.
            FloatingPointError: If the loss becomes NaN or infinite.
        """
        signature = inspect.signature(super().fit)
        given = signature.bind(*args, **kwargs).arguments
        given["callbacks"] = required_callbacks.with_required_callbacks(
            given.get("callbacks"), self.required_controls()
        )
        given |= class_weights.as_sample_weights(given)
        self._check_inputs(given, training=True)
        self.before_fit(given)
        steps, together = given.get("steps_per_epoch"), self.steps_per_execution
        if steps and steps % together:
            raise ValueError(
                f"Expected steps_per_epoch as a multiple of steps_per_execution, "
                f"{together}. Received: steps_per_epoch={steps}, and Keras would train "
                "on past the end of the epoch. Compile with one of its divisors."
            )
        if given.get("validation_data") is not None:
            given["validation_data"] = values.checked_validation(
                given["validation_data"], self.data_contract()
            )
        try:
            with values.readable_errors():
                return super().fit(**given)
        except BaseException:
            self.after_failed_fit()
            raise

    def before_fit(self, given: dict[str, Any]) -> None:
        """Completes the checked arguments of `fit`, a dict, in place."""

    def after_failed_fit(self) -> None:
        """Undoes what callbacks set, which do not see the end of a failed `fit`."""
        self.set_monitored(False)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluates as `keras.Model.evaluate` does, after checking the data.

        Args:
            *args: As for `keras.Model.evaluate`.
            **kwargs: As for `keras.Model.evaluate`.

        Returns:
            The loss and the compiled metrics, as from `keras.Model.evaluate`; with
            `return_dict=True` also the method's own `evaluation_metrics`.

        Raises:
            ValueError: If the data is not what the class docstring says.
        """
        if not _runtime.is_validation_of_fit(kwargs):
            signature = inspect.signature(super().evaluate)
            kwargs = signature.bind(*args, **kwargs).arguments
            kwargs |= kwargs.pop("kwargs", {})
            args = ()
            self._check_inputs(kwargs, training=False)
        as_dict = kwargs.pop("return_dict", False)
        with self._reporting_evaluation(), values.readable_errors():
            results = super().evaluate(*args, **kwargs, return_dict=True)
        if as_dict:
            return results
        own = {k: v for k, v in results.items() if k not in self.evaluation_metrics}
        return _runtime.listed(self, own)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Predicts logits as `keras.Model.predict` does.

        Args:
            x: As for `keras.Model.predict`.
            *args: As for `keras.Model.predict`.
            **kwargs: As for `keras.Model.predict`.

        Returns:
            `(N, C)` logits.

        Raises:
            ValueError: If `x` is a single image.
        """
        shape, given = input_shape(self.student), getattr(x, "shape", None)
        if shape is not None and given is not None and len(given) == len(shape) - 1:
            raise ValueError(
                f"Expected images (N, {', '.join(map(str, shape[1:]))}). Received: "
                f"shape {tuple(given)}, as of a single image. Pass x[None]."
            )
        return super().predict(x, *args, **kwargs)

    def _check_inputs(self, given, *, training):
        """Checks, in place, the data among the arguments of `fit` or `evaluate`."""
        names = ("x", "y", "sample_weight")
        parts = [given.get(name) for name in names]
        checked = values.checked_inputs(parts, self.data_contract(), training=training)
        given.update(zip(names, checked, strict=True))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "network": keras.saving.serialize_keras_object(self.student),
            "num_classes": self.num_classes,
            "augmentation": keras.saving.serialize_keras_object(self.augmentation),
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """Makes a model from `get_config()`."""
        config = dict(config)
        for part in cls.serialized:
            if part in config:
                config[part] = keras.saving.deserialize_keras_object(
                    config[part], custom_objects=custom_objects
                )
        return cls(**config)
