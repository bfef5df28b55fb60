"""The border between the package and what strangers hand it: each misfit is one line here.

`options` are numbers and words, `signals` the batches of an attack, `arrays` labels, predictions
and flags of an evaluation, `networks` the networks and what they answer. Behind it the code
assumes that everything has its kind, type, shape and range, and that nothing is shared.
"""
