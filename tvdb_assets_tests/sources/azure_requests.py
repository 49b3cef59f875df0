"""Writing to an emulator of Azure Blob Storage, by any key.

What belongs here: requests that are signed with the key of the emulator, which its documentation
names. What does not: the emulator, or any check. obstore can't write the keys of these tests.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from http.client import HTTPConnection
from urllib.parse import quote

_ACCOUNT = "devstoreaccount1"
_KEY = base64.b64decode(
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


def put_to_azure(port: int, container: str, objects: Mapping[str, bytes]) -> None:
    """Create a container with these objects."""
    _put(port, f"/{container}", b"", {}, "restype=container")
    for key, data in objects.items():
        _put(port, f"/{container}/{quote(key)}", data, {"x-ms-blob-type": "BlockBlob"}, "")


def _put(port: int, path: str, data: bytes, more: Mapping[str, str], query: str) -> None:
    headers = {
        "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True),
        "x-ms-version": "2021-08-06",
        **more,
    }
    named = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    resource = f"/{_ACCOUNT}/{_ACCOUNT}{path}" + (query and "\n" + query.replace("=", ":"))
    signed = f"PUT\n\n\n{len(data) or ''}\n\n\n\n\n\n\n\n\n{named}{resource}"
    mac = base64.b64encode(hmac.new(_KEY, signed.encode(), hashlib.sha256).digest()).decode()
    headers["Authorization"] = f"SharedKey {_ACCOUNT}:{mac}"
    connection = HTTPConnection("127.0.0.1", port)
    try:
        connection.request("PUT", f"/{_ACCOUNT}{path}" + (query and "?" + query), data, headers)
        assert connection.getresponse().status == 201
    finally:
        connection.close()
