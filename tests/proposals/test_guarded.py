"""A learned proposal against a guard rule: a typed refusal that names the rule, and nothing stored."""

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import administration, audit, decisions, drafts, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.proposals.router import Proposal, Refusal, propose
from cogorch_dagster.settings import Settings
from tests.evaluation.traffic import POLICY, WEIGHTS, generate, install


def test_a_rule_refuses_what_was_learned_and_says_which_rule(settings: Settings) -> None:
    install(settings)
    generate(WEIGHTS, 1200, seed=1).store(settings)
    rego = f"""package guard

deny contains message if {{
    weight := input.candidate.params.modelWeights.large
    weight < {WEIGHTS["large"]}
    message := "the large arm keeps its share"
}}
"""
    params = {"description": "d", "appliesTo": {"policy": POLICY}, "rego": rego}
    with transaction(settings) as connection:
        administration.create_policy(connection, "keep-large", "guard", actor="ada")
        draft = drafts.propose_version(connection, "keep-large", params, actor="ada")
        decisions.approve(connection, "keep-large", "1.0.0", "ada", "good")
        activate(connection, draft.ref, "ada")
        before = store.versions(connection), audit.verify(connection).records
    found = propose(settings, POLICY, seed=3)
    assert isinstance(found, Refusal)
    assert found.reason == "guard_violated"
    assert "keep-large@1.0.0: the large arm keeps its share" in found.message
    with transaction(settings) as connection:
        assert (store.versions(connection), audit.verify(connection).records) == before
        allowed = {**params, "rego": rego.replace(" < ", " < -")}
        drafts.propose_version(connection, "keep-large", allowed, actor="ada")
        decisions.approve(connection, "keep-large", "1.0.1", "ada", "good")
        activate(connection, "keep-large@1.0.1", "ada")
    assert isinstance(propose(settings, POLICY, seed=3), Proposal)
