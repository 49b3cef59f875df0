"""How many texts one process may have sent whose vectors are not stored yet.

What belongs here: the bound, by the size of the load, and waiting for room within it. What does
not: requests (`paid_embedding`), or money (`spend_guard`).

What is sent and not stored is paid for again if the process is killed. So a load of texts is sent
in requests of a few dozen, and only a small share of it is on its way at any time.
"""

from __future__ import annotations

import asyncio
from collections import deque

SHARE = 0.04
"""Of a load that may be on its way at once."""
LEAST = 100
"""Texts that may always be on their way: less would save nothing that matters."""
IN_FLIGHT = 3
"""Requests among which these texts are divided, so that the service is busy while answers are
stored. More would be smaller, and cost more requests of the hour."""


class TextsAtRisk:
    """The texts on their way of one process."""

    def __init__(self) -> None:
        """Nothing is on its way, and nothing is known of the load."""
        self._documents = 0
        self._documents_seen = 0
        self._texts_seen = 0
        self._texts_stored = 0
        self._on_their_way = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.probing = asyncio.Lock()
        """Held by the one request that is larger than any that the server has answered."""

    def expect(self, documents: int) -> None:
        """So many documents will be embedded."""
        self._documents += documents

    def see(self, documents: int) -> None:
        """The texts of so many of them are known."""
        self._documents_seen += documents

    def add(self, texts: int) -> None:
        """So many texts are to be embedded."""
        self._texts_seen += texts

    @property
    def load(self) -> int:
        """Texts of the whole load: those that are known, and as many of each other document."""
        if self._documents <= self._documents_seen or not self._documents_seen:
            return self._texts_seen
        return self._texts_seen * self._documents // self._documents_seen

    @property
    def left(self) -> int:
        """Texts of the load whose vectors are not stored."""
        return max(0, self.load - self._texts_stored)

    @property
    def most(self) -> int:
        """Texts that may be on their way."""
        return max(LEAST, int(self.load * SHARE))

    def request_size(self, texts: int, requests_left: int | None) -> int:
        """Texts of the next request of a call that has so many left.

        Args:
            texts: of the call.
            requests_left: of the hour; None if there is no limit. If the load would need more, its
                requests are larger.
        """
        size = texts if texts <= LEAST else -(-self.most // IN_FLIGHT)
        if requests_left is not None:
            size = max(size, -(-self.left // max(1, requests_left * 4 // 5)))
        return size

    async def enter(self, texts: int) -> None:
        """Wait until so many texts have room; alone, any number has."""
        if not self._waiting and self._has_room(texts):
            self._on_their_way += texts
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((texts, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(texts)
                self._texts_stored -= texts
            raise

    def leave(self, texts: int) -> None:
        """The texts of a request are stored, or refused."""
        self._on_their_way -= texts
        self._texts_stored += texts
        while self._waiting:
            following, turn = self._waiting[0]
            if turn.cancelled():
                self._waiting.popleft()
            elif self._has_room(following):
                self._waiting.popleft()
                self._on_their_way += following
                turn.set_result(None)
            else:
                break

    def _has_room(self, texts: int) -> bool:
        return not self._on_their_way or self._on_their_way + texts <= self.most
