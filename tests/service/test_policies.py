"""The active version over HTTP, and decisions with the token as their actor."""

import sqlalchemy as sa

from cogorch_dagster.platform import database
from cogorch_dagster.policies import administration, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.policies.document import digest
from tests.service.processes import Service, create_router, propose, put_into_force, router_params, token_for

EDITED, DECIDED = "router-edited", "router-decided"
ACTIVE = "/api/v1/policies/router-x/active"


def test_the_active_version_is_sent_once_per_change(shared: Service) -> None:
    token = token_for(shared.settings, "read")
    assert (shared.get(ACTIVE, token).status_code, shared.get(ACTIVE, token).json()["error"]) == (
        404,
        "unknown_policy",
    )
    create_router(shared.settings)
    assert shared.get(ACTIVE, token).json()["error"] == "no_active_version"
    activation = put_into_force(shared.settings, 0.5)
    first = shared.get(ACTIVE, token)
    assert first.status_code == 200
    body = first.json()
    assert body == {
        "policy_id": "router-x",
        "kind": "router",
        "version": "1.0.0",
        "digest": digest(router_params(0.5)),
        "params": router_params(0.5),
        "activated_at": activation.activated_at.isoformat(),
        "revised_at": activation.activated_at.isoformat(),
        "canary": None,
    }
    tag = first.headers["ETag"]
    unchanged = shared.get(ACTIVE, token, **{"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", tag)
    for header in (f'"other", W/{tag}', "*"):
        assert shared.get(ACTIVE, token, **{"If-None-Match": header}).status_code == 304
    put_into_force(shared.settings, 0.25)
    second = shared.get(ACTIVE, token, **{"If-None-Match": tag})
    assert (second.status_code, second.json()["version"]) == (200, "1.0.1")
    assert second.headers["ETag"] != tag


def test_a_policy_is_told_with_its_rules(shared: Service) -> None:
    with database.transaction(shared.settings) as connection:
        administration.create_policy(
            connection, "agent-x", "dqn", "agent:x", threshold=0.05, strictness="strict", actor="ada"
        )
    token = token_for(shared.settings, "read")
    answer = shared.get("/api/v1/policies/agent-x", token)
    assert answer.status_code == 200
    told = {name: answer.json()[name] for name in ("kind", "component", "mode", "threshold", "strictness")}
    assert told == {
        "kind": "dqn", "component": "agent:x", "mode": "manual", "threshold": 0.05, "strictness": "strict",
    }  # fmt: skip
    assert shared.get("/api/v1/policies/nobody", token).status_code == 404
    assert shared.get("/api/v1/policies/agent-x", token_for(shared.settings, "ingest")).status_code == 403


def test_params_that_were_edited_in_the_table_are_not_served(shared: Service) -> None:
    create_router(shared.settings, EDITED)
    put_into_force(shared.settings, 0.5, EDITED)
    with database.transaction(shared.settings) as connection:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            sa.text("UPDATE policy_versions SET params = jsonb_set(params, '{timeoutMs}', '9') WHERE policy_id = :id"),
            {"id": EDITED},
        )
    answer = shared.get(f"/api/v1/policies/{EDITED}/active", token_for(shared.settings, "read"))
    assert (answer.status_code, answer.json()["error"]) == (409, "digest_mismatch")


def test_decisions_carry_the_token_as_actor_and_refusals_their_reason(shared: Service) -> None:
    create_router(shared.settings, DECIDED)
    draft = propose(shared.settings, 0.4, DECIDED)
    token = token_for(shared.settings, "approve", "read", name="grace")
    path = f"/api/v1/policies/{DECIDED}/versions"

    def decide(version: str, action: str, **body: object) -> tuple[int, dict[str, object]]:
        answer = shared.post(f"{path}/{version}/{action}", token, {"reason": "measured", **body})
        return answer.status_code, answer.json()

    assert decide("1.0.0", "approve", digest="sha256:other")[1]["error"] == "digest_mismatch"
    assert decide("1.0.0", "approve", reason="")[0] == 422
    assert decide("1.0.0", "approve", resaon="x")[0] == 422
    assert decide("9.9.9", "approve")[0] == 404
    status, decision = decide("1.0.0", "approve", digest=draft.digest)
    assert (status, decision["action"], decision["actor"], decision["digest"]) == (
        200,
        "approve",
        "token:grace",
        draft.digest,
    )
    assert decide("1.0.0", "approve") == (
        409,
        {"error": "already_approved", "message": decide("1.0.0", "approve")[1]["message"]},
    )
    with database.transaction(shared.settings) as connection:
        assert store.version(connection, DECIDED, "1.0.0").status == "approved"
        activate(connection, f"{DECIDED}@1.0.0", "job")
    propose(shared.settings, 0.3, DECIDED)
    assert decide("1.0.1", "reject")[1]["action"] == "reject"
    listed = shared.get(path, token).json()
    assert [(each["version"], each["status"]) for each in listed] == [("1.0.0", "active"), ("1.0.1", "rejected")]
    assert shared.get("/api/v1/policies/none/versions", token).json()["error"] == "unknown_policy"


def test_the_interface_describes_itself(shared: Service) -> None:
    document = shared.get("/openapi.json").json()
    rows = document["paths"]["/api/v1/observations"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "occurred_at" in rows["properties"]["observations"]["items"]["properties"]
    routes = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(routes) == 12
    assert all(len(route["description"]) > 20 for route in routes)
