"""Photos that are copied and moved, and pages in a browser."""

import errno
import os
import shutil

import pytest

from josrc_keras.cleaning import report
from tests.support.audit_tables import make_findings
from tests.support.photo_moves import (
    ROWS,
)


@pytest.fixture
def photos(tmp_path):
    """A folder whose files have their ids as bytes, one of them not audited."""
    folder = tmp_path / "photos"
    for name in [*(row[0] for row in ROWS), "a/notes.txt"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 3)
    return folder


@pytest.fixture
def output(tmp_path):
    return tmp_path / "run" / "audit"


@pytest.fixture
def other_disk(monkeypatch):
    """Every rename is across file systems."""

    def refuse(source, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "rename", refuse)


@pytest.fixture(scope="module")
def browser():
    """A real browser; without one the tests that need it are skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """A function that opens a page, which is to log no error and ask for nothing."""
    pages, problems = [], []

    def on_request(request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            problems.append(request.url)

    def on_dialog(dialog):
        if dialog.type != "beforeunload":
            problems.append(dialog.message)
        dialog.accept()

    def on_console(message):
        if message.type in ("error", "warning"):
            problems.append(message.text)

    def open_page(path, context=None):
        page = (context or browser).new_page(
            **({} if context else {"viewport": {"width": 1300, "height": 900}})
        )
        page.set_default_timeout(120_000)  # Milliseconds, for a busy machine.
        page.on("request", on_request)
        page.on("dialog", on_dialog)
        page.on("console", on_console)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(path.as_uri())
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert problems == []


@pytest.fixture
def show(browser, open_page, tmp_path):
    """A function that writes a report and opens it."""
    contexts = []

    def show(table, findings=None, thumbnail=None, *, context=None, **options):
        path = tmp_path / "report.html"
        options.setdefault("title", "Digits")
        findings = findings or make_findings(table)
        report.write_report(path, table, findings, thumbnail, **options)
        context = {"viewport": {"width": 1300, "height": 900}, **(context or {})}
        contexts.append(browser.new_context(**context))
        return open_page(path, contexts[-1])

    yield show
    for each in contexts:
        each.close()
