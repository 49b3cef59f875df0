"""What an answer without usable vectors says about its server, as the guard acts on it.

What belongs here: answers under a status of success. What does not: refusals (`refused_requests`),
or the form of an answer (`response_decoding`).

- A server that has never answered, and sends a web page, is another server: that of a login, of a
  proxy, or of a wrong address. It gets no further request. An answer that is empty, cut or not
  decompressed may be an accident: only several of them have the same meaning.
- A server that sends another number of vectors than it was sent texts takes fewer texts in a
  request.
- Everything else is a failure of the service, or of a text.
"""

from __future__ import annotations

from tvdb_assets import error_codes as codes
from tvdb_assets.embedding.response_decoding import NoVectorsError, OtherCountError
from tvdb_assets.spend_guard.call_failures import CallFailed, Charge, FailureKind
from tvdb_assets.spend_guard.http_failures import bad_answer

_MOST_UNUSABLE = 4
"""Answers of a server that has never answered, until it counts as another server."""


class UnusableAnswers:
    """The answers of one server that were of no use."""

    def __init__(self, service: str) -> None:
        """There is none yet.

        Args:
            service: its name for people.
        """
        self._service = service
        self._count = 0
        self._has_refused = False

    def refused(self) -> None:
        """It has refused a request in the form of an embedding server, so it is one."""
        self._has_refused = True

    def other_server(self, status: int, error: ValueError | None) -> CallFailed | None:
        """The failure of a server that has never answered; None if the request may be repeated.

        Args:
            status: of HTTP.
            error: what is wrong with its answer; None if it could not be decompressed.
        """
        if self._has_refused:
            return None
        self._count += 1
        is_other = isinstance(error, NoVectorsError) and not error.is_empty
        if not is_other and self._count < _MOST_UNUSABLE:
            return None
        what = str(error) if error is not None else "it can't be decompressed"
        refused = codes.OTHER_SERVER.error(service=self._service, why=what)
        return CallFailed(FailureKind.REFUSED, refused, charge=Charge.BOUND, status=status)


def unusable_answer(
    service: str, error: ValueError, status: int, request_id: str | None, *, too_many: int | None
) -> CallFailed:
    """The failed attempt whose answer can't be used.

    Args:
        service: its name for people.
        error: what is wrong with its answer.
        status: of HTTP.
        request_id: of the service.
        too_many: texts in the request, if it may take fewer; None if it has taken as many.
    """
    if too_many is None or too_many == 1 or not isinstance(error, OtherCountError):
        return bad_answer(service, str(error), status, request_id)
    return CallFailed(
        FailureKind.CONTENT,
        codes.OTHER_COUNT.error(service=service, why=str(error)),
        charge=Charge.BOUND,
        status=status,
        request_id=request_id,
        is_about_size=True,
    )
