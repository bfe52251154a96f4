"""A report that is served to browsers of this machine alone, and keeps decisions.

The address has a random token. Requests of other hosts and origins, with other tokens
or for other paths are refused. Only photos of the audit are shown.
"""

import http.server
import json
import mimetypes
import secrets
import threading
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

from josrc_keras import _files
from josrc_keras.cleaning import decisions, plan

LOOPBACK = "127.0.0.1"
STATE = "decisions.json"  # What browsers decided, and what they opened again.
TABLE = "decisions.csv"  # What is decided, for `--decisions`.
POLICY = "img-src data: file:;"  # A part of the report's policy, and what replaces it.
SERVED = "img-src 'self' data:; connect-src 'self';"
MOST = 200_000_000  # Bytes of a request.


class Server(http.server.ThreadingHTTPServer):
    """A server of one audit, on a free port of the loopback interface.

    Args:
        output: Folder of the audit, with `report.html` and `audit.csv`.
        photos: The folder that ids are paths in, or None for a report without photos.

    Attributes:
        address: Where a browser finds the report, the token included.

    Raises:
        OSError: If there is no report, or no port is free.
        RuntimeError: If another process works in the folder.
        ValueError: If the audit's table can't be read.
    """

    daemon_threads = True

    def __init__(self, output, photos=None):
        self.output = Path(output)
        self.photos = None if photos is None else Path(photos)
        self.page = (self.output / "report.html").read_text(encoding="utf-8")
        table = plan.read_table(self.output / "audit.csv")
        self.ids = set(table["id"].astype(str))
        self.writing = threading.Lock()
        self._mend()
        super().__init__((LOOPBACK, 0), _Handler)
        self.token = secrets.token_urlsafe(32)
        self.hosts = {f"{name}:{self.server_port}" for name in (LOOPBACK, "localhost")}
        self.address = f"http://{LOOPBACK}:{self.server_port}/{self.token}/"

    def _mend(self):
        """Removes what a killed server was writing; the table follows the state."""
        with _files.locked(self.output):
            _files.remove_unfinished(self.output, {STATE, TABLE})
            if (self.output / STATE).exists():
                self._write(self.state())

    def state(self):
        """What is kept: a dict of `decisions` and `opened`, lists of dicts."""
        path = self.output / STATE
        if not path.exists():
            return {"decisions": [], "opened": []}
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {"decisions": kept["decisions"], "opened": kept.get("opened", [])}

    def merge(self, sent):
        """Keeps what a browser sent; of two decisions on a sample the later counts.

        Args:
            sent: A list of dicts with `decisions.COLUMNS`, of texts. An empty
                `decision` is one that was taken back.

        Returns:
            What is kept then, as `state` does.

        Raises:
            ValueError: If it is not such a list.
            RuntimeError: If another process works in the folder.
        """
        known = {"", *decisions.ACTIONS}
        rows: list = sent if isinstance(sent, list) else [None]
        for row in rows:
            texts = isinstance(row, dict) and set(row) == set(decisions.COLUMNS)
            texts = texts and all(isinstance(each, str) for each in row.values())
            if not texts or row["id"] not in self.ids or row["decision"] not in known:
                raise ValueError(
                    f"Expected decisions on the audit's samples. Received: {row!r}. "
                    "Load the report anew."
                )
        with self.writing, _files.locked(self.output):
            kept = self.state()
            merged = {row["id"]: row for part in kept.values() for row in part}
            for row in sent:
                if row["id"] not in merged or row["time"] >= merged[row["id"]]["time"]:
                    merged[row["id"]] = row
            rows = [merged[name] for name in sorted(merged)]
            state = {
                "decisions": [row for row in rows if row["decision"]],
                "opened": [row for row in rows if not row["decision"]],
            }
            if state != kept:
                self._write(state)
        return state

    def _write(self, state):
        _files.write_text(self.output / STATE, json.dumps(state))
        if state["decisions"]:
            _files.write_csv(self.output / TABLE, state["decisions"])
        else:
            _files.write_text(self.output / TABLE, ",".join(decisions.COLUMNS) + "\n")

    def photo(self, name):
        """The path of a photo of the audit, or None."""
        inside = not Path(name).is_absolute() and ".." not in Path(name).parts
        if self.photos is None or name not in self.ids or not inside:
            return None
        kind = mimetypes.guess_type(name)[0] or ""
        path = self.photos / name
        return path if kind.startswith("image/") and path.is_file() else None


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request."""

    server: Server

    def do_GET(self):
        path = self._path()
        if path is None:
            return
        if path == "":
            page = self.server.page.replace(POLICY, SERVED, 1)
            self._answer(page.encode(), "text/html; charset=utf-8")
        elif path == "decisions":
            self._answer_json(self.server.state())
        elif path.startswith("photos/"):
            name = unquote(path.removeprefix("photos/"), errors="surrogateescape")
            photo = self.server.photo(name)
            if photo is None:
                self.send_error(HTTPStatus.NOT_FOUND)
            else:
                self._answer(photo.read_bytes(), mimetypes.guess_type(name)[0])
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_PUT(self):
        path = self._path()
        if path is None:
            return
        length = int(self.headers.get("Content-Length") or -1)
        if path != "decisions":
            self.send_error(HTTPStatus.NOT_FOUND)
        elif not 0 <= length <= MOST:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            try:
                merged = self.server.merge(json.loads(self.rfile.read(length)))
            except ValueError:
                self.send_error(HTTPStatus.BAD_REQUEST)
            except (OSError, RuntimeError):  # The page tries again.
                self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
            else:
                self._answer_json(merged)

    def _path(self):
        """The path after the token; None, and an answer, if the request is refused."""
        host, origin = self.headers.get("Host"), self.headers.get("Origin")
        token, _, path = urlsplit(self.path).path.removeprefix("/").partition("/")
        if host not in self.server.hosts or origin not in (None, f"http://{host}"):
            self.send_error(HTTPStatus.FORBIDDEN)
            return None
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return path

    def _answer_json(self, value):
        self._answer(json.dumps(value).encode(), "application/json")

    def _answer(self, body, kind):
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Logs nothing: the address has the token."""
