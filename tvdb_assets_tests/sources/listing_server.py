"""A server on this machine that lists a bucket page by page, and can break off a listing.

What belongs here: the listing of S3, and the ways in which it ends too early. What does not: any
check.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

BREAKS = (
    "refused",
    "server error",
    "error in a successful response",
    "half a document",
    "half a body",
    "empty body",
    "no token",
    "empty token",
)
"""How the listing ends after its first page."""

_ERROR = b"<Error><Code>InternalError</Code></Error>"


class ListingServer:
    """Serves the pages of one bucket; ``breaks`` names what happens after the first page."""

    def __init__(self, pages: Sequence[Sequence[str]]) -> None:
        self._pages = pages
        self.breaks = ""
        self.ignores_start = False
        """Whether a listing from a name on begins with the first name, as of some servers."""
        self.requests = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> ListingServer:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, query: dict[str, list[str]]) -> tuple[int, bytes, int]:
        """Status, body and declared length of the answer to one request."""
        self.requests += 1
        after = "" if self.ignores_start else query.get("start-after", [""])[0]
        number = int(query.get("continuation-token", ["0"])[0])
        if after:
            names, token = [n for page in self._pages for n in page if n > after], None
        else:
            names = list(self._pages[number])
            token = str(number + 1) if number + 1 < len(self._pages) else None
        body = _page(names, token, is_truncated=token is not None)
        if number == 0 and not after:
            if self.breaks == "no token":
                body = _page(names, None, is_truncated=True)
            elif self.breaks == "empty token":
                body = _page(names, "", is_truncated=True)
            return 200, body, len(body)
        half = body[: len(body) // 2]
        answers = {
            "refused": (403, b"<Error><Code>AccessDenied</Code></Error>"),
            "server error": (500, _ERROR),
            "error in a successful response": (200, _ERROR),
            "half a document": (200, half),
            "half a body": (200, half),
            "empty body": (200, b""),
        }
        status, answered = answers.get(self.breaks, (200, body))
        return status, answered, len(body if self.breaks == "half a body" else answered)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                status, body, length = answer(parse_qs(urlsplit(self.path).query))
                self.send_response(status)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = length != len(body)

        return Handler


def _page(names: Sequence[str], token: str | None, is_truncated: bool) -> bytes:
    objects = "".join(
        f"<Contents><Key>{name}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        "<ETag>e</ETag><Size>1</Size></Contents>"
        for name in names
    )
    following = "" if token is None else f"<NextContinuationToken>{token}</NextContinuationToken>"
    return (
        '<?xml version="1.0"?><ListBucketResult><Name>bucket</Name>'
        f"<KeyCount>{len(names)}</KeyCount><MaxKeys>1000</MaxKeys>"
        f"<IsTruncated>{str(is_truncated).lower()}</IsTruncated>{following}{objects}"
        "</ListBucketResult>"
    ).encode()
