"""Tiny Clothing1M, Food-101N and CIFAR-N, in the folders that the real ones have."""

import io

import numpy as np

FOODS = [f"food_{number:03d}" for number in range(99)] + ["cheesecake", "cheese_plate"]


def image(value, kind="JPEG", size=(20, 16)):
    """The bytes of an image of one grey."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", size, (value,) * 3).save(buffer, kind)
    return buffer.getvalue()


BROKEN = {  # What may lie in place of a JPEG.
    "truncated": image(7)[:-40],
    "empty": b"",
    "page": b"<html>404 Not Found</html>",
}


def write(folder, files):
    """Writes files, texts or bytes by path."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def lines(rows):
    return "".join(f"{row}\n" for row in rows)


def clothing_key(number):
    return f"images/{number % 10}/{number % 7}/{number},{number * 3}.jpg"


def clothing1m(folder):
    """Clothing1M: images 0 to 19 noisy; 20 to 25, 26 to 28 and 29 to 32 clean.

    Image `n` is of grey `5 n`. Of the noisy ones 2 is cut off, 3 empty, 4 a page, 5 is
    not there, 6 a PNG and 7 a GIF; 8 is listed twice and 9 has no label. The noisy
    label of `n` is `n % 14`; the clean one `(n + 1) % 14`. Of the clean ones the even
    ones have both.

    Returns:
        The folder that holds `clothing1M/`.
    """
    key = clothing_key
    ranges = {
        "noisy_train": [*range(20), 8],
        "clean_train": range(20, 26),
        "clean_val": range(26, 29),
        "clean_test": range(29, 33),
    }
    files = {
        f"{name}_key_list.txt": lines(map(key, numbers))
        for name, numbers in ranges.items()
    }
    noisy = [n for n in [*range(20), *range(20, 33, 2)] if n != 9]
    files["noisy_label_kv.txt"] = lines(f"{key(n)} {n % 14}" for n in noisy)
    clean = range(20, 33)
    files["clean_label_kv.txt"] = lines(f"{key(n)} {(n + 1) % 14}" for n in clean)
    files["category_names_eng.txt"] = lines(f"Cloth {n}" for n in range(14))
    files |= {key(n): image(5 * n) for n in range(33)}
    files |= dict(zip(map(key, (2, 3, 4)), BROKEN.values(), strict=True))
    files |= {key(6): image(30, "PNG"), key(7): image(35, "GIF")}
    del files[key(5)]
    write(folder / "clothing1M", files)
    return folder


def food101n(folder):
    """Food-101N: ten images of three classes, of which one is cut off, and three tests.

    Image `n` is of grey `20 n` and of class 0, 99 or 100 of `FOODS`; 4 is cut off. 0 to
    5 are verified, even ones as right; so is one that is not listed.

    Returns:
        The folder that holds `Food-101N_release/` and `food-101/`.
    """
    keys = [f"{FOODS[(0, 99, 100)[n % 3]]}/{n:032x}.jpg" for n in range(10)]
    header = "class_name/key\tverification_label"
    verified = [f"{key}\t{1 - n % 2}" for n, key in enumerate(keys[:6])]
    verified.insert(2, f"{FOODS[1]}/{0xA49E:032x}.jpg\t0")
    meta = {
        "classes.txt": ["class_name", *FOODS],
        "imagelist.tsv": ["class_name/key", *keys],
        "verified_train.tsv": [header, *verified[:5]],
        "verified_val.tsv": [header, *verified[5:]],
    }
    files = {f"meta/{name}": lines(rows) for name, rows in meta.items()}
    files |= {f"images/{key}": image(20 * n) for n, key in enumerate(keys)}
    files[f"images/{keys[4]}"] = BROKEN["truncated"]
    write(folder / "Food-101N_release", files)
    tests = [f"{FOODS[99]}/11", f"{FOODS[100]}/12", f"{FOODS[5]}/13"]
    files = {f"images/{key}.jpg": image(n + 100) for n, key in enumerate(tests)}
    write(folder / "food-101", files | {"meta/test.txt": lines(tests)})
    return folder


def cifar_n(folder, classes, rows, columns):
    """A release of CIFAR in binary, and CIFAR-N's files, in TFDS's shuffled order.

    Args:
        folder: Where to: `release/` and `manual/`.
        classes: 10 or 100.
        rows: Number of training images; the test set has ten.
        columns: `{name of a column: share of wrong labels}`, of the file of labels.

    Returns:
        The true labels and `{name: given labels}`, in the order of the release.
    """
    random = np.random.default_rng(classes)
    truth = random.permutation(rows) % classes
    given = {
        name: np.where(random.permutation(rows) < rate * rows, truth + 1, truth)
        % classes
        for name, rate in columns.items()
    }
    prefix = b"" if classes == 10 else b"\7"  # The coarse label.
    release = [
        prefix + bytes([label]) + bytes([row % 256]) * 3072
        for row, label in enumerate(truth)
    ]
    test = b"".join(prefix + bytes([row]) + bytes(3072) for row in range(10))
    names = lines(f"name {number}" for number in range(classes))
    if classes == 10:
        step = rows // 5
        batches = [release[start : start + step] for start in range(0, rows, step)]
        files = {
            f"data_batch_{number}.bin": b"".join(batch)
            for number, batch in enumerate(batches, 1)
        }
        files |= {"test_batch.bin": test, "batches.meta.txt": names}
        write(folder / "release" / "cifar-10-batches-bin", files)
    else:
        files = {"train.bin": b"".join(release), "test.bin": test}
        files["fine_label_names.txt"] = names
        files["coarse_label_names.txt"] = lines(f"coarse {n}" for n in range(20))
        write(folder / "release" / "cifar-100-binary", files)
    # Row k of the file of labels is about image order[k] of the release.
    order = random.permutation(rows)
    table = np.stack([truth, *given.values()], axis=1)[order]
    header = ",".join(["clean_label", *given])
    labels = lines([header, *(",".join(map(str, row)) for row in table)])
    side = lines(["batch," + ",".join("abcdef"), *["0,1,2,3,4,5,6"] * rows])
    buffer = io.BytesIO()
    np.save(buffer, order)
    manual = {
        f"CIFAR-{classes}_human_annotations.csv": labels,
        f"side_info_cifar{classes}N.csv": side,
        f"image_order_c{classes}.npy": buffer.getvalue(),
    }
    write(folder / "manual", manual)
    return truth, given
