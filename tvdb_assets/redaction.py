"""Redaction: secrets and private paths are removed from everything that is logged or reported.

What belongs here: redaction of keys and signatures in any text, of names of files whose paths are
marked private, and of messages of foreign exceptions. What does not: logging and reporting. Logs,
errors, metadata and spans all use this module.

Redaction is always on. Document text can't be recognized by a pattern, so it is excluded by
construction: events have named fields, none of which has text (`telemetry`), and a foreign
exception is reported by its class and the lines of code only. Its message may quote
anything: an invalid value, a provider's response, the parameters of a statement.
"""

from __future__ import annotations

import json
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
"""Prefix of the substitute for a private path."""
_MIN_SECRET_LENGTH = 6
"""A shorter value would match ordinary text."""
_MAX_FRAMES = 12
_PACKAGE = __name__.partition(".")[0]
_CODE = str(Path(__file__).parent) + os.sep

ACTING = (
    "\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f"
)
"""Characters that act on a terminal or on a reader, as ranges of a regular expression."""
_UNPRINTABLE = re.compile(f"[{ACTING}]")
_PATTERNS = (
    # A user's password in a URL. The scheme is not matched: a search for its start from each
    # letter would take quadratic time.
    (re.compile(r"(?<=[a-z0-9+.-])(://)[^/\s:@]*:[^/\s@]+@", re.IGNORECASE), rf"\1{MARK}@"),
    # Signatures and credentials in URLs.
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
    # Keys, by the formats of their providers.
    (re.compile(r"\b(?:sk|llx|pk|rk|gsk|ghp|xox[abp])[-_][A-Za-z0-9_-]{16,}"), MARK),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), MARK),
)


class _Known:
    """The secrets and private paths that this process knows."""

    secrets: frozenset[str] = frozenset()
    private: tuple[re.Pattern[str], ...] = ()
    salt: bytes = b""


_known = _Known()


def configure(secrets: Iterable[str], private_paths: str) -> None:
    """Register secrets and private paths, and redact all log records from now on.

    Args:
        secrets: keys, passwords and URLs that contain them, verbatim.
        private_paths: globs separated by commas. ``*`` matches any characters, including slashes.
            A glob without a slash is compared with the name of each folder and file, a glob with
            a slash with the path and each of its endings. Case is ignored.
    """
    register_secret(*secrets)
    globs = [glob.strip() for glob in private_paths.split(",") if glob.strip()]
    _known.private = tuple(re.compile(translate(glob.casefold().strip("/"))) for glob in globs)
    _is_private.cache_clear()
    if logging.getLogRecordFactory() is not _record:
        _RecordFactory.former = logging.getLogRecordFactory()
        logging.setLogRecordFactory(_record)


def register_secret(*secrets: str) -> None:
    """Add secrets that must not appear in any log or report."""
    _known.secrets |= {secret for secret in secrets if len(secret) >= _MIN_SECRET_LENGTH}


def set_path_salt(salt: bytes) -> None:
    """Set the salt of the hash in substitutes for private paths, so that paths can't be guessed."""
    _known.salt = salt


def redact(text: str) -> str:
    """Remove keys, passwords, signatures and authorization from a text."""
    for secret in _known.secrets:
        if secret in text:
            text = text.replace(secret, MARK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def is_private(path: str) -> bool:
    """Whether a document's path is marked private."""
    return bool(_known.private) and _is_private(path)


def public_name(path: str) -> str:
    """The path of a document, or the substitute for a private path; for keys that are stored.

    The substitute is the same in every process that uses the same database.
    """
    if not path or not is_private(path):
        return path
    digest = blake2b(path.encode("utf-8", "surrogatepass"), key=_known.salt, digest_size=8)
    return PRIVATE + digest.hexdigest()


def display_path(path: str) -> str:
    """The name of a document in logs, reports and on a terminal: `public_name`, `printable`."""
    return printable(public_name(path))


def printable(text: str) -> str:
    """A text on one line, with escapes for characters that act on a terminal or on a reader.

    These are control characters, line ends, marks that change the direction of a text, invisible
    characters that no script needs, and halves of surrogate pairs. A name may have them, and could
    otherwise forge a line of a log, clear a screen, or read ``fdp.exe`` as ``exe.pdf``.
    """
    return _UNPRINTABLE.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """As `printable`, but line ends and tabs stay."""
    return re.sub(r"[^\n\t]+", lambda line: printable(line[0]), text)


def printable_json(value: object) -> str:
    """JSON on one line. Characters that act on a terminal are escaped, and read back the same."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return _UNPRINTABLE.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class RedactedCause(Exception):  # noqa: N818 - replaces another error, whose message may quote anything
    """Replaces a foreign exception, without its message, which may quote a document or a key."""

    @classmethod
    def of(cls, error: BaseException) -> RedactedCause:
        """Create a replacement with the class names of ``error`` and of its cause."""
        cause = error.__cause__ or error.__context__
        return cls(type(error).__name__ + (f" from {type(cause).__name__}" if cause else ""))

    @classmethod
    def with_lines(cls, error: BaseException) -> RedactedCause:
        """Create a replacement with the class names and the lines of code that led to the error."""
        return cls(f"{cls.of(error)} at {lines(error)}")


def lines(error: BaseException) -> str:
    """The lines of code that led to an error, the last one first."""
    frames = reversed(traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:])
    return ", ".join(f"{_short(frame.filename)}:{frame.lineno}" for frame in frames) or "no line"


def _short(filename: str) -> str:
    return "/".join(filename.replace("\\", "/").split("/")[-2:])


@lru_cache(maxsize=4_096)
def _is_private(path: str) -> bool:
    # A member of an archive has a path such as archive.zip!/member.
    parts = path.casefold().replace("!/", "/").strip("/").split("/")
    ends = {"/".join(parts[at:]) for at in range(len(parts))}
    return any(pattern.match(part) for pattern in _known.private for part in (*parts, *ends))


class _RecordFactory:
    former: Any = logging.LogRecord


def _record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """Create a redacted log record, for every logger and handler of the process."""
    record: logging.LogRecord = _RecordFactory.former(*args, **kwargs)
    record.msg = redact(record.msg) if isinstance(record.msg, str) else record.msg
    if isinstance(record.args, tuple):
        record.args = tuple(_clean(value) for value in record.args)
    elif isinstance(record.args, dict):
        record.args = {name: _clean(value) for name, value in record.args.items()}
    if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
        # Formatters use this text instead of formatting the exception.
        record.exc_text = _exception_text(record.exc_info[1])
    return record


def _clean(value: object) -> object:
    if value is None or isinstance(value, int | float):
        return value
    text = str(value)
    clean = redact(text)
    return value if clean == text else clean


def _exception_text(error: BaseException) -> str:
    """Format an exception; without its message if code of this package is in the traceback."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    if any(name.startswith(_CODE) for name in files):
        is_ours = type(error).__module__.partition(".")[0] == _PACKAGE
        return redact(str(error)) if is_ours else str(RedactedCause.with_lines(error))
    return redact("".join(traceback.format_exception(error)).rstrip("\n"))
