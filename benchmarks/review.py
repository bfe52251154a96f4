r"""A scripted reviewer of a report in a browser, who decides rightly, worst first.

    python benchmarks/review.py --report=audit/report.html --truth=truth.csv
    python benchmarks/review.py --report=audit/report.html --truth=truth.csv \
        --decisions=12 --picture=results/audit/report.png

benchmarks/review_photos.py makes photos whose truth is known.
`truth.csv` has the columns `id`, `given` and `true`; a true class that is no class of
the audit is out-of-distribution. Each decision is one key. After each 50 a line says
how many wrong labels are left, and what the page estimates. Then the page exports them.
`--picture` keeps what it looks like after the last decision.
"""

import csv
import shutil
from pathlib import Path

from absl import app, flags

_REPORT = flags.DEFINE_string("report", None, "The page.", required=True)
_TRUTH = flags.DEFINE_string("truth", None, "CSV file of true classes.", required=True)
_DECISIONS = flags.DEFINE_integer("decisions", 200, "How many decisions are made.")
_PICTURE = flags.DEFINE_string("picture", None, "A PNG file to write.")
_OUTPUT = flags.DEFINE_string("output", "decisions.csv", "Where the decisions go.")


def main(_):
    """Reviews, and prints what is left."""
    from playwright.sync_api import sync_playwright

    with open(_TRUTH.value, encoding="utf-8") as lines:
        truth = {row["id"]: row for row in csv.DictReader(lines)}
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1240, "height": 830})
        page.goto(Path(_REPORT.value).absolute().as_uri())
        page.keyboard.press("f")
        review(page, truth)
        if _PICTURE.value is not None:
            picture(page, _PICTURE.value)
        page.keyboard.press("Escape")
        with page.expect_download() as download:
            page.keyboard.press("e")
        download.value.save_as(_OUTPUT.value)
        browser.close()


def picture(page, path):
    """Writes a picture of the page, of few colours and so of few bytes."""
    from PIL import Image

    page.wait_for_timeout(1000)  # Milliseconds, until all images are there.
    page.screenshot(path=path)
    with Image.open(path) as image:
        image.convert("RGB").quantize(256).save(path, optimize=True)


def review(page, truth):
    """Decides rightly, a key for each sample, and prints what is left."""
    wrong = {name for name, row in truth.items() if row["given"] != row["true"]}
    for number in range(1, _DECISIONS.value + 1):
        name = page.evaluate("ids[current]")
        true = truth[name]["true"]
        likely = page.evaluate("likelyOf(current).map((label) => classes[label])")
        if true == truth[name]["given"]:
            key = "k"
        else:
            key = str(likely.index(true) + 1) if true in likely else "n"
        page.keyboard.press(key)
        wrong.discard(name)
        if number % 50 == 0:
            middle, low, high = page.evaluate("estimateLeft()")
            print(
                f"{number} decisions: {len(wrong)} wrong labels are left, "
                f"by the page's estimate {middle} ({low} to {high})",
                flush=True,
            )


if __name__ == "__main__":
    app.run(main)
