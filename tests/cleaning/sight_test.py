"""What the report shows beside a sample: likely classes, neighbours, typical ones."""

import base64
import io

import numpy as np
import pytest

from josrc_keras.cleaning import pictures, report, sight
from tests.support.audit_tables import make_image, make_table

Image = pytest.importorskip("PIL.Image", reason="needs Pillow")


def test_likely_classes_by_hand():
    """The given class is left out, even where it is the likeliest; ties by number."""
    probs = [[0.1, 0.6, 0.3], [0.5, 0.2, 0.3], [0.2, 0.4, 0.4]]
    found = sight.likely_classes(probs, np.array([1, 1, 0]), np.array([2, 0, 1]))
    assert found == {"2": [1, 2], "0": [2, 0], "1": [0, 2]}
    many = sight.likely_classes(np.eye(20)[:1], np.array([3]), np.array([0]))
    assert len(many["0"]) == sight.LIKELY and many["0"][0] == 0


def test_neighbours_are_those_of_the_whole_matrix():
    """Against a full sort of all cosines, in blocks that do not fit evenly."""
    random = np.random.default_rng(0)
    features = random.normal(size=(700, 5))
    found = sight.neighbours(features, np.arange(600))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -2)
    expected = np.argsort(-cosine, axis=1)[:600, : sight.NEIGHBOURS]
    np.testing.assert_array_equal([found[str(row)] for row in range(600)], expected)
    assert sight.neighbours(features[:1], np.array([0])) == {}
    assert sight.neighbours(features[:2], np.arange(2)) == {"0": [1], "1": [0]}


def test_typical_samples_are_the_cleanest_of_their_class():
    table = make_table(300, 5)
    found = pictures.typical_rows(table, 15)
    clean = table[table.verdict == "clean"]
    for label, rows in clean.groupby("given_label"):
        assert found[label] == rows.label_score.nlargest(3).index.tolist()
    assert pictures.typical_rows(table, 14) == {}  # Three of each are 15.
    assert pictures.typical_rows(table.assign(verdict="undecided"), 15) == {}


def test_folders_are_seen_from_the_page_and_from_the_root(tmp_path):
    path = tmp_path / "audit" / "report.html"
    seen = sight.Sight(photos=tmp_path / "pho tos")
    found = sight.embedded(seen, make_table(3), path)["folders"]
    assert found == ["../pho%20tos/", f"{(tmp_path / 'pho tos').as_uri()}/"]


def test_the_worst_images_are_sharp_until_the_budget_is_used(monkeypatch):
    def thumbnail(row):
        return make_image(row, size=300)

    monkeypatch.setattr(report.pictures, "SHORTER_SIDE", 90)
    monkeypatch.setattr(report.pictures, "TOGETHER", 1)
    found = pictures.thumbnails(thumbnail, [2, 0, 1], budget=1)
    data = {row: uri.partition(",")[2] for row, uri in found.items()}
    assert list(found) == ["0", "1", "2"]
    sides = {
        row: Image.open(io.BytesIO(base64.b64decode(text))).size[0]
        for row, text in data.items()
    }
    assert sides == {"0": 90, "1": 90, "2": pictures.LONGEST_SIDE}
