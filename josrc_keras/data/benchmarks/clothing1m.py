"""Clothing1M, for TensorFlow Datasets."""

import tensorflow_datasets as tfds

from josrc_keras.data.benchmarks import manual_files

CLASSES = 14
SPLITS = {  # The list of each split, and the images in it.
    "train": ("noisy_train_key_list.txt", 1_000_000),
    "clean_train": ("clean_train_key_list.txt", 47_570),
    "validation": ("clean_val_key_list.txt", 14_313),
    "test": ("clean_test_key_list.txt", 10_526),
}
FOLDERS = ("clothing1M", "Clothing1M")  # The release's spelling, and another.
NAMES = "category_names_eng.txt"
LABELS = ("label", "clean_label", "noisy_label")

_DESCRIPTION = """
A million photos of clothing of 14 classes from online shops. Their labels were taken
from the text around them, and about 38% are wrong. 72,409 other photos have a label
that was given by hand, and 37,497 of those have both. For research, not for commerce.
"""

_CITATION = """
@inproceedings{xiao2015learning,
  title={Learning from Massive Noisy Labeled Data for Image Classification},
  author={Xiao, Tong and Xia, Tian and Yang, Yi and Huang, Chang and Wang, Xiaogang},
  booktitle={CVPR},
  year={2015}
}
"""


class Clothing1m(tfds.core.GeneratorBasedBuilder):
    """Clothing1M: a million noisy labels, and 72,409 that were given by hand.

    Labels are line numbers of `category_names_eng.txt`, from 0. `clean_label` was given
    by hand and `noisy_label` was taken from the text. Either is -1 where it is missing.
    `label` is the one to use: the noisy label in `train`, the clean label in
    `validation` and `test`. In `clean_train` it is the noisy label where there is one,
    else the clean label, as in the Jo-SRC paper's published code, which adds that split
    to `train`. Images are stored byte for byte. `info.metadata` says what was left out,
    see `manual_files.Images`, and how many images have `two_labels`.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}  # noqa: RUF012  # TFDS wants a dict.
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Ask the authors for the download link, as https://github.com/Cysu/noisy_label says.
    Unpack the ten archives of images into clothing1M/images/ and the annotations into
    clothing1M/ (or clothing1M/annotations/), so that manual_dir holds

        clothing1M/category_names_eng.txt
        clothing1M/clean_label_kv.txt
        clothing1M/clean_test_key_list.txt
        clothing1M/clean_train_key_list.txt
        clothing1M/clean_val_key_list.txt
        clothing1M/images/0/ to clothing1M/images/9/
        clothing1M/noisy_label_kv.txt
        clothing1M/noisy_train_key_list.txt
    """

    def _info(self):
        """Returns the dataset's description."""
        features = {
            "image": tfds.features.Image(encoding_format="jpeg"),
            "id": tfds.features.Text(doc="Path, such as images/7/67/1,2.jpg."),
        }
        for name in LABELS:
            features[name] = tfds.features.ClassLabel(num_classes=CLASSES)
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
            homepage="https://github.com/Cysu/noisy_label",
            citation=_CITATION,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager):
        """Returns the examples of each split; reads all lists before any image."""
        folder, lists = _find(dl_manager.manual_dir)
        images = manual_files.Images(self.info.metadata)
        names = manual_files.read_names(lists / NAMES, CLASSES)
        for label in LABELS:
            self.info.features[label].names = names
        clean, noisy = (
            manual_files.read_numbers(lists / f"{kind}_label_kv.txt", range(CLASSES))
            for kind in ("clean", "noisy")
        )
        keys = {
            split: images.begin(split, manual_files.read_lines(lists / name), published)
            for split, (name, published) in SPLITS.items()
        }
        self.info.metadata["two_labels"] = {
            split: sum(key in clean and key in noisy for key in listed)
            for split, listed in keys.items()
        }
        return {
            split: self._generate_examples(split, listed, folder, images, clean, noisy)
            for split, listed in keys.items()
        }

    def _generate_examples(self, split, keys, folder, images, clean, noisy):
        """Yields the path and the example of each image that can be decoded."""
        of_split = {"train": [noisy], "clean_train": [noisy, clean]}
        for key in keys:
            labels = [kind[key] for kind in of_split.get(split, [clean]) if key in kind]
            if not labels:
                images.skip(split, key, "has no label")
                continue
            content = images.read(split, key, folder / key)
            if content is not None:
                yield (
                    key,
                    {
                        "image": content,
                        "id": key,
                        "label": labels[0],
                        "clean_label": clean.get(key, -1),
                        "noisy_label": noisy.get(key, -1),
                    },
                )


def _find(manual_dir):
    """The folder that paths are relative to, and the folder of the lists."""
    names = [
        "annotations",
        *(f"{name}{inner}" for name in FOLDERS for inner in ("", "/annotations")),
    ]
    lists = manual_files.find_folder(manual_dir, names, NAMES)
    folder = lists.parent if lists.name == "annotations" else lists
    if not (folder / "images").exists():
        raise OSError(
            f"Expected Clothing1M's images in {folder / 'images'}. Received: no such "
            "folder. Unpack the ten archives of images into it."
        )
    return folder, lists
