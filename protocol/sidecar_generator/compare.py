"""What in a new version of the protocol breaks hosts that were built with the last release.

Not in the list, so free: new methods, notifications, capabilities, error codes and
events; new optional params and new fields of results; new values of open enums,
new variants of tagged unions; docs; deprecations; errors a method may give.
A new protocol number may break everything: hosts are refused at hello.
"""

from collections.abc import Callable, Iterator

from sidecar_generator import method_rules, type_rules
from sidecar_generator.change import Change
from sidecar_generator.schema import Schema

Rule = Callable[[Change], Iterator[str]]

RULES: tuple[Rule, ...] = (
    method_rules.removed_methods,
    method_rules.replaced_params_and_results,
    method_rules.lost_events,
    method_rules.withdrawn_promises,
    method_rules.new_conditions,
    method_rules.removed_notifications,
    method_rules.removed_words,
    method_rules.moved_limits,
    type_rules.removed_types,
    type_rules.removed_fields,
    type_rules.newly_required_fields,
    type_rules.no_longer_given_fields,
    type_rules.changed_defaults,
    type_rules.new_conditions_on_fields,
    type_rules.changed_field_types,
    type_rules.changed_tags,
    type_rules.changed_coalescing,
    type_rules.changed_enums,
    type_rules.changed_variants,
    type_rules.changed_kinds,
)


def breaking_changes(before: Schema, after: Schema) -> list[str]:
    """One sentence for each, in the order of the rules; none when the protocol number has changed."""
    if before.protocol != after.protocol:
        return []
    change = Change(before, after)
    return [broken for rule in RULES for broken in rule(change)]
