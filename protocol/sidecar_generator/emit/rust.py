"""The generated parts of the Rust client: types, typed calls, and what the engine asks and tells."""

from collections.abc import Iterator

from sidecar_generator.emit.rust_types import (
    NOTE,
    doc_lines,
    events_name,
    is_sent,
    names,
    signature,
    type_files,
    variable,
)
from sidecar_generator.schema import Field, Method, Schema
from sidecar_generator.text import pascal

CLIENT = "clients/rust/src"
ON_THE_ENGINE_ITSELF = frozenset({"engine"})
"""Namespaces whose methods are the Engine's own, written by hand."""
MAX_POSITIONAL = 2
"""A method that takes only required arguments, and no more than these, takes them one by one."""
_ARGUMENTS = {"string": "&str", "integer": "i64", "number": "f64", "boolean": "bool"}


def emit(schema: Schema) -> dict[str, str]:
    """types/*.rs, namespaces.rs, from_engine.rs, and for the tests vectors/by_name.rs."""
    types = {f"{CLIENT}/types/{name}": text for name, text in type_files(schema).items()}
    return {
        **types,
        f"{CLIENT}/namespaces.rs": _namespaces(schema),
        f"{CLIENT}/from_engine.rs": _from_engine(schema),
        f"{CLIENT}/vectors/by_name.rs": _by_name(schema),
    }


def _namespaces(schema: Schema) -> str:
    namespaces = [item for item in schema.namespaces if item.name not in ON_THE_ENGINE_ITSELF]
    lines = [
        "//! The engine's methods by namespace: `engine.chat().create(…)`. Each is one call.",
        "//!",
        NOTE,
        "",
        "use crate::engine::Engine;",
        "use crate::error::Error;",
        "use crate::stream::EventStream;",
        "use crate::types::*;",
        "",
        "impl Engine {",
    ]
    for index, item in enumerate(namespaces):
        name = pascal(item.name)
        lines += [""] if index else []
        lines += doc_lines(f"{item.name}.*: {item.doc}", 4)
        lines += [f"    pub fn {item.name}(&self) -> {name}<'_> {{", f"        {name}(self)", "    }"]
    lines.append("}")
    for item in namespaces:
        name = pascal(item.name)
        lines += ["", *doc_lines(f"{item.name}.*: {item.doc}")]
        lines += ["#[derive(Debug, Clone, Copy)]", f"pub struct {name}<'a>(&'a Engine);"]
        lines += ["", f"impl {name}<'_> {{"]
        calls = [call for method in schema.methods_of(item.name) for call in _calls(schema, method)]
        lines += "\n\n".join("\n".join(call) for call in calls).split("\n")
        lines.append("}")
    return "\n".join([*lines, ""])


def _calls(schema: Schema, method: Method) -> Iterator[list[str]]:
    """A method, and its streaming twin."""
    fields = [item for item in schema.struct(method.params).fields if is_sent(item)]
    arguments, params = _arguments(method, fields)
    verb = method.name.partition(".")[2]
    yield [
        *doc_lines(method.doc, 4),
        *signature(4, f"pub async fn {verb}", ["self", *arguments], f"Result<{method.result}, Error>"),
        *_body("call", method, params, ".await"),
        "    }",
    ]
    if method.events is not None:
        name = "stream" if verb == "create" else f"{verb}_stream"
        result = f"EventStream<{events_name(schema, method)}, {method.result}>"
        yield [
            *doc_lines("The same as a stream.", 4),
            *signature(4, f"pub fn {name}", ["self", *arguments], result),
            *_body("stream", method, params, ""),
            "    }",
        ]


def _arguments(method: Method, fields: list[Field]) -> tuple[list[str], str]:
    """A method's arguments in Rust, and the params made of them."""
    if not fields:
        return [], f"{method.params} {{}}"
    if len(fields) <= MAX_POSITIONAL and all(
        item.required and item.type.kind in _ARGUMENTS for item in fields
    ):
        names = [variable(item) for item in fields]
        arguments = [
            f"{name}: {_ARGUMENTS[item.type.kind]}" for name, item in zip(names, fields, strict=True)
        ]
        return arguments, f"{method.params}::new({', '.join(names)})"
    return [f"params: &{method.params}"], "params"


def _body(function: str, method: Method, params: str, ending: str) -> list[str]:
    made = [] if params == "params" else [f"        let params = {params};"]
    passed = "&params" if made else "params"
    return [*made, f'        self.0.{function}("{method.name}", {passed}){ending}']


def _from_engine(schema: Schema) -> str:
    lines = [
        "//! What the engine asks of a host, and what it tells without being asked.",
        "//!",
        NOTE,
        "",
        "use serde::Serialize;",
        "use serde_json::Value;",
        "",
        "use crate::error::Error;",
        "use crate::host_requests::HostRequest;",
        "use crate::types::plain;",
        "use crate::types::*;",
    ]
    for method in schema.host_requests:
        lines += [
            "",
            f"impl HostRequest for {method.params} {{",
            f'    const METHOD: &str = "{method.name}";',
            f"    type Answer = {method.result};",
            "}",
        ]
    lines += [
        "",
        "/// Something the engine tells without being asked. Serialized it has a `name` and `params`.",
        "#[derive(Debug, Clone, PartialEq, Serialize)]",
        '#[serde(tag = "name", content = "params")]',
        "#[non_exhaustive]",
        "pub enum Notification {",
    ]
    for item in schema.notifications:
        lines += doc_lines(item.doc, 4)
        lines += [f'    #[serde(rename = "{item.name}")]', f"    {pascal(item.name)}({item.params}),"]
    lines += [
        "    /// One that this version does not know.",
        "    #[serde(untagged)]",
        "    Unknown {",
        "        /// Its name.",
        "        name: String,",
        "        /// What goes with it.",
        "        params: Value,",
        "    },",
        "}",
        "",
        "impl Notification {",
        "    /// Reads the body of one, which was checked.",
        "    pub(crate) fn read(name: &str, body: &[u8]) -> Result<Self, Error> {",
        "        Ok(match name {",
    ]
    for item in schema.notifications:
        lines.append(f'            "{item.name}" => Self::{pascal(item.name)}(crate::codec::read(body)?),')
    lines += [
        "            unknown => Self::Unknown {",
        "                name: unknown.to_owned(),",
        "                params: plain::read(body)?,",
        "            },",
        "        })",
        "    }",
        "}",
        "",
    ]
    return "\n".join(lines)


def _by_name(schema: Schema) -> str:
    lines = [
        "//! The types that there are vectors for.",
        "//!",
        NOTE,
        "",
        "use super::types::types_by_name;",
        "use crate::types::*;",
        "",
        "types_by_name! {",
        *(f"    {name}," for name in names(schema)),
        "}",
        "",
    ]
    return "\n".join(lines)
