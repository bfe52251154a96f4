"""The map of the features in a real browser: by keys, by a pointer, for everyone."""

import numpy as np
import pytest

from josrc_keras.cleaning import plane, sight
from tests.support.audit_tables import make_image, make_table
from tests.support.looks import CONTRASTS, SMALL

pytest.importorskip("PIL", reason="needs Pillow")
ROWS = 60


@pytest.fixture
def world():
    """A table, features of it, and where its samples are on the map."""
    table = make_table(ROWS, 4)
    labels = table["predicted_label"].to_numpy()
    features = np.random.default_rng(0).normal(size=(ROWS, 5))
    features[np.arange(ROWS), labels] += 4
    return table, sight.Sight(features=features), plane.places(features, labels)


def test_keys_walk_over_the_map_and_decide(show, world):
    """The first arrow goes to the middle, the next to the right; `k` decides there."""
    table, seen, placed = world
    page = show(table, thumbnail=make_image, seen=seen)
    page.click("#map")
    page.locator("canvas").focus()
    page.keyboard.press("ArrowRight")
    middle = int(((placed - 500) ** 2).sum(1).argmin())
    assert page.evaluate("mapMark") == middle
    assert table["id"][middle] in page.locator("#map-told").inner_text()
    page.keyboard.press("ArrowRight")
    to = placed - placed[middle]
    cost = np.where(to[:, 0] > 0, to[:, 0] + 2 * abs(to[:, 1]), np.inf)
    right = int(cost.argmin())
    assert page.evaluate("mapMark") == right
    page.keyboard.press("k")
    assert f"{table['id'][right]}: keep." in page.locator("#said").inner_text()
    page.keyboard.press("z")
    assert page.evaluate("mapMark") == right
    page.keyboard.press("Enter")
    assert page.evaluate("current") == right
    page.keyboard.press("Escape")
    page.click("#map-near")
    near = (abs(placed - placed[right]) <= 70).all(1)
    found = page.evaluate("[matches.length, view]")
    assert found == [int(near.sum()), "gallery"]


def test_a_pointer_opens_and_lists_a_region(show, world):
    """A drag lists what it encloses, also after a reload; a click opens the nearest."""
    table, seen, placed = world
    page = show(table, thumbnail=make_image, seen=seen)
    page.click("#map")
    box = page.locator("canvas").bounding_box()

    def at(x, y):
        inner = box["width"] - 28, box["height"] - 28
        return box["x"] + 14 + x / 1000 * inner[0], box["y"] + 14 + y / 1000 * inner[1]

    page.mouse.click(*at(*placed[7]))
    assert page.evaluate("current") in np.flatnonzero((placed == placed[7]).all(1))
    page.keyboard.press("Escape")
    page.mouse.move(*at(100, 100))
    page.mouse.down()
    page.mouse.move(*at(600, 550), steps=3)
    page.mouse.up()
    inside = ((placed >= (103, 103)) & (placed <= (597, 547))).all(1)
    edge = ((placed >= (97, 97)) & (placed <= (603, 553))).all(1)
    found = page.evaluate("[...matches]")
    assert set(np.flatnonzero(inside)) <= set(found) <= set(np.flatnonzero(edge))
    page.reload()
    page.locator("#results [data-row]").first.wait_for()
    assert page.evaluate("[...matches]") == found
    page.click("#one-region")
    assert page.evaluate("matches.length") == ROWS


def test_the_map_is_for_everyone(show, world):
    """Contrast in light and dark, 44 pixels for fingers; no map without features."""
    table, seen, _ = world
    for scheme in ("light", "dark"):
        phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
        page = show(
            table,
            thumbnail=make_image,
            seen=seen,
            context=phone | {"color_scheme": scheme},
        )
        page.click("#map")
        page.evaluate("markOnMap(matches[0])")
        assert page.evaluate(CONTRASTS) == []
        small = page.locator("#results button, #results select").evaluate_all(SMALL)
        assert small == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        name = page.locator("canvas").get_attribute("aria-label")
        assert "arrow keys" in name
        colours = page.evaluate("pixelsOf(classes.map((_, label) => mapColour(label)))")
        assert len(set(colours)) == 4
        drawn = page.evaluate(
            "[...new Uint32Array(mapCanvas().getContext('2d').getImageData("
            "0, 0, mapCanvas().width, mapCanvas().height).data.buffer)]"
        )
        assert set(colours) <= set(drawn)
    without = show(table, thumbnail=make_image)
    assert not without.locator("#map").is_visible()
