"""Guard rules: what must hold whatever is proposed, written in Rego and evaluated by regopy (rego-cpp).

A rule is a document of kind `guard`, versioned and approved like any other. `checks` holds the rules in force against
a version, inside the transaction that would store, approve or activate it; `soundness` finds what is wrong with a rule
when it is saved. The engine is C++ and a rule may be costly, so it runs in a process of its own (`worker`), which
`engine` starts, bounds and ends.
"""
