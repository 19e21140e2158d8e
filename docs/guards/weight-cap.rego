# METADATA
# description: No arm of a router has a weight above 0.9, for any tenant, so that every request is an observation.
# custom:
#   appliesTo: {kind: router}
#   examples:
#     - input: {candidate: {params: {modelWeights: {a: 0.95, b: 0.05}}}}
#       denied: true
#     - input: {candidate: {params: {modelWeights: {a: 0.9, b: 0.1}}}}
#       denied: false
#     - input: {candidate: {params: {modelWeights: {a: 0.5, b: 0.5}, tenantWeights: {acme: {a: 1}}}}}
#       denied: true
package guard

deny contains message if {
	some arm, weight in input.candidate.params.modelWeights
	weight > 0.9
	message := sprintf("arm %s has weight %v, above 0.9", [arm, weight])
}

deny contains message if {
	some tenant, weights in input.candidate.params.tenantWeights
	some arm, weight in weights
	weight > 0.9
	message := sprintf("arm %s has weight %v for tenant %s, above 0.9", [arm, weight, tenant])
}
