"""What breaks hosts of the last release in methods, notifications and what surrounds them."""

from collections.abc import Iterator

from sidecar_generator.change import Change

SENDING_LIMITS = ("message_bytes", "frame_bytes", "depth", "elements")
"""Limits that hosts hold the engine to: they may not rise either."""


def removed_methods(change: Change) -> Iterator[str]:
    """A method or a host request has gone."""
    for old, new in change.methods():
        if new is None:
            yield f"{old.name} was removed"


def replaced_params_and_results(change: Change) -> Iterator[str]:
    """A method takes, gives or streams another type; a change within the type is judged there."""
    for old, new in change.methods():
        if new is None:
            continue
        for part in ("params", "result"):
            if getattr(old, part) != getattr(new, part):
                yield f"{old.name}: {part} were {getattr(old, part)}, now {getattr(new, part)}"


def lost_events(change: Change) -> Iterator[str]:
    """A method no longer streams a type of event that it did. New types of events break nothing."""
    for old, new in change.methods():
        if new is None:
            continue
        present = {event.name for event in change.after.event_types(new)}
        for event in change.before.event_types(old):
            if event.name not in present:
                yield f"{old.name} no longer streams {event.name}"


def withdrawn_promises(change: Change) -> Iterator[str]:
    """A method is no longer idempotent or cancellable, or only for debug connections now."""
    for old, new in change.methods():
        if new is None:
            continue
        if old.idempotent and not new.idempotent:
            yield f"{old.name} takes no idempotency key any more"
        if old.cancellable and not new.cancellable:
            yield f"{old.name} cannot be cancelled any more"
        if new.debug_only and not old.debug_only:
            yield f"{old.name} is for debug connections alone now"


def new_conditions(change: Change) -> Iterator[str]:
    """A method needs a capability that it did not need."""
    for old, new in change.methods():
        if new is not None and new.capability not in (None, old.capability):
            yield f"{old.name} needs the capability {new.capability} now"


def removed_notifications(change: Change) -> Iterator[str]:
    """A notification has gone, or carries another type."""
    present = {item.name: item.params for item in change.after.notifications}
    for item in change.before.notifications:
        if item.name not in present:
            yield f"the notification {item.name} was removed"
        elif present[item.name] != item.params:
            yield f"the notification {item.name} carried {item.params}, now {present[item.name]}"


def removed_words(change: Change) -> Iterator[str]:
    """An error code, a capability or a kind of message has gone."""
    for what, old, new in (
        ("error code", change.before.errors, change.after.errors),
        ("message kind", change.before.message_kinds, change.after.message_kinds),
        (
            "capability",
            [item.name for item in change.before.capabilities],
            [item.name for item in change.after.capabilities],
        ),
    ):
        for word in old:
            if word not in new:
                yield f"the {what} {word} was removed"


def moved_limits(change: Change) -> Iterator[str]:
    """A limit has fallen; or risen, where hosts hold the engine to it."""
    for name, old in change.before.limits.items():
        new = change.after.limits.get(name)
        if new is None:
            yield f"the limit {name} was removed"
        elif new < old:
            yield f"the limit {name} fell from {old} to {new}"
        elif new > old and name in SENDING_LIMITS:
            yield f"the limit {name} rose from {old} to {new}; hosts refuse what is beyond the old one"
