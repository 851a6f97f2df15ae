"""A Cloud for the test run, and the service deployed in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deploy.cloud import Cloud, cloud_in


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with cloud_in(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def deployed(cloud: Cloud) -> Cloud:
    """The cloud with the service deployed in it, only for tests that change nothing."""
    result = cloud.deploy("v1", "--plain-http", "--api-keys-file", cloud.keys_file, "--alarm-email", "risk@example.com")
    assert result.returncode == 0, result.stderr
    return cloud
