"""Which requests Dagster's UI answers: those of its own pages, and of programs on this machine.

What belongs here: the decision, and the ASGI middleware that applies it. What does not: starting
the UI (`dev_server`, `ui_server`).

The UI has no login, and listens on 127.0.0.1 only. A page of another site that is open in the same
browser can send requests there all the same. These rules stop it:

- The name in ``Host`` is one of this machine, or of the setting. A site whose name was made to
  resolve to 127.0.0.1 (DNS rebinding) has another one.
- ``Origin``, which browsers send with each POST and each websocket, is the UI's own.
- ``Sec-Fetch-Site`` says that the request comes from the UI itself, or that a person follows a
  link. No other site shows the UI in a frame.
- Nothing is changed by GET, or by a content type that a page may send without being asked by the
  browser first (a form, plain text).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

from tvdb_assets.redaction import printable

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::[0-9]{1,5})?")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_GRAPHQL_TYPES = frozenset({"application/json", "application/graphql"})
_FRAMES = frozenset({"frame", "iframe", "embed", "object", "fencedframe"})
_MAX_SHOWN = 100


class RequestGuard:
    """ASGI middleware that answers foreign requests itself, with 403 and a sentence."""

    def __init__(self, app: App, hosts: Iterable[str] = ()) -> None:
        """Wrap an application.

        Args:
            app: the ASGI application.
            hosts: names under which a proxy offers the UI, in addition to those of this machine.
        """
        self._app = app
        self._hosts = frozenset(host.strip().casefold() for host in hosts if host.strip())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if (reason := self.refusal(scope)) is None:
            await self._app(scope, receive, _with_frame_rule(send))
        elif scope["type"] == "websocket":
            await receive()
            # Before it was accepted: the server answers the handshake with 403.
            await send({"type": "websocket.close", "code": 1008, "reason": reason[:100]})
        else:
            body = f"{reason}\n".encode()
            headers = [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", str(len(body)).encode()),
                (b"x-content-type-options", b"nosniff"),
            ]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    def refusal(self, scope: Message) -> str | None:
        """Why a request is refused, as a sentence; None if it is answered."""
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        for name in ("host", "origin", "content-type"):
            if len(headers.get(name, [])) > 1:
                return f"The request has more than one header {name}."
        one = {name: values[0] for name, values in headers.items()}
        return (
            self._foreign_host(one.get("host", ""))
            or self._foreign_origin(one)
            or self._foreign_site(scope, one)
            or (_unsafe_change(scope, one) if scope["type"] == "http" else None)
        )

    def _foreign_host(self, host: str) -> str | None:
        named = _HOST.fullmatch(host.casefold())
        if named is not None and (named["name"] in LOCAL_NAMES or named["name"] in self._hosts):
            return None
        return (
            f"The UI is not offered under the name {_shown(host)}. Open it as localhost. If a "
            "proxy offers it under this name, add the name to TVDB_UI_HOSTS."
        )

    def _foreign_origin(self, headers: dict[str, str]) -> str | None:
        origin = headers.get("origin")
        if origin is None:
            return None
        try:
            parts = urlsplit(origin.casefold())
            is_own = parts.scheme in ("http", "https") and (
                parts.netloc == headers["host"].casefold() or (parts.hostname or "") in self._hosts
            )
        except ValueError:
            is_own = False
        if is_own:
            return None
        return (
            f"A page of {_shown(origin)} may not use the UI. If a proxy offers the UI there, add "
            "its name to TVDB_UI_HOSTS."
        )

    def _foreign_site(self, scope: Message, headers: dict[str, str]) -> str | None:
        if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
            return None
        follows_link = (
            scope["type"] == "http"
            and scope["method"] in _READING
            and headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") not in _FRAMES
        )
        return None if follows_link else "A page of another site may not use the UI."


def _unsafe_change(scope: Message, headers: dict[str, str]) -> str | None:
    """Why a request may not change anything, if it would; None for all other requests."""
    is_graphql = scope["path"].rstrip("/").endswith("/graphql")
    if scope["method"] in _READING:
        if is_graphql and _changes(scope.get("query_string", b"")):
            return "A mutation is sent by POST, with the content type application/json."
        return None
    content_type = headers.get("content-type")
    kind = (content_type or "").partition(";")[0].strip().casefold()
    if is_graphql and kind not in _GRAPHQL_TYPES:
        return "A query is sent with the content type application/json."
    if content_type is not None and kind not in _GRAPHQL_TYPES:
        return "A change is sent with the content type application/json."
    return None


def _changes(query_string: bytes) -> bool:
    """Whether a GET to GraphQL contains anything but queries."""
    values = parse_qs(query_string.decode("latin-1"), keep_blank_values=True)
    for text in values.get("query", []):
        try:
            document = parse(text, no_location=True)
        except (GraphQLError, RecursionError):
            return True
        if any(
            isinstance(node, OperationDefinitionNode) and node.operation != OperationType.QUERY
            for node in document.definitions
        ):
            return True
    return False


def _with_frame_rule(send: Send) -> Send:
    """Add the header that keeps other sites from showing the answer in a frame."""

    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), (b"x-frame-options", b"SAMEORIGIN")]
            message = {**message, "headers": headers}
        await send(message)

    return send_on


def _shown(name: str) -> str:
    return printable(name[:_MAX_SHOWN]) or "(none)"
