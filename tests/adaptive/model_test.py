"""One step of an AdaptiveJoSRC against NumPy."""

import keras
import numpy as np
import pytest

from josrc_keras import AdaptiveJoSRC, JoSRC, TrustRule
from josrc_keras.adaptive import mixup
from josrc_keras.callbacks import CleanThreshold, LabelTrust, MeanTeacher
from josrc_keras.networks.features import with_last_inputs
from josrc_keras.samples import findings, numbering
from tests.support import models, oracle

COUNT = 12
SAMPLES = 20  # Of which a batch has twelve.
OF_THE_MODEL = ("num_samples", "mixup", "student_views", "teacher_views")
PLAIN = {"num_samples": SAMPLES, "mixup": 0.0, "temperature": 1.0}


def make_model(rate=0.1, **arguments):
    """Its teacher is another network than the student, and it is told a trust.

    Takes arguments of the model and fields of its rule.
    """
    network = models.linear_network()
    fields = {**PLAIN, **arguments}
    own = {name: fields.pop(name) for name in OF_THE_MODEL if name in fields}
    model = AdaptiveJoSRC(network, models.CLASSES, rule=TrustRule(**fields), **own)
    model.compile(keras.optimizers.SGD(rate), metrics=["accuracy"])
    other = models.linear_network(seed=5)
    model.teacher.set_weights([0.3 * w for w in other.get_weights()])
    models.set_state(model, 0.5, 1.0)
    trust = np.random.default_rng(3).random(model.num_samples)
    model.label_trust.assign(trust.astype("float32"))
    return model


@pytest.fixture
def pairs():
    """Two views of twelve images; labels, and their numbers in another order."""
    images, labels = models.pair_batch(COUNT)
    index = np.random.default_rng(4).permutation(SAMPLES)[:COUNT]
    return images, {"label": labels, "index": index}


def predicted(network, images):
    return [np.float64(network(images[name])) for name in ("view_a", "view_b")]


def mean_probs(logits):
    return (oracle.softmax(logits[0]) + oracle.softmax(logits[1])) / 2


def roll(values, share):
    """What is left of each is the next sample's."""
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return share * values + (1 - share) * np.concatenate([values[1:], values[:1]])


def oracle_step(model, images, labels, shares=None, weight=1.0):
    """The loss, its terms and the trust, from DESIGN's formulas in float64."""
    shares = np.ones((2, COUNT)) if shares is None else np.float64(shares)
    judged = predicted(model.teacher, images)
    q = mean_probs(judged)
    certainty = q.max(axis=1)
    counts = {"confidence": certainty, "one": 1 + 0 * q[:, 0], "zero": 0 * q[:, 0]}
    rule = model.rule
    sharp = q ** (1 / rule.temperature)
    sharp /= sharp.sum(axis=1, keepdims=True)
    trust = np.float64(model.label_trust)[labels["index"]]
    y = oracle.smooth(labels["label"], models.CLASSES, rule.smoothing)
    w = counts[rule.unclean_weight]
    targets = trust[:, None] * y + ((1 - trust) * w)[:, None] * sharp
    seen = {
        name: roll(np.float64(images[name]), share).astype("float32")
        for name, share in zip(("view_a", "view_b"), shares, strict=True)
    }
    logits = predicted(model.student, seen)
    classification = sum(
        -(roll(targets, share) * oracle.log_softmax(each)).sum(axis=1)
        for share, each in zip(shares, logits, strict=True)
    )
    both = roll(q, shares.mean(axis=0))
    consistency = oracle.js(mean_probs(logits), both)
    joint = oracle.joint(classification, consistency, rule.alpha)
    confident = certainty >= 0.5 * certainty[trust > 0.5].mean()
    return {
        "loss": (weight * joint).mean(),
        "classification_loss": classification.mean(),
        "consistency_loss": consistency.mean(),
        "clean_likelihood": trust.mean(),
        "clean_fraction": (trust > 0.5).mean(),
        "id_fraction": ((trust <= 0.5) & confident).mean(),
        "ood_fraction": ((trust <= 0.5) & ~confident).mean(),
    }


CASES = {
    "plain": {},
    "smoothed": {"smoothing": 0.3, "alpha": 0.4},
    "sharpened": {"temperature": 0.5, "unclean_weight": "one", "alpha": 1.0},
    "flattened": {"temperature": 2.0, "unclean_weight": "zero", "smoothing": 0.2},
}


