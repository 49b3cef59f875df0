"""A server of S3 on this machine, by moto, and the environment of a user who reads from it.

What belongs here: starting it, and storing objects by any key. What does not: listings that break
off (`listing_server`), or any check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from botocore.config import Config
from botocore.session import Session
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

_ACCOUNT = "123456789012"


class S3Server:
    """The running server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = Session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(s3={"addressing_style": "path"}),
        )

    def create(self, bucket: str, objects: Mapping[str, bytes]) -> str:
        """Create a bucket with these objects; returns its URL."""
        self.client.create_bucket(Bucket=bucket)
        backend = s3_backends[_ACCOUNT]["aws"]
        for key, data in objects.items():
            # Past HTTP, because the routes of moto refuse some of the keys that S3 takes.
            backend.put_object(bucket, key, data)
        return f"s3://{bucket}"


@contextmanager
def running_s3_server() -> Iterator[S3Server]:
    """A server in threads of this process."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3Server(f"http://{host}:{port}")
    finally:
        server.stop()


def use_s3_server(server: S3Server, patch: pytest.MonkeyPatch) -> None:
    """Set the variables that a user sets."""
    variables = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ALLOW_HTTP": "true",
    }
    for name, value in variables.items():
        patch.setenv(name, value)
