"""No proposal from data of which most was made by a version not yet judged."""

import pytest

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import drafts
from cogorch_dagster.proposals import router
from cogorch_dagster.settings import Settings
from tests.evaluation.traffic import POLICY, ROUTER, WEIGHTS, generate, install


@pytest.mark.parametrize(("unjudged", "reason"), [(1300, "unjudged"), (900, None)])
def test_most_of_the_data_from_an_undecided_version_is_refused(
    settings: Settings, unjudged: int, reason: str | None
) -> None:
    install(settings)
    generate(WEIGHTS, 1100, seed=1).store(settings)
    with transaction(settings) as connection:
        tried = drafts.propose_version(connection, POLICY, {**ROUTER, "timeoutMs": 900}, actor="test").version
    generate(WEIGHTS, unjudged, seed=2, version=tried).store(settings)
    result = router.propose(settings, POLICY)
    if reason is None:
        assert isinstance(result, router.Proposal)
    else:
        assert isinstance(result, router.Refusal) and result.reason == reason
        assert f"{tried} (draft)" in result.message
