# METADATA
# description: Arms of a provider that a tenant has barred get no weight for the tenant's requests.
# custom:
#   appliesTo: {kind: router}
#   examples:
#     - input: {candidate: {params: {modelWeights: {"orion:large": 0.1, "local:small": 0.9}}}}
#       denied: true
#     - input: {candidate: {params: {modelWeights: {"orion:large": 0, "local:small": 1}}}}
#       denied: false
#     - input:
#         candidate:
#           params:
#             modelWeights: {"orion:large": 0.5, "local:small": 0.5}
#             tenantWeights: {acme: {"local:small": 1}}
#       denied: false
package guard

# Arms are named `provider:model` here.
barred := {"acme": {"orion"}}

# A tenant without weights of its own has everybody's.
weights_for(tenant) := input.candidate.params.tenantWeights[tenant]

weights_for(tenant) := input.candidate.params.modelWeights if not input.candidate.params.tenantWeights[tenant]

deny contains message if {
	some tenant, providers in barred
	some arm, weight in weights_for(tenant)
	weight > 0
	provider := split(arm, ":")[0]
	provider in providers
	message := sprintf("arm %s has weight %v for tenant %s, which has barred %s", [arm, weight, tenant, provider])
}
