"""Side by side: the sidecar's engine against other engines, on one machine, in turn.

Every contestant is a process of its own in its own environment and speaks JSON
lines (`wire`). The driver (`rounds`) asks them one after another, case by case,
round by round, so that a machine that grows slower does so for all of them.
What runs inside a contestant's process imports nothing of the sidecar, except
`sidecar_peer`, which is the sidecar.
"""
