"""Features in the doubly robust estimates of the product: which set, for which decisions, and what changes without."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.document import report_document
from cogorch_dagster.evaluation.router import RouterEvaluation, evaluate_router
from cogorch_dagster.features import in_force, store
from cogorch_dagster.features.feature_set import FeatureSet
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.proposals import router
from cogorch_dagster.settings import Settings
from tests.evaluation.traffic import POLICY, ROUTER, START, install
from tests.features.sets import handmade
from tests.features.test_building import CANDIDATE, HALF, NOW, traffic

END = START + 2 * HALF
DAY = timedelta(days=1)


def evaluated(settings: Settings, features: object = None, **options: object) -> RouterEvaluation:
    period = options.pop("since", START), options.pop("until", END)
    return evaluate_router(
        settings, POLICY, CANDIDATE, *period, baseline=ROUTER, feedback_delay=NOW, features=features, **options
    )


def save(settings: Settings, *sets: FeatureSet) -> None:
    with transaction(settings) as connection:
        for each in sets:
            store.save(connection, each)


def test_estimates_and_proposals_rest_on_the_features_in_force(settings: Settings) -> None:
    install(settings)
    traffic(1400, 1).store(settings)
    plain = evaluated(settings, in_force.in_force(settings, POLICY, START))
    assert plain.features is None
    before = router.propose(settings, POLICY, since=START, until=END, feedback_delay=NOW)
    assert "features" not in before.evidence

    built = handmade(settings, START, START + HALF)
    nothing = replace(built, selected=(), definitions={}, since=START - 2 * DAY, until=START - DAY)
    save(settings, nothing)
    # A set that selected nothing changes nothing: there is none in force, and the decisions are grouped as ever.
    again = evaluated(settings, in_force.in_force(settings, POLICY, START))
    assert again.features is None and report_document(again.report).keys() == report_document(plain.report).keys()
    for name, each in again.report.overall.estimates.items():
        expected = plain.report.overall.estimates[name]
        assert (each.value, each.se) == pytest.approx((expected.value, expected.se), rel=1e-12)
    same = router.propose(settings, POLICY, since=START, until=END, feedback_delay=NOW)
    assert (same.created, same.version.ref) == (False, before.version.ref)

    later = replace(built, since=START - 2 * DAY, until=START - DAY, seed=1)
    save(settings, built, later)
    known = in_force.in_force(settings, POLICY, START)
    assert known.version == later.digest, "of two until the same moment the one saved last"
    found = evaluated(settings, known)
    assert found.features.version == later.digest and found.features.decisions == 1400 - round(1400 / 16)
    narrow, wide = found.report.overall, plain.report.overall
    assert narrow.estimates["dr"].se < 0.95 * wide.estimates["dr"].se
    assert narrow.difference.se < 0.95 * wide.difference.se
    assert narrow.estimates["snips"].value == pytest.approx(wide.estimates["snips"].value, rel=1e-9)
    for one, two in zip(found.report.slices, plain.report.slices, strict=True):
        assert (one.slicing, one.label) == (two.slicing, two.label)
        assert one.evaluation.estimates["dr"].se < two.evaluation.estimates["dr"].se

    proposed = router.propose(settings, POLICY, since=START, until=END, feedback_delay=NOW)
    assert proposed.created and proposed.evidence["features"]["version"] == later.digest
    assert proposed.evidence["features"]["selected"] == list(built.selected)
    assert 0 < proposed.evidence["features"]["decisions"] < proposed.evidence["decisions_usable"] / 2
    assert proposed.evidence["inputs"] != before.evidence["inputs"]
    error, error_before = (each.evidence["candidate"]["se"] for each in (proposed, before))
    assert error < error_before
    repeated = router.propose(settings, POLICY, since=START, until=END, feedback_delay=NOW)
    assert (repeated.created, repeated.version.ref) == (False, proposed.version.ref)


def test_decisions_that_features_were_chosen_on_are_expected_without_them(settings: Settings) -> None:
    install(settings)
    traffic(1400, 2).store(settings)
    built = handmade(settings, START, START + HALF)
    save(settings, built)
    # Before the first set there is none in force; then the one to follow, for later decisions only.
    known = in_force.in_force(settings, POLICY, START)
    assert known.version == built.digest
    found, plain = evaluated(settings, known, context_key="kind"), evaluated(settings, context_key="kind")
    assert found.features.decisions == 700
    assert str(found.features) == f"{built.digest[:19]}, {len(built.selected)} selected, used for 700 decisions"
    assert [each.label for each in found.report.slices] == [each.label for each in plain.report.slices]
    early, early_plain = (
        evaluated(settings, each, until=START + HALF).report.overall.estimates["dr"] for each in (known, None)
    )
    assert (early.value, early.se) == pytest.approx((early_plain.value, early_plain.se), rel=1e-9)

    assert in_force.chosen(settings, POLICY, "none", START) is None
    assert in_force.chosen(settings, POLICY, "current", START).version == built.digest
    assert in_force.chosen(settings, POLICY, built.digest[7:20], START).version == built.digest
    save(settings, replace(built, selected=(), seed=3), replace(built, scope="other", seed=4))
    with transaction(settings) as connection:
        digests = {each.scope: each.digest for each in store.listing(connection) if each.digest != built.digest}
    for scope, said in (("other", "is of other"), (POLICY, "selected no feature")):
        with pytest.raises(InvalidInput, match=said):
            in_force.chosen(settings, POLICY, digests[scope], START)
