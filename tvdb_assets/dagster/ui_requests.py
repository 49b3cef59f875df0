"""Which requests Dagster's UI answers: those of its own pages, and of programs on this machine.

What belongs here: the decision, and the ASGI middleware that applies it. What does not: starting
the UI (`dev_server`, `ui_server`).

The UI has no login, and listens on 127.0.0.1 only. `request_origins` has the rules against pages
of other sites. One more applies here:

- Nothing is changed by GET, or by a content type that a page may send without being asked by the
  browser first (a form, plain text).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

from tvdb_assets.request_origins import READING_METHODS, OriginRules

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_GRAPHQL_TYPES = frozenset({"application/json", "application/graphql"})


class RequestGuard:
    """ASGI middleware that answers foreign requests itself, with 403 and a sentence."""

    def __init__(self, app: App, hosts: Iterable[str] = ()) -> None:
        """Wrap an application.

        Args:
            app: the ASGI application.
            hosts: names under which a proxy offers the UI, in addition to those of this machine.
        """
        self._app = app
        self._rules = OriginRules(hosts, what="UI", setting="TVDB_UI_HOSTS")

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
        if reason := self._rules.refusal(scope):
            return reason
        if scope["type"] != "http":
            return None
        headers = {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in scope["headers"]}
        return _unsafe_change(scope, headers)


def _unsafe_change(scope: Message, headers: dict[str, str]) -> str | None:
    """Why a request may not change anything, if it would; None for all other requests."""
    is_graphql = scope["path"].rstrip("/").endswith("/graphql")
    if scope["method"] in READING_METHODS:
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