@pytest.mark.parametrize("case", CASES)
def test_step_equals_numpy(case, pairs):
    """Loss, both terms, verdicts, update and teacher; no image is blended."""
    model = make_model(**CASES[case])
    before, old = model.student.get_weights(), model.teacher.get_weights()
    trust = model.label_trust.numpy()
    expected = oracle_step(model, *pairs)
    assert 0 < expected["clean_fraction"] < 1
    logs = model.train_on_batch(*pairs, return_dict=True)
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-5, err_msg=name)
    after = model.student.get_weights()
    assert np.abs(after[0] - before[0]).max() > 1e-4
    for teacher, start, student in zip(
        model.teacher.get_weights(), old, after, strict=True
    ):
        np.testing.assert_allclose(teacher, 0.99 * start + 0.01 * student, atol=1e-6)
    np.testing.assert_array_equal(model.label_trust.numpy(), trust)


@pytest.mark.parametrize("most", [0.5, 1.0])
def test_a_step_with_mixup_equals_numpy(most, pairs):
    """Each view and its target with a share of its own, drawn by the model's seed."""
    model = make_model(mixup=most, smoothing=0.2, alpha=0.3)
    seed = keras.random.SeedGenerator()
    seed.state.assign(model.mixup_seed.state)
    shares = [np.asarray(mixup.draw(COUNT, most, seed)) for _ in range(2)]
    expected = oracle_step(model, *pairs, shares)
    assert abs(expected["loss"] - oracle_step(model, *pairs)["loss"]) > 1e-3
    logs = model.train_on_batch(*pairs, return_dict=True)
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("case", ["plain", "smoothed"])
def test_gradient_equals_finite_differences(case, pairs):
    """The teacher's predictions are constants."""
    model = make_model(rate=1e-3, **CASES[case])
    kernel = model.student.trainable_variables[0]
    start = kernel.numpy()
    direction = np.random.default_rng(1).normal(size=start.shape)
    values = []
    for step in (1e-3, -1e-3):
        kernel.assign(start + step * direction)
        values.append(oracle_step(model, *pairs)["loss"])
    kernel.assign(start)
    model.train_on_batch(*pairs)
    gradient = (start - kernel.numpy()) / 1e-3
    slope = (values[0] - values[1]) / 2e-3
    np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=2e-2)


def test_trusted_labels_are_learnt_by_ordinary_cross_entropy(pairs):
    """Of both views, as Keras has it: loss and update."""
    model = make_model()
    model.label_trust.assign(np.ones(SAMPLES))
    images, labels = pairs
    plain = models.linear_network()
    plain.set_weights(model.student.get_weights())
    views = np.concatenate([images["view_a"], images["view_b"]])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # The mean over twice as many, so half the rate.
    plain.compile(keras.optimizers.SGD(0.2), loss)
    expected = plain.train_on_batch(views, np.tile(labels["label"], 2))
    logs = model.train_on_batch(images, labels, return_dict=True)
    np.testing.assert_allclose(logs["loss"], 2 * expected, rtol=1e-5)
    for ours, theirs in zip(
        model.student.get_weights(), plain.get_weights(), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("most", [0.0, 1.0])
def test_labels_beyond_hope_of_no_weight_teach_nothing(most, pairs):
    model = make_model(unclean_weight="zero", mixup=most)
    model.label_trust.assign(np.zeros(SAMPLES))
    before = model.student.get_weights()
    logs = model.train_on_batch(*pairs, return_dict=True)
    assert logs["loss"] == 0 and logs["clean_fraction"] == 0
    for old, new in zip(before, model.student.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_sample_weights_multiply_the_loss(pairs):
    weight = np.random.default_rng(2).integers(0, 3, COUNT).astype("float32")
    model = make_model(alpha=0.3)
    expected = oracle_step(model, *pairs, weight=weight)["loss"]
    logs = model.train_on_batch(*pairs, weight, return_dict=True)
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)


def test_samples_without_weight_teach_nothing(pairs):
    """Neither as they are nor as a part of the blend before them."""
    images, labels = pairs
    weight = np.arange(COUNT) % 2
    others = {**labels, "label": np.where(weight, labels["label"], 0)}
    assert np.any(others["label"] != labels["label"])
    found = []
    for given in (labels, others):
        model = make_model(mixup=1.0)
        model.mixup_seed.state.assign([0, 7])
        model.train_on_batch(images, given, weight.astype("float32"))
        found.append(model.student.get_weights())
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_features_of_samples_without_weight_are_not_kept(pairs):
    """Those of the others are the directions of what the last layer gets."""
    images, labels = pairs
    weight = (np.arange(COUNT) % 2).astype("float32")
    model = make_model(leave_one_out=True)
    model.record_epochs_of(SAMPLES)
    model.train_on_batch(images, labels, weight)
    found = model.epoch_findings.numpy_features()[labels["index"]]
    network, _ = with_last_inputs(model.teacher)
    views = [network(images[name])[0] for name in ("view_a", "view_b")]
    expected = sum(map(np.asarray, views)) / 2
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected * weight[:, None], rtol=1e-3, atol=1e-6)


