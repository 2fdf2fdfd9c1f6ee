"""The exception tree and its names on the wire agree."""

import inspect

from sidecar import errors
from sidecar_protocol.errors import ERROR_CODES

ABSTRACT = {errors.SidecarError, errors.RequestError, errors.ModelError}


def concrete_errors() -> list[type[errors.SidecarError]]:
    members = (member for _, member in inspect.getmembers(errors, inspect.isclass))
    return [
        member for member in members if issubclass(member, errors.SidecarError) and member not in ABSTRACT
    ]


def test_every_wire_code_has_an_exception_and_every_exception_a_wire_code() -> None:
    assert {error.code for error in concrete_errors()} == set(ERROR_CODES)


def test_the_drawing_of_the_tree_names_every_exception_once() -> None:
    assert errors.__doc__ is not None
    words = errors.__doc__.replace("│", " ").replace("├──", " ").replace("└──", " ").split()
    for error in concrete_errors():
        assert words.count(error.__name__) == 1, error.__name__


def test_only_errors_that_pass_by_themselves_are_retryable() -> None:
    retryable = {error.code for error in concrete_errors() if error.retryable}
    assert retryable == {"busy", "deadline_exceeded", "upstream_failed"}
