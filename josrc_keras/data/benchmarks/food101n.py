"""Food-101N with Food-101's test split, for TensorFlow Datasets."""

import numpy as np
import tensorflow_datasets as tfds

from josrc_keras.data.benchmarks import manual_files

CLASSES = 101
TRAIN, TEST = 310_009, 25_250
LIST, TEST_LIST = "meta/imagelist.tsv", "meta/test.txt"
VERIFIED = ("meta/verified_train.tsv", "meta/verified_val.tsv")
HEADER = "class_name"  # How the first line of each of Food-101N's lists begins.

_DESCRIPTION = """
310,009 photos of food, of Food-101's 101 classes, found by search engines. About 20% of
the labels are wrong. For 57,608 photos people have said whether the label is right. The
test images are Food-101's 25,250.
"""

_CITATION = """
@inproceedings{lee2017cleannet,
  title={CleanNet: Transfer Learning for Scalable Image Classifier Training with Label
  Noise},
  author={Lee, Kuang-Huei and He, Xiaodong and Zhang, Lei and Yang, Linjun},
  booktitle={Proceedings of the IEEE Conference on Computer Vision and Pattern
  Recognition ({CVPR})},
  year={2018}
}
"""


class Food101n(tfds.core.GeneratorBasedBuilder):
    """Food-101N to train on, and Food-101's test split.

    `train` is the whole of `imagelist.tsv`, as in CleanNet's and the Jo-SRC paper's
    published code. It includes the verified images, also those of `verified_val.tsv`.
    `verified` is 1 where people found the label right, 0 where they found it wrong, and
    -1 for all other images and in `test`. Labels are places in the sorted list of class
    names, which is not quite the order of TFDS's own `food101`. Images are stored byte
    for byte. `info.metadata` says what was left out, see `manual_files.Images`, and as
    `verified_unlisted` which verified images are not in the list (one in the release).
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}  # noqa: RUF012  # TFDS wants a dict.
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Download Food-101N_release.zip (https://kuanghuei.github.io/Food-101N/) and
    food-101.tar.gz (https://data.vision.ee.ethz.ch/cvl/food-101.tar.gz) and unpack
    both, so that manual_dir holds

        Food-101N_release/images/CLASS/IMAGE.jpg
        Food-101N_release/meta/classes.txt
        Food-101N_release/meta/imagelist.tsv
        Food-101N_release/meta/verified_train.tsv
        Food-101N_release/meta/verified_val.tsv
        food-101/images/CLASS/IMAGE.jpg
        food-101/meta/test.txt
    """

    def _info(self):
        """Returns the dataset's description."""
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(encoding_format="jpeg"),
                    "id": tfds.features.Text(doc="Path, CLASS/IMAGE.jpg."),
                    "label": tfds.features.ClassLabel(num_classes=CLASSES),
                    "verified": tfds.features.Scalar(np.int64),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://kuanghuei.github.io/Food-101N/",
            citation=_CITATION,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager):
        """Returns the examples of each split; reads all lists before any image."""
        folders = [
            _find(dl_manager.manual_dir, "Food-101N_release", LIST),
            _find(dl_manager.manual_dir, "food-101", TEST_LIST),
        ]
        images = manual_files.Images(self.info.metadata)
        classes = folders[0] / "meta" / "classes.txt"
        names = sorted(manual_files.read_names(classes, CLASSES, HEADER))
        self.info.features["label"].names = names
        verified: dict = {}
        for name in VERIFIED:
            path = folders[0] / name
            verified |= manual_files.read_numbers(path, range(2), HEADER)
        keys = manual_files.read_lines(folders[0] / LIST, HEADER)
        test_keys = manual_files.read_lines(folders[1] / TEST_LIST)
        test_keys = [f"{key}.jpg" for key in test_keys]
        keys = images.begin("train", keys, TRAIN)
        test_keys = images.begin("test", test_keys, TEST)
        unlisted = sorted(set(verified) - set(keys))
        self.info.metadata["verified_unlisted"] = unlisted
        return {
            "train": self._generate_examples(
                "train", keys, folders[0] / "images", images, verified
            ),
            "test": self._generate_examples(
                "test", test_keys, folders[1] / "images", images, {}
            ),
        }

    def _generate_examples(self, split, keys, folder, images, verified):
        """Yields the path and the example of each image that can be decoded."""
        names = set(self.info.features["label"].names)
        for key in keys:
            name = key.partition("/")[0]
            if name not in names:
                images.skip(split, key, "is of no known class")
                continue
            content = images.read(split, key, folder / key)
            if content is not None:
                yield (
                    key,
                    {
                        "image": content,
                        "id": key,
                        "label": name,
                        "verified": verified.get(key, -1),
                    },
                )


def _find(manual_dir, name, landmark):
    """The folder of one of the two datasets, which must hold images."""
    folder = manual_files.find_folder(manual_dir, [name], landmark)
    if not (folder / "images").exists():
        raise OSError(
            f"Expected the images of {name} in {folder / 'images'}. Received: no such "
            "folder. Unpack the whole archive again."
        )
    return folder