def test_features_that_are_too_many_are_refused():
    network = keras.Sequential([keras.Input((4097,)), keras.layers.Dense(2)])
    rule = TrustRule(leave_one_out=True)
    with pytest.raises(ValueError, match=r"at most 4096 inputs.*Received: 4097\. Put"):
        AdaptiveJoSRC(network, 2, 10, rule=rule)
    AdaptiveJoSRC(network, 2, 10)


def test_logits_in_place_of_features_are_told(caplog):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, images, training=False):
            return self.dense(images)

    class Rebuilt(Own):
        def get_config(self):
            return {}

    network = Rebuilt()
    network(np.zeros((1, 3)))
    with caplog.at_level("WARNING"):
        AdaptiveJoSRC(network, 2, 10)
    assert "logits" not in caplog.text
    with caplog.at_level("WARNING"):
        AdaptiveJoSRC(network, 2, 10, rule=TrustRule(leave_one_out=True))
    assert "Received: Rebuilt. Its logits take their place" in caplog.text


def test_one_hot_labels_are_as_good(pairs):
    images, labels = pairs
    one_hot = {
        **labels,
        "label": np.eye(models.CLASSES, dtype="float32")[labels["label"]],
    }
    first, second = (
        make_model(smoothing=0.2).train_on_batch(images, each, return_dict=True)
        for each in (labels, one_hot)
    )
    np.testing.assert_allclose(first["loss"], second["loss"], rtol=1e-6)


@pytest.mark.parametrize("judge", ["teacher", "student"])
def test_the_history_holds_what_the_judge_predicts(judge, pairs):
    images, labels = pairs
    model = make_model(judge=judge)
    network = getattr(model, judge)
    probs = [oracle.softmax(each) for each in predicted(network, images)]
    model.record_epochs_of(SAMPLES)
    model.train_on_batch(images, labels)
    table = dict(zip(findings.FIELDS, model.epoch_findings.numpy().T, strict=True))
    rows = np.arange(COUNT)
    given = sum(each[rows, labels["label"]] for each in probs) / 2
    others = [each.copy() for each in probs]
    for each in others:
        each[rows, labels["label"]] = 0
    other = sum(each.max(axis=1) for each in others) / 2
    np.testing.assert_allclose(table["given_prob"][labels["index"]], given, rtol=1e-4)
    np.testing.assert_allclose(table["other_prob"][labels["index"]], other, rtol=1e-4)
    assert table["seen"].sum() == COUNT
    clean = model.label_trust.numpy()[labels["index"]] > model.rule.doubt
    np.testing.assert_array_equal(table["clean"][labels["index"]], clean)


def test_with_a_student_as_judge_the_history_is_of_the_blended_views(pairs):
    """Which is what it is trained on."""
    images, labels = pairs
    model = make_model(judge="student", mixup=1.0)
    unblended = predicted(model.student, images)
    found = models.outcome_of(model, images, labels)
    judged = found.evidence
    np.testing.assert_array_equal(judged[0], found.logits)
    assert len(judged) == 2
    for each, plain in zip(judged, unblended, strict=True):
        assert np.abs(each - plain).max() > 0.1


def test_the_teacher_may_see_the_first_view_only(pairs):
    images, labels = pairs
    model = make_model(teacher_views="first")
    first = predicted(model.teacher, images)[0]
    for judged in models.outcome_of(model, images, labels).evidence:
        np.testing.assert_allclose(judged, first, rtol=1e-5)
    once = {"view_a": images["view_a"], "view_b": images["view_a"]}
    expected = oracle.softmax(first)
    np.testing.assert_allclose(
        model.teacher_probs(*images.values()), expected, rtol=1e-4, atol=1e-6
    )
    assert model.train_on_batch(once, labels, return_dict=True)["loss"] > 0


