"""Tables of photos: CSV and Parquet, other names of columns, and several labels."""

import pytest

from josrc_keras.data.photos import tables

ROWS = [{"path": "a.png", "label": "cat"}, {"path": "b.png", "label": "1"}]


def test_csv_with_the_names_of_hugging_face(tmp_path):
    """`metadata.csv` of an `imagefolder`; other columns stay."""
    path = tmp_path / "metadata.csv"
    path.write_text("\ufefffile_name,label,note\na.png,cat,x\nb.png,1,\n")
    notes = [{"note": "x"}, {"note": ""}]
    assert tables.read(path) == [r | n for r, n in zip(ROWS, notes, strict=True)]
    path.write_text("filename,class,path\nx.png,cat,a.png\n")  # `path` goes first.
    assert tables.read(path) == [
        {"filename": "x.png", "label": "cat", "path": "a.png"},
    ]


def test_parquet(tmp_path):
    """Numbers become texts, and images of `datasets` their paths."""
    pandas = pytest.importorskip("pandas", reason="needs josrc-keras[report]")
    pytest.importorskip("pyarrow", reason="needs josrc-keras[report]")
    path = tmp_path / "photos.parquet"
    pandas.DataFrame({"path": ["a.png", "b.png"], "label": ["cat", "1"]}).to_parquet(
        path
    )
    assert tables.read(path) == ROWS
    images = [{"bytes": b"", "path": "a.png"}, {"bytes": b"", "path": "b.png"}]
    pandas.DataFrame({"image": images, "label": [3, 4]}).to_parquet(path)
    assert tables.read(path) == [
        {"path": "a.png", "label": "3"},
        {"path": "b.png", "label": "4"},
    ]
    frame = pandas.DataFrame({"filename": ["a.png", "b.png"], "class": ["cat", 1]})
    assert tables.read(frame) == ROWS
    with pytest.raises(ValueError, match=r"Received: a DataFrame, with 2 rows of"):
        tables.read(frame[["class"]])
    several = [["cat", "dog"], ["cat"]]
    pandas.DataFrame({"path": ["a", "b"], "label": several}).to_parquet(path)
    with pytest.raises(ValueError, match=r"several in a row, such as \['cat', 'dog'\]"):
        tables.read(path)
    path.write_bytes(b"none")
    with pytest.raises(OSError, match=r"Expected a Parquet file\. Received"):
        tables.read(path)


def test_what_is_refused(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("path,label\na.png,\"['cat', 'dog']\"\n")
    with pytest.raises(ValueError, match=r"\(multi-label\) can't be used\. Choose one"):
        tables.read(path)
    path.write_text("path,note\na.png,x\n")
    with pytest.raises(ValueError, match=r"with 1 rows of \['note', 'path'\]"):
        tables.read(path)
    with pytest.raises(OSError, match="CSV file in UTF-8"):
        tables.read(tmp_path / "absent.csv")
