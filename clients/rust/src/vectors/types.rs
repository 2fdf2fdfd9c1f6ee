//! Values of every type, read as the type and written again.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Count, by_name, bytes_of, counts, folder};
use crate::codec;
use crate::error::Error;
use crate::types::Limits;

/// Reads a value as the type of a name, and writes it.
macro_rules! types_by_name {
    ($($kind:ident,)*) => {
        pub(super) fn again(name: &str, body: &[u8]) -> Option<Result<Vec<u8>, $crate::error::Error>> {
            Some(match name {
                $(stringify!($kind) => $crate::vectors::types::again::<$kind>(body),)*
                _ => return None,
            })
        }
    };
}
pub(super) use types_by_name;

pub(super) fn again<T: DeserializeOwned + Serialize>(body: &[u8]) -> Result<Vec<u8>, Error> {
    let value: T = codec::decode(body, &Limits::default())?;
    codec::encode(&value, &Limits::default())
}

/// The vectors of one module.
#[derive(Deserialize)]
pub(super) struct Module {
    pub accepted: Vec<Accepted>,
    pub rejected: Vec<Rejected>,
}

#[derive(Deserialize)]
pub(super) struct Accepted {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub role: Role,
    pub body: String,
    pub value: Value,
}

#[derive(Deserialize)]
pub(super) struct Rejected {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub role: Role,
    pub body: String,
    pub flaw: Flaw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    Params,
    Result,
    Event,
    HostParams,
    HostResult,
    Notification,
    Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Flaw {
    Missing,
    Kind,
    FloatForInteger,
    Range,
    Length,
    Pattern,
    UnknownField,
    UnknownOption,
    Hostile,
}

pub(super) fn modules() -> Vec<Module> {
    let folder = folder().join("types");
    let mut paths: Vec<_> = folder
        .read_dir()
        .unwrap_or_else(|error| panic!("{}: {error}; is this a working tree?", folder.display()))
        .map(|entry| entry.expect("a folder that can be read").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| super::read(path)).collect()
}

fn again_by_name(kind: &str, body: &str) -> Result<Vec<u8>, Error> {
    by_name::again(kind, &bytes_of(body)).unwrap_or_else(|| panic!("there is no type {kind}"))
}

#[test]
fn none_is_left_out() {
    let mut read = Count::default();
    for module in modules() {
        read.accepted += module.accepted.len();
        read.rejected += module.rejected.len();
    }
    assert_eq!(read, counts().types);
}

#[test]
fn what_is_accepted_is_written_back_byte_for_byte() {
    let mut failures = Vec::new();
    for case in modules().into_iter().flat_map(|module| module.accepted) {
        let expected = match case.value.get("stream") {
            // Whether a request streams is not said by its params here, but by how it is made.
            Some(_) if case.role == Role::Params => without_stream(&case.value),
            _ => bytes_of(&case.body),
        };
        match again_by_name(&case.kind, &case.body) {
            Ok(written) if written == expected => {}
            other => failures.push(format!("{}: {other:02x?}", case.name)),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn without_stream(value: &Value) -> Vec<u8> {
    let mut fields = value.as_object().expect("params are a map").clone();
    fields.shift_remove("stream");
    codec::encode(&fields, &Limits::default()).expect("a value of the vectors")
}

#[test]
fn what_is_rejected_is_refused_as_far_as_this_client_is_to_refuse_it() {
    let mut failures = Vec::new();
    for case in modules().into_iter().flat_map(|module| module.rejected) {
        let written = again_by_name(&case.kind, &case.body);
        if !is_expected(&case, &written) {
            failures.push(format!("{}: {written:02x?}", case.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What does no harm here: the client says itself whether a request streams, and a kind of object
/// that it does not know may be one of tomorrow.
const TAKEN: [&str; 2] = [
    "ChatCreate: stream is a text",
    "ChatCreate: a role that every object of JavaScript has",
];

/// Words in answers that no later version of the protocol adds to.
const CLOSED: [&str; 7] = [
    "EngineLog: level is another word",
    "FrameEvent: direction is another word",
    "HostSecret: action is another word",
    "LogEvent: level is another word",
    "McpLogEvent: level is another word",
    "Response: tool_choice is another word",
    "Response: truncation is another word",
];

fn is_expected(case: &Rejected, written: &Result<Vec<u8>, Error>) -> bool {
    let kept = written
        .as_ref()
        .is_ok_and(|written| *written == bytes_of(&case.body));
    match case.flaw {
        Flaw::Missing | Flaw::Kind | Flaw::FloatForInteger => written.is_err(),
        // The engine refuses them, which knows the bounds of its version.
        Flaw::Range | Flaw::Length | Flaw::Pattern => kept,
        Flaw::UnknownField => written.is_ok(),
        Flaw::UnknownOption if may_only_be_sent(case.role) => kept || written.is_err(),
        Flaw::UnknownOption => kept != CLOSED.contains(&&*case.name),
        Flaw::Hostile => written.is_ok() == TAKEN.contains(&&*case.name),
    }
}

fn may_only_be_sent(role: Role) -> bool {
    matches!(role, Role::Params | Role::HostResult | Role::Part)
}
