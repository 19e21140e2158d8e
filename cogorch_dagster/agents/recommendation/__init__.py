"""From trained agents to drafts of policy versions: the settings they arrive at, as documents, with their evidence.

A controller steers many calibrated fleets that begin at the active parameters. What its knobs come to after a warm-up
becomes a document, at most a limited step from the active one. The *document*, not the controller, is then simulated
beside the active one, for a document never moves while the agents always do.

    knob of the simulator   document                                   taken from the trajectory
    weights                 router: modelWeights                       mean share of each arm that has a model by its
                                                                       name; other arms keep their share
    latency_target_ms       router: latencyTargetMs                    median
    cost_cap_usd            router: maxCostUsd                         median
    timeout_ms              router: timeoutMs                          median
    replicas                autoscaler: minReplicas, maxReplicas       10 % and 90 % quantile of the replicas ordered
    (utilisation)           autoscaler: targetUtilization              lower quartile of the load at which more were
                                                                       ordered, over 1.1

What no document can say, and what therefore stays behind in the simulator:

    fairness                tenantWeights choose arms for a tenant, they give it no place in a queue, so they are kept
    quorum                  a router asks one model at a time; documents are simulated with 1
    admission_s             no document bounds a queue; its default
    audit_share             what is judged is not a parameter of a router; its default
    concurrency             slots of a replica belong to its server; its default

And what the simulator cannot say of a document: fallbackOn and cooldownMs (retries there have a fixed share), values
outside the bounds of their knob, and tenantWeights. All of these are kept, with the reason in the evidence.

Changes of a router that gain nothing sure beside the others are taken back (`selection`). A draft is stored when the
simulated gain is sure and no promise suffers (`requirements`). Rules approve it only where the logs alone would have
carried it (`evidence`); else a person decides, whatever the policy's mode.
"""
