"""What all models for noisy labels share: data checks, metrics by phase, compile."""

import contextlib
import inspect
from typing import ClassVar

import keras
from keras import ops

from josrc_keras import losses, metrics
from josrc_keras.data.checks import contract, values
from josrc_keras.networks import input_shape
from josrc_keras.samples import numbering
from josrc_keras.training import jax_step, required_callbacks, tf_step
from josrc_keras.training.step import Descent


class NoisyLabelModel(Descent):
    """A `keras.Model` with a loss of its own, trained on labels that may be wrong.

    A subclass has `student`, `num_classes` and `augmentation`, calls `make_metrics`
    in its constructor, and overrides `train_step`.

    Attributes:
        required_controls: Dict from a variable that a callback must set to an example
            of that callback.
        needs_two_views: Whether training compares two views of an image.
        verdicts: The kinds of `metrics.KINDS` that it tells apart from the rest of the
            samples, so that they can be judged; none if it does not sort samples.
        training_metrics: Names of the metrics that only training reports.
        evaluation_metrics: Names of those that only evaluation reports.
        monitored: Whether predictions and verdicts are compared with the true labels;
            see `callbacks.SelectionMonitor`.
    """

    required_controls: ClassVar[dict] = {}
    needs_two_views = True
    verdicts: ClassVar[tuple] = ()
    training_metrics: ClassVar[tuple] = ()
    evaluation_metrics: ClassVar[tuple] = ()

    def make_metrics(self):
        """Creates the metrics that every method has."""
        self.monitored = False
        self._evaluating = False
        self._training_means = {
            name: keras.metrics.Mean(name=name) for name in self.training_metrics
        }
        self.selection_quality = metrics.SelectionQuality()
        self.accuracy_by_kind = metrics.AccuracyByKind()

    def make_variables(self, *names):
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

    def needed_controls(self):
        """What callbacks must set: a dict as `required_controls`."""
        return self.required_controls

    # Methods, not properties: Keras saves the layers that it finds in properties.

    def data_contract(self):
        """What this model expects of its data."""
        shape = input_shape(self.student)
        return contract.Contract(
            self.num_classes, shape, self.augmentation, self.needs_two_views
        )

    # Evaluation and prediction: the student.

    def call(self, images, training=False):
        """The student's logits `(N, C)`; of the first view if there are two."""
        return self.student(self.seen_in_evaluation(images), training=training)

    def seen_in_evaluation(self, images):
        """What a network sees of images that are not augmented, such as their middle.

        The augmentation decides, called with `training=False`; most pass them on.
        """
        if isinstance(images, dict):
            return images["view_a"]
        if self.augmentation is None:
            return images
        return self.augmentation(images, training=False)

    def test_step(self, *arguments):
        """As `evaluation_step`; on JAX Keras passes `(state, data)`."""
        *state, data = arguments
        if state:
            return jax_step.test_step(self, state[0], data)
        return self.evaluation_step(data)

    def evaluation_step(self, data):
        """Cross-entropy against the given labels, and the compiled metrics."""
        batch = contract.unpack(data)
        self.data_contract().check(batch, training=False)
        logits = self.evaluate_batch(batch)
        with self._reporting_evaluation():
            return self.compute_metrics(
                None, batch.labels, logits, sample_weight=batch.sample_weight
            )

    def network_to_evaluate(self):
        """The network that the loss and the compiled metrics judge."""
        return self.student

    def evaluate_batch(self, batch):
        """Updates the loss with a batch; returns the logits that metrics judge."""
        images = self.seen_in_evaluation(batch.images)
        logits = self.network_to_evaluate()(images, training=False)
        per_sample = losses.cross_entropy(batch.integer_labels(), logits)
        self._loss_tracker.update_state(per_sample, batch.sample_weight)
        return logits

    # Losses and metrics.

    def record_truth(self, batch, logits, selected=None, clean_likelihood=None):
        """Where `monitored`, compares predictions and verdicts with the true labels.

        Args:
            batch: A `contract.Batch`, with true labels if `monitored`.
            logits: `(N, C)` in training.
            selected: A `selection.Selection`, from a method that sorts samples.
            clean_likelihood: `(N,)` in [0, 1], from such a method.
        """
        if not self.monitored:
            return
        given, truth = batch.integer_labels(), batch.true_labels
        self.accuracy_by_kind.update_state(given, truth, logits)
        if selected is not None:
            self.selection_quality.update_state(
                given, truth, selected, clean_likelihood
            )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Updates the compiled metrics with the given labels."""
        given = y["label"] if isinstance(y, dict) else y
        return super().compute_metrics(x, given, y_pred, sample_weight)

    def get_metrics_result(self):
        """The metrics of training, or within `evaluate` those of evaluation."""
        hidden = set(
            self.training_metrics if self._evaluating else self.evaluation_metrics
        )
        if self._evaluating or not self.monitored:
            hidden.update(metrics.AccuracyByKind.result_names())
        judged = () if self._evaluating or not self.monitored else self.verdicts
        hidden.update(
            name
            for name in metrics.SelectionQuality.result_names()
            if not name.startswith(judged)
        )
        results = super().get_metrics_result()
        return {name: value for name, value in results.items() if name not in hidden}

    @contextlib.contextmanager
    def _reporting_evaluation(self):
        before, self._evaluating = self._evaluating, True
        try:
            yield
        finally:
            self._evaluating = before

    def set_monitored(self, monitored):
        """Turns the metrics against the truth on or off; on needs true labels."""
        if monitored != self.monitored:
            self.monitored = monitored
            if self.train_function is not None:
                self.make_train_function(force=True)

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        **kwargs,
    ):
        """Configures training, as `keras.Model.compile` without a loss.

        Args:
            optimizer: A Keras optimizer or its name.
            loss: Must be None; the method brings its own.
            loss_weights: Must be None.
            metrics: Keras metrics of the student against the given labels.
            **kwargs: Further arguments of `keras.Model.compile`.

        Raises:
            ValueError: If a loss is given, or XLA is wanted where it can't be.
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
        half = any(layer.compute_dtype == "float16" for layer in self._flatten_layers())
        optimizer = keras.optimizers.get(optimizer)
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if half and not scaled and kwargs.get("auto_scale_loss", True):
            # Keras looks at the wrapper's own policy only.
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        super().compile(optimizer=optimizer, metrics=metrics, **kwargs)

    def compile_from_config(self, config):
        """Compiles a loaded model as it was when saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, *args, **kwargs):
        """Trains as `keras.Model.fit` does, after checking data and callbacks.

        Args:
            *args: As for `keras.Model.fit`.
            **kwargs: As for `keras.Model.fit`. `callbacks` must hold those that
                the method requires.

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
            given.get("callbacks"), self.needed_controls()
        )
        self._check_inputs(given, training=True)
        numbering.number_samples(given, given["callbacks"])
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
        except BaseException:  # Callbacks don't see the end of a failed `fit`.
            self.set_monitored(False)
            numbering.stop(self)
            raise

    def evaluate(self, *args, **kwargs):
        """Evaluates as `keras.Model.evaluate` does, after checking the data.

        Args:
            *args: As for `keras.Model.evaluate`.
            **kwargs: As for `keras.Model.evaluate`.

        Returns:
            As `keras.Model.evaluate`: the loss and the compiled metrics; with
            `return_dict=True` also the method's own `evaluation_metrics`.

        Raises:
            ValueError: If the data is not what the class docstring says.
        """
        if not kwargs.get("_use_cached_eval_dataset"):  # Else `fit` has checked it.
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
        return self._flatten_metrics_in_order(own)

    def _check_inputs(self, given, *, training):
        """Checks, in place, the data among the arguments of `fit` or `evaluate`."""
        names = ("x", "y", "sample_weight")
        parts = [given.get(name) for name in names]
        if given.get("class_weight") is not None and isinstance(parts[1], dict):
            raise ValueError(
                "Expected labels alone beside `class_weight`. Received: labels as a "
                f"dict of {sorted(parts[1])}. Pass `sample_weight=` the weight of each "
                "sample's given label instead."
            )
        checked = values.checked_inputs(parts, self.data_contract(), training=training)
        given.update(zip(names, checked, strict=True))

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Makes a model from `get_config()`."""
        config = dict(config)
        for part in ("network", "augmentation", "peer"):
            if part in config:
                config[part] = keras.saving.deserialize_keras_object(
                    config[part], custom_objects=custom_objects
                )
        return cls(**config)


def weighted(per_sample, sample_weight):
    """The `(N,)` values times their weights, if there are any."""
    if sample_weight is None:
        return per_sample
    return per_sample * ops.cast(sample_weight, per_sample.dtype)
