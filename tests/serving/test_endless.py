"""In a process without an end every schedule stands where it leads."""

from cogorch_dagster.serving import endless


def test_schedules_stand_at_their_end_and_rates_at_their_beginning() -> None:
    own = {
        "policy": {"learning_rate": 2e-3, "epsilon": 0.5, "final_epsilon": 0.07, "priorities": {"alpha": 0.3}},
        "resource": {"noise": 0.4, "final_noise": 0.02, "actor_rate": 3e-4},
    }
    joint = endless.configuration(("policy", "consensus", "ethical", "resource"), 4, 0, own, warm_up=0)  # type: ignore[arg-type]
    policy = joint.settings_of("policy")
    assert (policy["learning_rate"], policy["final_learning_rate"]) == (2e-3, None)
    assert (policy["epsilon"], policy["final_epsilon"]) == (0.07, 0.07)
    assert policy["priorities"] == {"alpha": 0.3, "beta": 1.0, "beta_steps": 1}
    assert (joint.settings_of("resource")["noise"], joint.settings_of("resource")["actor_rate"]) == (0.02, 3e-4)
    assert joint.settings_of("consensus")["anneal_steps"] == joint.settings_of("ethical")["anneal_steps"] == 0
    # Changing one agent's settings leaves the others, and the length of its memory, as they are.
    changed = endless.with_settings(joint, {"policy": {"learning_rate": 1e-4}})
    assert changed.settings_of("policy") == policy | {"learning_rate": 1e-4}
    assert changed.settings_of("resource") == joint.settings_of("resource")
    assert changed.steps == joint.steps
    assert endless.for_fleets(policy, 3)["capacity"] == 600
    assert "capacity" not in endless.for_fleets(joint.settings_of("ethical"), 3)
