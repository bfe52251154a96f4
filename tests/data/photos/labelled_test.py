"""Photos whose labels a table says, instead of class folders."""

import numpy as np
import pytest

from josrc_keras.data.photos import labelled
from josrc_keras.runs import configuration
from tests.support.photos import fill, read

pytest.importorskip("PIL")


@pytest.fixture
def photos(tmp_path):
    """Ten cats and ten dogs, in folders that say nothing, and their greys."""
    return tmp_path / "photos", fill(tmp_path / "photos", first=10, second=10)


def write(path, rows, header="path,label"):
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return path


def test_labels_are_those_of_the_table(photos, tmp_path):
    """Every other photo is a cat, whatever its folder; what is not listed is out."""
    folder, greys = photos
    names = sorted(greys)[:-2]
    rows = [(name, "dog" if row % 2 else "cat") for row, name in enumerate(names)]
    table = write(tmp_path / "labels.csv", rows)
    found = read(folder, labels=table)
    assert found.class_names == ("cat", "dog")
    assert len(found.train) + len(found.test) == 18
    said = dict(rows)
    for split in (found.train, found.test):
        for image, label, name in zip(
            split.images, split.labels, split.ids, strict=True
        ):
            assert found.class_names[label] == said[name]
            np.testing.assert_array_equal(image, greys[name])


def test_new_labels_are_read_anew(photos, tmp_path):
    """The cache of the same files with other labels is not taken."""
    folder, greys = photos
    rows = [(name, "cat" if "first" in name else "dog") for name in sorted(greys)]
    before = read(folder, labels=write(tmp_path / "labels.csv", rows))
    rows[0] = (rows[0][0], "dog")
    after = read(folder, labels=write(tmp_path / "labels.csv", rows))
    counts = [
        np.bincount(np.concatenate([found.train.labels, found.test.labels])).tolist()
        for found in (before, after)
    ]
    assert counts == [[10, 10], [9, 11]]


def test_the_table_that_an_audit_writes(photos, tmp_path):
    """`relabel.csv`: the new names, without what is set aside."""
    folder, greys = photos
    rows = [(name, "a", "keep", "a" if "first" in name else "b") for name in greys]
    rows[3] = (rows[3][0], "a", "set_aside", "")
    table = write(tmp_path / "relabel.csv", rows, "id,given_name,action,new_name")
    listed = labelled.read(folder, table)
    assert len(listed.files) == 19 and listed.class_folders == ["a", "b"]
    assert rows[3][0] not in listed.labels
    assert [listed.class_of(file[0]) for file in listed.files] == ["a"] * 9 + ["b"] * 10


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("first/lost.png", "cat"), "'first/lost.png' is not there"),
        (("first/000.png", "cat"), "'first/000.png' occurs twice"),
        (("first", "cat"), "'first' is no photo by its extension"),
    ],
)
def test_rows_that_do_not_fit(photos, tmp_path, row, message):
    table = write(tmp_path / "labels.csv", [("first/000.png", "cat"), row])
    with pytest.raises(ValueError, match=rf"Received 1 others: {message}\. Mend"):
        labelled.read(photos[0], table)


def test_without_a_table_class_folders_say_it(photos):
    listed = labelled.read(photos[0])
    assert listed.labels is None and labelled.checksum([listed]) is None
    assert listed.class_of("second/000.png") == "second"


def test_a_table_belongs_to_a_folder_of_photos():
    from josrc_keras.configs import digits8n_o

    config = digits8n_o.get_config()
    with pytest.raises(ValueError, match=r"name=image_folder beside data\.labels"):
        configuration.check_effective(config, ["data.labels"])


def test_decisions_change_class_folders(photos, tmp_path):
    """What nobody decided stays; two photos are gone, and one is of the other class."""
    folder, greys = photos
    first, second, third, fourth, fifth = sorted(greys)[:5]
    given = first.split("/")[0]
    other = next(name.split("/")[0] for name in greys if not name.startswith(given))
    rows = [
        (first, given, "relabel", other, ""),
        (second, given, "none", "", ""),
        (third, given, "delete", "", ""),
        (fourth, given, "unsure", "", ""),
        (fifth, given, "keep", given, ""),
    ]
    header = "id,given_name,decision,new_name,time"
    table = write(tmp_path / "decisions.csv", rows, header)
    found = read(folder, labels=table)
    said = {}
    for split in (found.train, found.test):
        names = [found.class_names[label] for label in split.labels]
        said |= dict(zip(split.ids, names, strict=True))
    expected = {name: name.split("/")[0] for name in greys} | {first: other}
    del expected[second], expected[third]
    assert said == expected
    table = write(tmp_path / "moved.csv", [(first, other, "keep", other, "")], header)
    with pytest.raises(ValueError, match=r"in another class, such as .*apply=undo"):
        read(folder, labels=table)
