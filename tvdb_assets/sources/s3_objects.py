"""Objects of S3 by any key, with botocore.

What belongs here: listing all keys as they are, and reading the keys that obstore refuses or
changes. What does not: reading ordinary keys, which obstore does with less work (`bucket`).

A key of S3 is any text. obstore takes keys for paths: its listing fails at a key with an empty part
(``a//b``), a part ``.`` or ``..``, or a control character, with all of the keys beside it, and it
drops a slash at either end, so that it lists ``/a`` and ``a/`` as ``a``.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import SourceError
from tvdb_assets.models import SourceFile

if TYPE_CHECKING:
    from obstore.store import S3Credential

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TRUE = frozenset({"1", "true", "yes", "on", "y"})
_CREDENTIAL_SECONDS = 300
"""After which credentials are asked for again; botocore renews them before they end."""
_PART_BYTES = 4 << 10
_SLOWEST = 64 << 10
"""Bytes a second below which an object is given up."""

Page = Sequence[tuple[str, SourceFile | SourceError]]
"""The keys below the prefix of the source, and their objects, or why a part is not listed."""


class BrokenListingError(Exception):
    """A page of a listing that says neither that it is the last nor which one follows."""


def is_plain(key: str) -> bool:
    """Whether obstore lists and requests this key as it is."""
    return not any(part in ("", ".", "..") for part in key.split("/")) and not _CONTROL.search(key)


def s3_option(config: Mapping[str, object], name: str) -> str:
    """An option of obstore's S3Store as text, of a configuration or of the environment.

    Args:
        config: of a store, whose names may begin with ``aws_``.
        name: of the option, without ``aws_``.
    """
    names = [f"aws_{name}"]
    if name == "endpoint":
        names = ["aws_endpoint_url_s3", "aws_endpoint_url", "aws_endpoint", "endpoint_url"]
    given = [value for n in (*names, name) if (value := config.get(n)) is not None]
    given += [value for n in names if (value := os.environ.get(n.upper()))]
    return str(given[0]) if given else ""


def is_true(value: str) -> bool:
    """Whether an option is on, in any of the ways in which obstore takes it."""
    return value.lower() in _TRUE


class Deadline:
    """The time until which an object must have come, which starts now."""

    def __init__(self, path: str, size: int, seconds: float) -> None:
        """Set the time; a large object may take longer than a small one."""
        self._path = path
        self._seconds = seconds
        self._ends_at = time.monotonic() + seconds + size / _SLOWEST

    def check(self) -> None:
        """Go on if it is not over.

        Raises:
            SourceError: it is over.
        """
        if time.monotonic() > self._ends_at:
            raise codes.READ_STALLED.error(seconds=self._seconds).about(self._path)


def check_size(path: str, size: int, max_bytes: int) -> None:
    """Refuse an object before its bytes are read.

    Raises:
        SourceError: it has more than the maximum.
    """
    if size > max_bytes:
        raise codes.TOO_LARGE.error(size=size / 2**20, limit=max_bytes / 2**20).about(path)


class S3Objects:
    """The objects of a bucket below a prefix."""

    def __init__(
        self,
        bucket: str,
        prefix: str,
        option: Callable[[str], str],
        timeout_seconds: float,
        max_retries: int,
    ) -> None:
        """Sends no request yet.

        Args:
            bucket: its name.
            prefix: of the keys of the source, as a folder without a slash at its end, or empty.
            option: returns an option of obstore's S3Store by its name, empty if it is not set.
            timeout_seconds: for connecting, and without any byte of an answer.
            max_retries: of a request.
        """
        self._bucket = bucket
        self._prefix = prefix + "/" if prefix else ""
        self._option = option
        self._timeout_seconds = timeout_seconds
        self._max_retries = max_retries

    def pages(self, prefix: str, after: str) -> Iterator[Page]:
        """The objects whose keys begin with a prefix and come after a key, sorted by key.

        Args:
            prefix: within the source; need not end at a slash.
            after: a key within the source; empty for the beginning.

        Raises:
            BrokenListingError: a page is not whole.
            BotoCoreError: the bucket gives no answer.
            ClientError: the bucket refuses the request.
        """
        request = {"Bucket": self._bucket, "Prefix": self._prefix + prefix} | self._payer
        if after:
            request["StartAfter"] = self._prefix + after
        tokens: set[str] = set()
        while True:
            page = self._client.list_objects_v2(**request)
            if "IsTruncated" not in page:
                raise BrokenListingError
            objects = page.get("Contents", ())
            yield [_object(o["Key"].removeprefix(self._prefix), o, o["Size"]) for o in objects]
            if not page["IsTruncated"]:
                return
            token = page.get("NextContinuationToken")
            if not token or token in tokens:
                raise BrokenListingError
            tokens = {token}
            request["ContinuationToken"] = token

    def stat(self, path: str) -> SourceFile:
        """An object as `pages` lists it.

        Raises:
            BotoCoreError: the bucket gives no answer.
            ClientError: the bucket refuses the request.
        """
        found = self._client.head_object(Bucket=self._bucket, Key=self._key(path), **self._payer)
        return _object(path, found, found["ContentLength"])[1]

    def fetch(self, path: str, max_bytes: int) -> tuple[SourceFile, bytes]:
        """An object with its bytes, in one request.

        Raises:
            SourceError: it is larger than the limit, or does not come to an end.
            BotoCoreError: the bucket gives no answer.
            ClientError: the bucket refuses the request.
        """
        found = self._client.get_object(Bucket=self._bucket, Key=self._key(path), **self._payer)
        _, file = _object(path, found, found["ContentLength"])
        deadline = Deadline(path, file.size, self._timeout_seconds * (self._max_retries + 1))
        with closing(found["Body"]) as body:
            check_size(path, file.size, max_bytes)
            parts = []
            for part in body.iter_chunks(_PART_BYTES):
                parts.append(part)
                deadline.check()
        return file, b"".join(parts)

    def credential(self) -> S3Credential:
        """The credentials of this source for obstore, so that both look in the same places.

        Raises:
            ValueError: there are none.
        """
        credentials = self._session.get_credentials()
        if credentials is None:
            raise ValueError("no credentials")
        frozen = credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + timedelta(seconds=_CREDENTIAL_SECONDS),
        }

    @property
    def region(self) -> str:
        """The region of the variables, or of the profile."""
        default: str | None = self._session.get_config_variable("region")
        return self._option("region") or self._option("default_region") or default or "us-east-1"

    def _key(self, path: str) -> str:
        return self._prefix + path

    @property
    def _payer(self) -> dict[str, str]:
        payer = self._option("request_payer")
        is_paid = is_true(payer) or payer.lower() == "requester"
        return {"RequestPayer": "requester"} if is_paid else {}

    @cached_property
    def _session(self) -> Any:
        from botocore.session import Session

        session = Session()
        # The parser that botocore has by default takes longer than all the rest of a listing.
        parsers = session.get_component("response_parser_factory")
        parsers.set_parser_defaults(timestamp_parser=_parse_time)
        return session

    @cached_property
    def _client(self) -> Any:
        from botocore import UNSIGNED
        from botocore.config import Config

        endpoint = self._option("endpoint")
        if endpoint.startswith("http://") and not is_true(self._option("allow_http")):
            why = "its endpoint is http:// and AWS_ALLOW_HTTP is not set"
            raise codes.SOURCE_UNUSABLE.error(url=f"s3://{self._bucket}", why=why)
        is_virtual = is_true(self._option("virtual_hosted_style_request"))
        # obstore has the bucket in such an endpoint, and botocore adds it.
        endpoint = endpoint.replace(f"://{self._bucket}.", "://", 1) if is_virtual else endpoint
        options: dict[str, Any] = {
            "connect_timeout": self._timeout_seconds,
            "read_timeout": self._timeout_seconds,
            "retries": {"total_max_attempts": self._max_retries + 1, "mode": "standard"},
            "s3": {"addressing_style": "virtual" if is_virtual else "path"},
            # Servers beside the one of AWS do not know the checksums.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }
        if is_true(self._option("skip_signature")):
            options["signature_version"] = UNSIGNED
        return self._session.create_client(
            "s3",
            region_name=self.region,
            endpoint_url=endpoint or None,
            # Those of a store that was made with its own; else botocore looks for them.
            aws_access_key_id=self._option("access_key_id") or None,
            aws_secret_access_key=self._option("secret_access_key") or None,
            aws_session_token=self._option("session_token") or None,
            config=Config(**options),
        )


def _object(path: str, found: Mapping[str, Any], size: int) -> tuple[str, SourceFile]:
    modified: datetime = found["LastModified"]
    etag = found.get("ETag") or f"{modified.isoformat()}-{size}"
    return path, SourceFile(path, size, etag.strip('"'), modified_at=modified.timestamp())


def _parse_time(value: object) -> datetime:
    """A time in a listing, in the headers of an object, or of credentials."""
    from botocore.utils import parse_timestamp

    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else parse_timestamp(value)
    except ValueError:
        time = parse_timestamp(value)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
