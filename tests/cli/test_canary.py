"""A ramp on the command line: begun by an activation, looked at, passed by a person, ended."""

from cogorch_dagster.settings import Settings
from tests.canary.ramping import PLAN, POLICY, begin, running, statuses
from tests.cli.conftest import Run


def test_a_person_looks_at_a_ramp_passes_it_and_ends_it(cogorch: Run, settings: Settings) -> None:
    assert cogorch("canary", "status", "--json").json == {"ramps": []}
    begin(settings, {**PLAN, "gates": [0.1]})
    (shown,) = cogorch("canary", "status", POLICY, "--json").json["ramps"]
    assert (shown["ref"], shown["control"], shown["share"], shown["gated"]) == ("router-x@1.0.1", "1.0.0", 0.1, True)
    assert (shown["plan"], shown["next_share"], shown["outcome"]) == ("pace@1.0.0", 0.5, None)

    passed = cogorch("canary", "advance", POLICY, "--reason", "looked at it", "--json")
    assert (passed.code, passed.json["from"], passed.json["share"]) == (0, 0.1, 0.5)
    ended = cogorch("canary", "abort", POLICY, "--reason", "customers complain")
    assert (ended.code, ended.out) == (0, "router-x@1.0.1 is rolled back; router-x@1.0.0 has everything\n")
    assert (running(settings).outcome, statuses(settings)["1.0.1"]) == ("rolled_back", "rolled_back")
    assert "customers complain" in cogorch("canary", "status").out

    for command in ("advance", "abort"):
        refused = cogorch("canary", command, POLICY, "--reason", "again", "--json")
        assert (refused.code, refused.json["error"]["reason"]) == (3, "no_canary")
    unknown = cogorch("canary", "status", "nobody", "--json")
    assert (unknown.code, unknown.json["error"]["reason"]) == (3, "unknown_policy")