def test_a_step_of_half_the_views_equals_numpy(pairs):
    """The teacher predicts the first views, the student blends of the second ones."""
    model = make_model(
        student_views="second", teacher_views="first", mixup=1.0, alpha=0.3
    )
    seed = keras.random.SeedGenerator()
    seed.state.assign(model.mixup_seed.state)
    share = np.float64(mixup.draw(COUNT, 1.0, seed))
    images, labels = pairs
    trust = np.float64(model.label_trust)[labels["index"]][:, None]
    q = oracle.softmax(predicted(model.teacher, images)[0])
    certainty = q.max(axis=1, keepdims=True)
    y = oracle.smooth(labels["label"], models.CLASSES, 0.0)
    targets = trust * y + (1 - trust) * certainty * q
    blended = roll(np.float64(images["view_b"]), share).astype("float32")
    logits = np.float64(model.student(blended))
    classification = -(roll(targets, share) * oracle.log_softmax(logits)).sum(axis=1)
    consistency = oracle.js(oracle.softmax(logits), roll(q, share))
    logs = model.train_on_batch(*pairs, return_dict=True)
    for name, value in (
        ("classification_loss", classification.mean()),
        ("consistency_loss", consistency.mean()),
        ("loss", oracle.joint(classification, consistency, 0.3).mean()),
    ):
        np.testing.assert_allclose(logs[name], value, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("student", "teacher", "judge", "passes", "two"),
    [
        ("both", "both", "teacher", 8, True),
        ("both", "first", "teacher", 7, False),
        ("second", "first", "teacher", 4, False),
        ("second", "both", "student", 5, False),
    ],
)
def test_what_a_step_costs_and_judges_by(student, teacher, judge, passes, two):
    """In forward passes, of which a backward pass is two."""
    model = make_model(student_views=student, teacher_views=teacher, judge=judge)
    assert model.passes() == passes
    assert model.judges_by_two_views is two


def test_verdicts_by_hand():
    """Trusted, sure of another class, and unsure compared with what is trusted."""
    model = make_model(num_samples=6)
    trust = np.float32([0.9, 0.51, 0.5, 0.1, 0.4, 0.2])
    probs = np.full((6, models.CLASSES), 0.0, "float32")
    probs[:, 0] = [0.9, 0.7, 0.5, 0.39, 0.41, 0.3]  # Half of the typical 0.8 is 0.4.
    probs[:, 1] = 1 - probs[:, 0]
    probs[[3, 5], 1] = probs[[3, 5], 2] = (1 - probs[[3, 5], 0]) / 2
    probs[5] = 0.25
    logits = np.log(np.maximum(probs, 1e-30))
    model.teacher_logits = lambda *views: [logits]
    images, labels = models.pair_batch(6)
    labels = {"label": labels, "index": np.arange(6)}
    model.label_trust.assign(trust)
    found = models.outcome_of(model, images, labels).selection
    assert np.asarray(found.clean).tolist() == [1, 1, 0, 0, 0, 0]
    assert np.asarray(found.in_distribution).tolist() == [0, 0, 1, 0, 1, 0]
    assert np.asarray(found.out_of_distribution).tolist() == [0, 0, 0, 1, 0, 1]
    model.label_trust.assign(np.zeros(6))
    none = models.outcome_of(model, images, labels).selection
    assert not np.any(none.clean) and not np.any(none.out_of_distribution)


def test_labels_without_a_number_are_refused(pairs):
    images, labels = pairs
    for given in (labels["label"], {"label": labels["label"]}):
        with pytest.raises(ValueError) as caught:
            make_model().train_on_batch(images, given)
        assert str(caught.value).startswith(
            "A model that remembers samples needs each sample's number in the dataset. "
            "Received: labels without 'index'. Pass arrays to `fit`, or number the "
            f"samples of a dataset before it is shuffled: {numbering.NUMBERING}"
        )


def test_a_fit_without_its_callbacks_is_refused(pairs):
    """And with those of the paper's selection."""
    model, needed = make_model(), r"label_trust and teacher_decay.*Add LabelTrust\(\)"
    for callbacks in ([MeanTeacher()], [CleanThreshold(), MeanTeacher()]):
        with pytest.raises(ValueError, match=needed):
            model.fit(*pairs, callbacks=callbacks, verbose=0)
    with pytest.raises(ValueError, match=r"Add MeanTeacher\(decay=0\.99\) from"):
        model.fit(*pairs, callbacks=[LabelTrust()], verbose=0)
    assert int(model.optimizer.iterations) == 0


