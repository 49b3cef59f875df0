"""Redaction: the one place that keeps what is secret or private out of what is told.

What belongs here: keys and signatures in any text, names of files whose paths are marked
private, and what a foreign exception may quote. What does not: where things are told; logs,
errors, metadata and spans all come through here.

It is always on. Document text has no pattern by which it could be found, so it is kept out by
form: an event has named fields of which none holds text (`telemetry`), and of a foreign
exception only its kind and the lines of code are told, because its message may quote anything:
a value that did not fit, a provider's answer, a statement's parameters.
"""

from __future__ import annotations

import logging
import os
import re
import traceback
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

MARK = "[redacted]"
PRIVATE = "private-"
"""How the name begins that stands for a private path."""
_SHORTEST_SECRET = 6
_FRAMES = 12
_PACKAGE = __name__.partition(".")[0]
_CODE = str(Path(__file__).parent) + os.sep

_PATTERNS = (
    # A user's password in a URL.
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s:@]*:[^/\s@]+@", re.IGNORECASE), rf"\1{MARK}@"),
    # What signs a URL, or lets its holder in.
    (
        re.compile(
            r"([?&](?:x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)"
            r"|signature|sig|awsaccesskeyid|googleaccessid|(?:access_|auth_)?token|api[-_]?key|key"
            r"|password|secret)=)[^&\s\"'<>#]+",
            re.IGNORECASE,
        ),
        rf"\1{MARK}",
    ),
    # Headers, as text or as JSON.
    (
        re.compile(
            r"\b((?:proxy-)?authorization|x-api-key|api[-_]key|cookie|set-cookie)"
            r"(['\"]?\s*[:=]\s*(?:b(?=['\"]))?['\"]?)(?:(?:bearer|basic|token)\s+)?[^\s'\",;]+",
            re.IGNORECASE,
        ),
        rf"\1\2{MARK}",
    ),
    (re.compile(r"\b(bearer\s+)[a-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1{MARK}"),
    (re.compile(r"\b(password\s*=\s*)(?:'[^']*'|[^\s&'\"]+)", re.IGNORECASE), rf"\1{MARK}"),
    # Keys by the form that their makers give them.
    (re.compile(r"\b(?:sk|llx|pk|rk|gsk|ghp|xox[abp])[-_][A-Za-z0-9_-]{16,}"), MARK),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), MARK),
)


class _Known:
    """What this process has been told not to tell."""

    secrets: frozenset[str] = frozenset()
    private: tuple[re.Pattern[str], ...] = ()
    salt: bytes = b""


_known = _Known()


def configure(secrets: Iterable[str], private_paths: str) -> None:
    """Make known what must never be told; from then on logs are redacted as they are written.

    Args:
        secrets: keys, passwords and URLs that hold them, as they are.
        private_paths: globs separated by commas. ``*`` stands for any characters, slashes
            too. A glob without a slash is compared with each folder's and file's name, one with
            a slash with the path and with each end of it; upper and lower case are the same.
    """
    register_secret(*secrets)
    globs = [glob.strip() for glob in private_paths.split(",") if glob.strip()]
    _known.private = tuple(re.compile(translate(glob.casefold().strip("/"))) for glob in globs)
    _is_private.cache_clear()
    if logging.getLogRecordFactory() is not _record:
        _Factory.before = logging.getLogRecordFactory()
        logging.setLogRecordFactory(_record)


def register_secret(*secrets: str) -> None:
    """Make known what must never be told."""
    _known.secrets |= {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}


def set_path_salt(salt: bytes) -> None:
    """Make the names of private paths ones that nobody can guess who has not this salt."""
    _known.salt = salt


def redact(text: str) -> str:
    """A text without keys, passwords, signatures and authorization."""
    for secret in _known.secrets:
        if secret in text:
            text = text.replace(secret, MARK)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def is_private(path: str) -> bool:
    """Whether a document's path is marked private."""
    return bool(_known.private) and _is_private(path)


def display_path(path: str) -> str:
    """A document's name for all who are not asking for it: its path, or what stands for it.

    What stands for a private path is the same in every process on one database.
    """
    if not path or not is_private(path):
        return path
    digest = blake2b(path.encode("utf-8", "surrogatepass"), key=_known.salt, digest_size=8)
    return PRIVATE + digest.hexdigest()


class RedactedCause(Exception):  # noqa: N818 - stands for another error, which may quote anything
    """What was raised by others, by kind and line alone: its text may hold a document or a key."""

    @classmethod
    def of(cls, error: BaseException) -> RedactedCause:
        """Stand for ``error`` and for its own cause."""
        cause = error.__cause__ or error.__context__
        return cls(type(error).__name__ + (f" from {type(cause).__name__}" if cause else ""))

    @classmethod
    def with_lines(cls, error: BaseException) -> RedactedCause:
        """As `of`, with the lines of code that led to it."""
        return cls(f"{cls.of(error)} at {lines(error)}")


def lines(error: BaseException) -> str:
    """The lines of code that led to an error, the last one first."""
    frames = reversed(traceback.extract_tb(error.__traceback__)[-_FRAMES:])
    return ", ".join(f"{_short(frame.filename)}:{frame.lineno}" for frame in frames) or "no line"


def _short(filename: str) -> str:
    return "/".join(filename.replace("\\", "/").split("/")[-2:])


@lru_cache(maxsize=4_096)
def _is_private(path: str) -> bool:
    # A member of an archive is named after it: archive.zip!/member.
    parts = path.casefold().replace("!/", "/").strip("/").split("/")
    ends = {"/".join(parts[at:]) for at in range(len(parts))}
    return any(pattern.match(part) for pattern in _known.private for part in (*parts, *ends))


class _Factory:
    before: Any = logging.LogRecord


def _record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """A log record that holds nothing secret, whoever writes it and wherever it goes."""
    record: logging.LogRecord = _Factory.before(*args, **kwargs)
    record.msg = redact(record.msg) if isinstance(record.msg, str) else record.msg
    if isinstance(record.args, tuple):
        record.args = tuple(_clean(value) for value in record.args)
    elif isinstance(record.args, dict):
        record.args = {name: _clean(value) for name, value in record.args.items()}
    if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
        # Formatters take this instead of formatting the exception themselves.
        record.exc_text = _told(record.exc_info[1])
    return record


def _clean(value: object) -> object:
    if value is None or isinstance(value, int | float):
        return value
    text = str(value)
    clean = redact(text)
    return value if clean == text else clean


def _told(error: BaseException) -> str:
    """An exception with its traceback; one that was raised under our own code without its text."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    if any(name.startswith(_CODE) for name in files):
        is_ours = type(error).__module__.partition(".")[0] == _PACKAGE
        return redact(str(error)) if is_ours else str(RedactedCause.with_lines(error))
    return redact("".join(traceback.format_exception(error)).rstrip("\n"))
