"""How far work is and how long it still takes: a bar, or a line now and then."""

import sys
import time
from typing import Any

import tqdm
from absl import logging

from josrc_keras._checks import duration

FIRST = 5.0  # Seconds after which the first line comes, where there is no terminal.
EVERY = 30.0  # Seconds between lines.


class Progress:
    """On a terminal a bar with the time that is left, elsewhere a line now and then.

    The time of the first step does not count, since it may compile what follows.

    Args:
        total: Number of steps.
        unit: What a step is, in the plural, such as `"photos"`.
    """

    def __init__(self, total, unit):
        self.total, self.unit, self.done = total, unit, 0
        self.bar = None
        if sys.stderr.isatty():
            self.bar = tqdm.tqdm(total=total, unit=f" {unit}", leave=False, smoothing=0)
        self.next_line = time.monotonic() + FIRST
        # Steps at the end of the first step, and when that was.
        self.first: Any = None

    def go_to(self, done, about="", more=""):
        """Tells that a number of steps is done.

        Args:
            done: How many, at least as many as before.
            about: A text that goes before, such as `"epoch 2 of 40"`.
            more: A text that goes behind, or a function without arguments that returns
                it, which is called where it is shown.
        """
        now = time.monotonic()
        if self.first is None and done:
            self.first = done, now
        if self.bar is not None:
            self.bar.set_description_str(about, refresh=False)
            if not isinstance(more, str) and now >= self.next_line - FIRST:
                self.bar.set_postfix_str(more(), refresh=False)
                self.next_line = now + FIRST + 1
            self.bar.update(done - self.done)
        elif now >= self.next_line and self.first and self.first[0] < done < self.total:
            self.next_line = now + EVERY
            text = more if isinstance(more, str) else more()
            parts = [
                about,
                f"{done} of {self.total} {self.unit}",
                self.left(done),
                text,
            ]
            logging.info("%s", ", ".join(part for part in parts if part))
        self.done = done

    def left(self, done):
        """The time that is left after a number of steps, as a text."""
        steps, then = self.first
        pace = (time.monotonic() - then) / (done - steps)
        return f"about {duration(pace * (self.total - done))} left"

    def close(self):
        """Takes the bar away."""
        if self.bar is not None:
            self.bar.close()


def follow(items, total, unit):
    """Yields the items, and tells how far they are.

    Args:
        items: An iterable.
        total: Their number.
        unit: What they are, in the plural.
    """
    progress = Progress(total, unit)
    try:
        for done, item in enumerate(items, start=1):
            yield item
            progress.go_to(done)
    finally:
        progress.close()
