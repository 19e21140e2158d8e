"""The running service of `tests/service`, shared by a module, with the seed policies and no reports."""

import pytest
import sqlalchemy as sa

from cogorch_dagster.platform.database import transaction
from tests.service.conftest import running
from tests.service.processes import Service
from tests.serving.hyperparameters import plant

__all__ = ["running", "served"]


@pytest.fixture
def served(running: Service) -> Service:
    """The module's service; versions stay as the test before left them, its reports do not."""
    plant(running.settings)
    with transaction(running.settings) as connection:
        connection.execute(sa.text("TRUNCATE acknowledgements, agent_returns"))
    return running
