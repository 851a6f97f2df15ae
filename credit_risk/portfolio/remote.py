"""Files in S3, or in what speaks its protocol."""

from __future__ import annotations

import io
import os
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.fs as pafs

S3 = "s3://"


class RemoteFile(NamedTuple):
    """A file in a bucket, with as much of Path's interface as the readers use."""

    filesystem: pafs.FileSystem
    path: str  # bucket/key
    size: int = 0  # bytes, if it was listed

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.path).suffix

    def open(self, mode: str = "rb") -> Any:
        assert mode == "rb"
        return io.BufferedReader(self.random_access())  # a NativeFile reads lines byte by byte

    def random_access(self) -> pa.NativeFile:
        return self.filesystem.open_input_file(self.path)

    def stat(self) -> Any:
        return os.stat_result((0, 0, 0, 0, 0, 0, self.size, 0, 0, 0))

    def __str__(self) -> str:
        return S3 + self.path


def remote_file(address: str) -> RemoteFile:
    """Find what an s3:// address names. Credentials, region and endpoint are those of AWS's own variables and files."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    filesystem = pafs.S3FileSystem(endpoint_override=endpoint, region=region)
    return RemoteFile(filesystem, address.removeprefix(S3).rstrip("/"))
