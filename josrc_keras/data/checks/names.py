"""Class names that a person can't tell apart."""

import re
import unicodedata
from collections.abc import Sequence

# Cyrillic and Greek letters, and digits, that look like Latin letters in many fonts:
# a, e, o, p, c, y, x, i, j, s, d, h, l, v; a, o, p, t, u, i, k.
LOOKALIKES = str.maketrans(
    {
        **dict(
            zip(
                "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u04cf\u03bd",
                "aeopcyxijsdhlv",
                strict=True,
            )
        ),
        **dict(
            zip("\u03b1\u03bf\u03c1\u03c4\u03c5\u03b9\u03ba", "aoptuik", strict=True)
        ),
        "0": "o",
        "1": "l",
    }
)


def as_seen(name: str) -> str:
    """What is left of a name when all is taken away that a reader does not see.

    These are upper and lower case, the width and the composition of characters, white
    space at the ends and how much of it stands between words, characters without a
    shape, dashes of other lengths, and letters of other scripts that look alike.
    """
    text = unicodedata.normalize("NFKC", name)
    text = "".join(
        "-" if unicodedata.category(each) == "Pd" else each
        for each in text
        if unicodedata.category(each) not in ("Cf", "Cc")
    )
    text = unicodedata.normalize("NFKC", text.casefold()).translate(LOOKALIKES)
    return re.sub(r"\s+", " ", text).strip()


def check_distinct(names: Sequence[str], what: str) -> None:
    """Refuses names of which two look alike.

    Args:
        names: The names of the classes.
        what: Where they come from, for the message.

    Raises:
        ValueError: If a person could take two of them for one class.
    """
    seen: dict = {}
    for name in names:
        other = seen.setdefault(as_seen(str(name)), name)
        if other is not name and other != name:
            raise ValueError(
                f"Expected class names that a person can tell apart. Received: "
                f"{other!a} and {name!a} in {what}, which would be two "
                "classes. Move the images of one into the other, or rename one."
            )
