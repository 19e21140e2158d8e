# METADATA
# description: The cost cap of a router rises by at most 20 % at a time.
# custom:
#   appliesTo: {kind: router}
#   examples:
#     - input: {active: {params: {maxCostUsd: 0.01}}, candidate: {params: {maxCostUsd: 0.0121}}}
#       denied: true
#     - input: {active: {params: {maxCostUsd: 0.01}}, candidate: {params: {maxCostUsd: 0.012}}}
#       denied: false
#     - input: {active: null, candidate: {params: {maxCostUsd: 0.5}}}
#       denied: false
package guard

# Without a version in force there is nothing to compare with: `input.active.params` is undefined, and so is the rule.
deny contains message if {
	before := input.active.params.maxCostUsd
	after := input.candidate.params.maxCostUsd
	after > (before * 1.2) + 0.000000001
	message := sprintf("the cost cap would rise from %v to %v USD, by more than 20 %%", [before, after])
}
