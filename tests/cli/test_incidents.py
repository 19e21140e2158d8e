"""`cogorch incidents`: what is open, closing it, and looking."""

from datetime import UTC, datetime, timedelta

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import findings
from cogorch_dagster.settings import Settings
from tests.cli.conftest import Run

NOW = datetime.now(UTC)
EXPLAINED = {
    "dimension": "tenant",
    "explained": 0.8,
    "concentration": 0.5,
    "slices": [{"value": "acme"}],
}
INCIDENT = {
    "sort": "incident",
    "component": "router:core",
    "metric": "failures",
    "kind": "incident",
    "began_at": NOW - timedelta(hours=1),
    "known_at": NOW - timedelta(minutes=40),
    "ended_at": None,
    "size": 5.0,
    "before": 0.02,
    "after": 0.4,
    "details": {"explanations": [EXPLAINED], "coincides_with": None},
}


def test_an_incident_is_listed_closed_once_and_kept(settings: Settings, cogorch: Run) -> None:
    with transaction(settings) as connection:
        (made,) = findings.insert(connection, [INCIDENT])
    listed = cogorch("incidents", "list")
    assert "tenant acme (80% of it)" in listed.out and str(made.finding_id) in listed.out
    assert cogorch("incidents", "close", made.finding_id, "--reason", "back", "--json").json["closed_by"] == "ann"
    assert cogorch("incidents", "list", "--json").json == {"findings": []}
    (kept,) = cogorch("incidents", "list", "--all", "--json").json["findings"]
    assert kept["close_reason"] == "back"


def test_a_wrong_id_is_told_with_a_remedy(settings: Settings, cogorch: Run) -> None:
    wrong = cogorch("incidents", "close", "nonsense", "--reason", "x")
    assert wrong.code == 2 and "cogorch incidents list" in wrong.err
    unknown = cogorch("incidents", "close", "00000000-0000-0000-0000-000000000000", "--reason", "x", "--json")
    assert unknown.code == 3 and unknown.json["error"]["reason"] == "unknown_incident"


def test_a_look_at_an_empty_lake_finds_nothing(settings: Settings, cogorch: Run) -> None:
    assert cogorch("incidents", "look", "--json").json["components"] == 0
