"""The served report: who gets what, and how decisions of several browsers are kept."""

import http.client
import json
import os
import signal
import sys
import threading

import pytest

from benchmarks import faults
from josrc_keras import _files
from josrc_keras.cleaning import decisions, plan, report, serving
from tests.support.audit_tables import make_findings, make_image, make_table

pandas = pytest.importorskip("pandas")
pillow = pytest.importorskip("PIL.Image", reason="needs Pillow")
NAMES = ["c0", "c1", "c2"]


@pytest.fixture
def server(tmp_path):
    table = make_table(30, 3, names=NAMES)
    table["id"] = [f"{name}/é {i}.png" for i, name in enumerate(table["given_name"])]
    for row, name in enumerate(table["id"]):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        pillow.fromarray(make_image(row, size=40)).save(tmp_path / "photos" / name)
    (tmp_path / "photos/secret.png").write_bytes(b"secret")
    output = tmp_path / "audit"
    output.mkdir()
    plan.write_table(table, output / "audit.csv")
    findings = make_findings(table, NAMES)
    report.write_report(output / "report.html", table, findings, make_image, title="x")
    with serving.Server(output, tmp_path / "photos") as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, path, method="GET", body=None, **headers):
    """Status and body of an answer."""
    connection = http.client.HTTPConnection(serving.LOOPBACK, server.server_port)
    connection.request(method, path, body, {k: v for k, v in headers.items() if v})
    answer = connection.getresponse()
    result = answer.status, answer.read()
    connection.close()
    return result


def row(server, place=0, decision="keep", time="2026-01-01T00:00:00.000Z", new=""):
    name = sorted(server.ids)[place]
    values = (name, name.split("/")[0], decision, new, time)
    return dict(zip(decisions.COLUMNS, values, strict=True))


def test_only_this_machine_with_the_token_gets_anything(server):
    assert server.server_address[0] == "127.0.0.1"
    page, own = f"/{server.token}/", f"127.0.0.1:{server.server_port}"
    status, body = ask(server, page)
    assert status == 200 and serving.SERVED.encode() in body
    assert ask(server, page, Origin=f"http://{own}")[0] == 200
    assert ask(server, page, Host="evil.example")[0] == 403
    assert ask(server, page, Host=f"evil.example:{server.server_port}")[0] == 403
    assert ask(server, page, Origin="http://evil.example")[0] == 403
    assert ask(server, page, Origin="null")[0] == 403
    for path in ("/", "/wrong/", f"/{server.token[:-1]}/", f"{page}audit.csv"):
        assert ask(server, path)[0] == 404
    body = json.dumps([row(server)])
    evil = {"Origin": "http://evil.example"}
    assert ask(server, f"{page}decisions", "PUT", body, **evil)[0] == 403
    assert ask(server, "/wrong/decisions", "PUT", body)[0] == 404
    assert ask(server, f"{page}audit.csv", "PUT", body)[0] == 404
    assert not (server.output / serving.STATE).exists()


def test_only_photos_of_the_audit_are_shown(server):
    start = f"/{server.token}/photos"
    name = sorted(server.ids)[0]
    status, body = ask(server, f"{start}/{name.replace('é ', '%C3%A9%20')}")
    assert status == 200 and body == (server.photos / name).read_bytes()
    for path in ("secret.png", "../audit/audit.csv", "%2e%2e/audit/audit.csv", "c0"):
        assert ask(server, f"{start}/{path}")[0] == 404
    secret = server.output / "secret.png"
    secret.write_bytes(b"secret")
    server.ids.add(str(secret))  # As in a forged table.
    assert ask(server, f"{start}/{secret}")[0] == 404


@pytest.mark.parametrize(
    "body",
    ["", "{}", "[1]", '[{"id": "c0/none.png"}]', '[{"id": 1}]', "not json", "[[]]"],
)
def test_what_are_no_decisions_is_refused(server, body):
    assert ask(server, f"/{server.token}/decisions", "PUT", body)[0] == 400
    assert not (server.output / serving.STATE).exists()


