"""What holds for every method, so that a new one cannot break the contract's habits."""

import inspect
import re
from collections.abc import Iterator

import msgspec
import pytest

from sidecar_protocol.base import Coalesce, Event, Params, Result, Shared, StreamingParams
from sidecar_protocol.common import SamplingParams
from sidecar_protocol.methods import METHODS, Method
from sidecar_protocol.unknown_fields import dropped_field, unknown_field

every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
FLOAT_FIELDS = ("temperature", "top_p", "min_p", "repetition_penalty")
INT_FIELDS = ("top_k", "seed", "n", "min_tokens", "repeat_last_n")


def structs_in(root: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    """The type itself and every Struct that its fields can hold."""
    seen: set[type[msgspec.Struct]] = set()
    waiting: list[object] = [msgspec.inspect.type_info(root)]
    while waiting:
        match waiting.pop():
            case msgspec.inspect.StructType(cls=cls, fields=fields) if cls not in seen:
                seen.add(cls)
                yield cls
                waiting += [field.type for field in fields]
            case msgspec.inspect.ListType(item_type=item):
                waiting.append(item)
            case msgspec.inspect.DictType(value_type=value):
                waiting.append(value)
            case msgspec.inspect.Metadata(type=inner):
                waiting.append(inner)
            case msgspec.inspect.UnionType(types=types):
                waiting += types


def test_the_registry_is_not_empty_and_keeps_names_apart() -> None:
    assert {"engine.info", "models.load", "tokens.encode", "generate.create", "chat.create"} <= set(METHODS)
    assert all(name == method.name for name, method in METHODS.items())


@every_method
def test_names_are_namespace_and_verb(method: Method) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z]+(_[a-z]+)*", method.name)
    assert method.since >= 1


@every_method
def test_the_method_and_all_its_types_are_documented(method: Method) -> None:
    assert method.doc.endswith(".")
    for root in (method.params, method.result, *method.events):
        for kind in structs_in(root):
            doc = inspect.cleandoc(kind.__doc__ or "")
            assert doc.rstrip().endswith("."), f"{kind.__qualname__} has no sentence about itself"


@every_method
def test_params_refuse_and_results_ignore_unknown_fields(method: Method) -> None:
    assert issubclass(method.params, Params)
    assert issubclass(method.result, Result)
    for kind in structs_in(method.params):
        assert kind.__struct_config__.forbid_unknown_fields or issubclass(kind, Shared), kind.__qualname__
    for root in (method.result, *method.events):
        for kind in structs_in(root):
            assert not kind.__struct_config__.forbid_unknown_fields, kind.__qualname__


@every_method
def test_an_unknown_field_of_params_is_found_and_named(method: Method) -> None:
    found = unknown_field({"no_such_field": 1}, method.params)
    assert found is not None
    assert (found.path, found.name) == ("params", "no_such_field")
    assert set(found.known) == set(method.params.__struct_encode_fields__)
    assert dropped_field({}, method.params) is None


@every_method
def test_what_streams_can_be_asked_to(method: Method) -> None:
    fields = {field.name: field for field in msgspec.structs.fields(method.params)}
    assert method.streams == ("stream" in fields)
    if issubclass(method.params, StreamingParams):
        assert fields["stream"].default is False


@every_method
def test_events_of_a_method_are_told_apart_by_type(method: Method) -> None:
    tags = [event.__struct_config__.tag for event in method.events]
    assert len(set(tags)) == len(tags)
    for event in method.events:
        assert issubclass(event, Event)
        assert event.__struct_config__.tag_field == "type"


@every_method
def test_events_that_concatenate_can_be_joined_and_no_others(method: Method) -> None:
    for event in method.events:
        joins = event.joined_with is not Event.joined_with
        assert joins == (event.coalesce is Coalesce.CONCAT), event.__qualname__


@every_method
def test_every_type_survives_the_wire(method: Method) -> None:
    """A type that msgspec cannot decode fails when its decoder is built."""
    for root in (method.params, method.result, *method.events):
        assert msgspec.msgpack.Decoder(root).type is root


class TestNumbers:
    @pytest.mark.parametrize("field", FLOAT_FIELDS)
    def test_an_integer_is_taken_for_a_float(self, field: str) -> None:
        params = msgspec.convert({field: 1}, SamplingParams)
        assert getattr(params, field) == 1.0
        assert type(getattr(params, field)) is float

    @pytest.mark.parametrize("field", INT_FIELDS)
    def test_a_float_is_never_taken_for_an_integer(self, field: str) -> None:
        with pytest.raises(msgspec.ValidationError, match=field):
            msgspec.convert({field: 1.0}, SamplingParams)

    @pytest.mark.parametrize("field", [*FLOAT_FIELDS, *INT_FIELDS])
    @pytest.mark.parametrize("value", [True, "1", [1]])
    def test_nothing_else_is_taken_for_a_number(self, field: str, value: object) -> None:
        with pytest.raises(msgspec.ValidationError, match=field):
            msgspec.convert({field: value}, SamplingParams)
