"""A running service with an installation of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cogorch_dagster.settings import Settings
from tests.service.processes import Service, service_of


@pytest.fixture
def service(settings: Settings, tmp_path: Path) -> Iterator[Service]:
    with service_of(settings, tmp_path) as running:
        yield running