def test_of_two_decisions_the_later_counts(server):
    """Whichever comes first; what was taken back stays so, and leaves the CSV."""
    early = row(server, 0, "none", "2026-01-01T00:00:00.000Z")
    late = row(server, 0, "relabel", "2026-01-01T00:00:01.000Z", new="c1")
    other = row(server, 1, "unsure")
    assert server.merge([late]) == server.merge([early])
    assert server.merge([other])["decisions"] == [late, other]
    read = decisions.read(server.output / serving.TABLE)
    assert read.to_dict("records") == [late, other]
    taken = row(server, 1, "", "2026-01-01T00:00:02.000Z")
    assert server.merge([taken]) == {"decisions": [late], "opened": [taken]}
    assert server.merge([other])["decisions"] == [late]
    server.merge([row(server, 0, "", "2026-01-02T00:00:00.000Z")])
    assert len(decisions.read(server.output / serving.TABLE)) == 0
    server.merge([late | {"time": "2026-01-03T00:00:00.000Z"}])
    assert decisions.read(server.output / serving.STATE)["id"].tolist() == [late["id"]]


def test_a_write_that_fails_leaves_what_was_there(server, monkeypatch):
    server.merge([row(server)])
    before = (server.output / serving.STATE).read_bytes()

    def fail(*_):
        raise OSError("No space left")

    monkeypatch.setattr(_files.os, "replace", fail)
    body = json.dumps([row(server, 1)])
    assert ask(server, f"/{server.token}/decisions", "PUT", body)[0] == 503
    assert (server.output / serving.STATE).read_bytes() == before


def test_a_kill_at_each_moment_of_a_write_loses_nothing(server):
    """A server that is killed before each of its file events, and what is left of it.

    The state is the one before or the one after, both files can be read, and the next
    server removes what was half written and brings the table up to the state.
    """
    server.merge([row(server, 0, "none")])
    before = server.state()
    after = {**before, "decisions": [*before["decisions"], row(server, 1)]}
    saved = (server.output / serving.STATE).read_bytes()
    kills, seen = 0, []
    while True:
        child = os.fork()
        if not child:
            try:
                sys.addaudithook(faults.killer(kills + 1, (str(server.output),)))
                server.merge([row(server, 1)])
            finally:
                os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        seen.append(server.state())
        assert seen[-1] in (before, after)
        assert len(decisions.read(server.output / serving.TABLE)) in (1, 2)
        with serving.Server(server.output) as again:
            assert again.state() == seen[-1]
        table = decisions.read(server.output / serving.TABLE)
        assert table.to_dict("records") == seen[-1]["decisions"]
        assert not list(server.output.glob(f"{_files.PREFIX}*"))
        if status == 0:
            break
        assert status == -signal.SIGKILL
        kills += 1
        (server.output / serving.STATE).write_bytes(saved)
        server._write(before)
    assert kills >= 8 and seen[0] == before and seen[-1] == after
    assert seen == sorted(seen, key=lambda state: len(state["decisions"]))


def test_a_server_of_another_process_is_waited_for(server):
    """While an audit works in the folder, a browser is told to try again."""
    page = f"/{server.token}/decisions"
    with _files.locked(server.output):
        assert ask(server, page, "PUT", json.dumps([row(server)]))[0] == 503
        with pytest.raises(RuntimeError, match="Wait until it has ended"):
            serving.Server(server.output)
    assert ask(server, page, "PUT", json.dumps([row(server)]))[0] == 200


def wait_for(page, condition):
    """Waits until a condition holds; the page's policy allows no other way."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not within five seconds: {condition}")


def test_two_browsers_agree(server, browser):
    """Each writes beside the audit and sees what the other decided, and the photos."""
    first, second = browser.new_context(), browser.new_context()
    pages = [each.new_page() for each in (first, second)]
    problems = []
    for page in pages:
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
    pages[0].goto(server.address)
    pages[0].keyboard.press("f")
    picture = pages[0].locator("#preview-picture img")
    picture.evaluate("image => image.decode()")
    assert picture.get_attribute("src").startswith("photos/c")
    for key in "knu":
        pages[0].keyboard.press(key)
    wait_for(pages[0], "isSent")
    pages[1].goto(server.address)
    wait_for(pages[1], "times.filter((time) => time).length === 3")
    pages[1].keyboard.press("f")
    pages[1].keyboard.press("d")
    wait_for(pages[1], "isSent")
    pages[0].evaluate("exchange({})")
    wait_for(pages[0], "times.filter((time) => time).length === 4")
    texts = [page.locator("#done").inner_text() for page in pages]
    assert texts[0] == texts[1] and texts[0].startswith("4 decided")
    kept = decisions.read(server.output / serving.TABLE)["decision"]
    assert sorted(kept) == ["delete", "keep", "none", "unsure"]
    assert problems == []
    first.close()
    second.close()
