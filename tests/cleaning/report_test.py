"""The report's file: what is in it, how large it is, what is refused."""

import base64
import io
import json
import re

import numpy as np
import pandas
import pytest

from josrc_keras.cleaning import report
from tests.support.audit_tables import HOSTILE, make_findings, make_image, make_table

Image = pytest.importorskip("PIL.Image", reason="needs Pillow")


def data_of(path):
    """The data in a page, as its script reads them."""
    text = path.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    return json.loads(found[1])


def write(path, table, **options):
    options.setdefault("title", "Test")
    report.write_report(path, table, make_findings(table), **options)
    return data_of(path)


def open_image(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_the_data_are_in_the_page(tmp_path):
    table = make_table(50)
    table.loc[3, "clean_likelihood"] = np.nan
    table["remark"] = ["<b>", *range(48), np.nan]
    data = write(tmp_path / "report.html", table)
    assert data["ids"] == table.id.tolist()
    assert data["columns"] == list(table)
    assert [
        data["classes"][each] for each in data["given"]
    ] == table.given_name.tolist()
    for name in report.SCORES:
        expected = [None if x != x else round(x * 10_000) for x in table[name]]
        assert data["scores"][name] == expected
    assert data["others"]["remark"] == ["<b>", *range(48), None]
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_column_of_nan_costs_nothing(tmp_path):
    table = make_table(50).assign(clean_share=np.nan)
    assert write(tmp_path / "report.html", table)["scores"]["clean_share"] is None


def test_nothing_in_the_data_can_end_the_script_element(tmp_path):
    table = make_table(len(HOSTILE), ids=HOSTILE)
    title = "".join(HOSTILE)
    path = tmp_path / "report.html"
    data = write(path, table, title=title)
    assert data["ids"] == list(HOSTILE)
    assert data["title"] == title
    text = path.read_text(encoding="utf-8")
    assert text.count("<script") == text.count("</script>") == 2
    assert "\u2028" not in text.partition("<body>")[2]


def test_names_that_are_no_unicode(tmp_path):
    """File names from a disk can hold bytes that are no UTF-8."""
    ids = pandas.Series(["\udcff.png", "b"], dtype=object)
    table = make_table(2, ids=ids)
    data = write(tmp_path / "report.html", table, title="\udcff")
    assert data["ids"] == ["\udcff.png", "b"]


def test_long_lists_are_shortened(tmp_path):
    table = make_table(3000, 100)
    data = write(tmp_path / "report.html", table)
    pairs = make_findings(table)["confused_pairs"]
    most = sorted((pair["images"] for pair in pairs), reverse=True)[:30]
    listed = data["findings"]["confused_pairs"]
    assert [pair["images"] for pair in listed] == most
    assert data["totals"]["confused_pairs"] == len(pairs) > 100
    assert len(data["findings"]["duplicates"]) == 100


def test_the_page_fetches_nothing(tmp_path):
    path = tmp_path / "report.html"
    write(path, make_table(10))
    text = path.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|//cdn|@import|url\(|innerHTML|eval\(", text)


def test_fifty_thousand_rows_are_below_six_megabytes(tmp_path):
    table = make_table(50_000, 1000)
    table["id"] = [f"train/class{i:04d}/{i:08d}.JPEG" for i in range(50_000)]
    path = tmp_path / "report.html"
    write(path, table)
    assert path.stat().st_size < 6e6


@pytest.mark.parametrize("limit", [0, 1, 6, 60, 239, 1000])
def test_thumbnails_are_limited(tmp_path, limit):
    table = make_table(240)
    options = {"thumbnail": make_image, "max_thumbnails": limit}
    data = write(tmp_path / "report.html", table, **options)
    assert len(data["thumbnails"]) == min(limit, 240)


def test_every_class_and_verdict_has_its_share():
    table = make_table(4000, 10)
    # One class has much more noise, and the lowest scores; one is clean.
    table.loc[table.given_label == 0, "label_score"] /= 100
    table.loc[table.given_label == 9, "verdict"] = "clean"
    rows = table.iloc[report.rows_with_thumbnails(table, 181)]
    counts = rows.groupby(["given_label", "verdict"]).size().unstack(fill_value=0)
    assert counts.loc[9].tolist() == [1, 0, 0]
    assert (counts.loc[:8, "clean"] == 0).all()
    assert counts.loc[:8, "in_distribution_noise"].between(9, 11).all()
    assert counts.loc[:8, "out_of_distribution"].between(9, 11).all()
    for _, group in table.groupby(["given_label", "verdict"]):
        shown = group.index.isin(rows.index)
        worst = group.label_score.nsmallest(shown.sum()).index
        assert set(worst) == set(group.index[shown])


def test_no_class_is_empty_when_classes_are_many():
    table = make_table(5000, 200)
    rows = table.iloc[report.rows_with_thumbnails(table, 200)]
    assert rows.given_label.nunique() == 200


def test_duplicates_with_different_labels_come_before_the_clean():
    table = make_table(1000, 4)
    unclean = (table.verdict != "clean").sum()
    labels = table.groupby("duplicate_set").given_label.transform("nunique")
    conflict = (table.duplicate_set >= 0) & (labels > 1)
    extra = (conflict & (table.verdict == "clean")).sum()
    assert extra > 10
    rows = table.iloc[report.rows_with_thumbnails(table, unclean + extra)]
    assert conflict[rows.index].sum() == conflict.sum()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_small_images_keep_every_pixel(tmp_path, channels):
    def thumbnail(row):
        return make_image(row, channels, size=8)

    data = write(tmp_path / "report.html", make_table(4), thumbnail=thumbnail)
    for row in range(4):
        pixels = np.asarray(open_image(data["thumbnails"][str(row)]))
        np.testing.assert_array_equal(pixels.reshape(8, 8, -1), thumbnail(row))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_large_images_are_made_smaller(tmp_path, channels):
    def thumbnail(row):
        return np.full((300, 600, channels), 200, "uint8")

    data = write(tmp_path / "report.html", make_table(2), thumbnail=thumbnail)
    image = open_image(data["thumbnails"]["0"])
    assert image.format == "WEBP"
    assert image.size == (256, 128)
    np.testing.assert_allclose(np.asarray(image), 200, atol=3)


def test_an_image_that_cannot_be_read_is_left_out(tmp_path, caplog):
    def thumbnail(row):
        if row == 1:
            raise OSError("truncated file")
        return make_image(row)

    data = write(tmp_path / "report.html", make_table(4), thumbnail=thumbnail)
    assert sorted(data["thumbnails"]) == ["0", "2", "3"]


def test_an_error_leaves_the_old_page_and_nothing_else(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        write(path, make_table(4), thumbnail=lambda row: 1 // 0)
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdict": "dirty"}, "Received the verdict 'dirty'; expected one of"),
        ({"label_score": 1.5}, "Received label_score 1.5; expected a number in"),
        ({"given_label": 9}, r"from 9 to 9; expected integers in \[0, 6\)"),
        ({"given_label": 0.5}, "Received float64 given_labels"),
        ({"predicted_name": "x"}, "Received predicted_name 'x' with predicted_label"),
    ],
)
def test_what_is_no_audit_is_refused(tmp_path, change, message):
    table = make_table(20)
    findings = make_findings(table, [f"class {i}" for i in range(6)])
    with pytest.raises(ValueError, match=message):
        report.write_report(tmp_path / "x", table.assign(**change), findings, title="")
    assert not list(tmp_path.iterdir())


def test_missing_columns_are_named(tmp_path):
    table = make_table(20)
    with pytest.raises(ValueError, match=r"lacks \['ood_score'\]; received"):
        report.write_report(
            tmp_path / "x",
            table.drop(columns="ood_score"),
            make_findings(table),
            title="",
        )


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4, 3)), np.zeros((4, 4), "uint8"), np.zeros((4, 4, 2), "uint8")],
)
def test_what_is_no_image_is_refused(tmp_path, image):
    message = r"returned .* expected uint8 \(H, W, channels\) with 1, 3 or 4"
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "x", make_table(4), thumbnail=lambda row: image)


def test_a_negative_limit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="max_thumbnails=-1; expected 0 or more"):
        write(tmp_path / "x", make_table(4), max_thumbnails=-1)


def test_an_empty_table(tmp_path):
    table = make_table(1)
    findings = make_findings(table)
    path = tmp_path / "report.html"
    empty = table.iloc[:0]
    report.write_report(path, empty, findings, make_image, title="Empty")
    assert data_of(path)["ids"] == []


def test_the_index_of_the_table_does_not_matter(tmp_path):
    table = make_table(30)
    other = table.set_index(pandas.Index([7] * 30))
    options = {"thumbnail": make_image, "max_thumbnails": 9}
    assert write(tmp_path / "a", table, **options) == write(
        tmp_path / "b", other, **options
    )