BAD = {
    "num_samples": (0, r"`num_samples`, .* samples, of at least 1\. Received: 0\."),
    "judge": ("both", r"judge as one of \('teacher', 'student'\)\. Received: 'both'"),
    "mixup": (1.5, r"`mixup` must be in \[0, 1\]\. Received: mixup=1\.5"),
    "temperature": (0, r"`temperature` must be positive\. Received: temperature=0"),
    "student_views": ("one", r"student_views as one of .*Received: 'one'"),
    "unclean_weight": ("two", r"unclean_weight as one of .*Received: 'two'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_refused(name):
    value, text = BAD[name]
    with pytest.raises(ValueError, match=text):
        make_model(**{name: value})


def test_the_papers_model_keeps_no_trust():
    """Nor a seed, which would change the random numbers that come after it."""
    model = JoSRC(models.linear_network(), models.CLASSES, smoothing=0.3)
    assert not hasattr(model, "label_trust") and not hasattr(model, "mixup_seed")
    names = {variable.name for variable in model.variables}
    assert {"tau_clean", "joint", "teacher_decay"} <= names
    assert "label_trust" not in names


def test_keras_file_round_trip(pairs, tmp_path, equal_arrays):
    """The loaded model has its arguments and trust, and goes on as the saved one."""
    fields = {
        "alpha": 0.2,
        "judge": "student",
        "temperature": 0.5,
        "unclean_weight": "one",
        "warmup_epochs": 3,
        "memory_epochs": 4.5,
        "sharpness": 1.5,
    }
    model = make_model(**fields, mixup=0.5)
    model.train_on_batch(*pairs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is AdaptiveJoSRC
    assert loaded.rule == model.rule == TrustRule(**fields)
    configs = [each.get_config() for each in (loaded, model)]
    for config in configs:
        del config["network"]  # The names of its layers differ.
    assert configs[0] == configs[1]
    assert loaded.mixup == 0.5 and loaded.num_samples == SAMPLES
    np.testing.assert_array_equal(loaded.label_trust, model.label_trust)
    assert 0 < np.asarray(loaded.label_trust).min() < 0.5
    equal_arrays(loaded.get_weights(), model.get_weights())
    loaded.mixup_seed.state.assign(model.mixup_seed.state)  # Which no file keeps.
    model.reset_metrics()  # Some versions of Keras do so before each batch.
    logs = [each.train_on_batch(*pairs, return_dict=True) for each in (model, loaded)]
    assert logs[0]["loss"] == logs[1]["loss"] != 0
    equal_arrays(loaded.get_weights(), model.get_weights())
    with pytest.raises(ValueError, match=r"label_trust and teacher_decay"):
        loaded.fit(*pairs, verbose=0)


@pytest.mark.parametrize("most", [0.0, 1.0])
def test_xla_and_eager_steps_agree(most, pairs):
    """XLA draws other numbers, so that it is compared without mixup."""
    results = []
    for compiled in (
        {"jit_compile": False},
        {"run_eagerly": True},
        *[{"jit_compile": True}] * (not most),
    ):
        keras.utils.set_random_seed(0)
        model = make_model(mixup=most, alpha=0.3)
        model.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"], **compiled)
        model.train_on_batch(*pairs)
        results.append(model.student.trainable_variables[0].numpy())
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], atol=1e-6)


@pytest.mark.parametrize("most", [0.0, 1.0])
def test_what_a_doubted_label_is_not_equals_numpy(most, pairs):
    """The given label and another class, blended as the targets are."""
    weights = {"forgetting": 0.7, "negative": 0.4}
    model = make_model(mixup=most, **weights)
    seed = keras.random.SeedGenerator()
    seed.state.assign(model.mixup_seed.state)
    images, labels = pairs
    shares = np.float64([mixup.draw(COUNT, most, seed) for _ in range(2)])
    expected = oracle_step(model, images, labels, shares)["loss"]
    other = np.asarray(mixup.draw_others(labels["label"], models.CLASSES, seed))
    assert (other != labels["label"]).all()
    doubt = 1 - np.float64(model.label_trust)[labels["index"]]
    against = 0.7 * np.eye(models.CLASSES)[labels["label"]]
    against += 0.4 * np.eye(models.CLASSES)[other]
    against *= doubt[:, None]
    for name, share in zip(("view_a", "view_b"), shares, strict=True):
        seen = roll(np.float64(images[name]), share).astype("float32")
        rest = 1 - oracle.softmax(np.float64(model.student(seen)))
        expected += -(roll(against, share) * np.log(rest)).sum(axis=1).mean()
    found = model.train_on_batch(*pairs, return_dict=True)["loss"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_other_class_is_any_but_the_given():
    seed = keras.random.SeedGenerator(0)
    labels = np.repeat(np.arange(4), 3000)
    found = np.asarray(mixup.draw_others(labels, 4, seed)).reshape(4, 3000)
    counts = np.stack([np.bincount(row, minlength=4) for row in found])
    assert (np.diag(counts) == 0).all()
    np.testing.assert_allclose(counts[~np.eye(4, dtype=bool)], 1000, atol=120)
