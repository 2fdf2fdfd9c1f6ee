//! Messages of an engine, made of the vectors: what mutations begin with.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::frames::{self, Side};
use super::random::Random;
use super::types::{Role, modules};
use super::{bytes_of, folder};
use crate::types::plain;

/// Requests that are open on a connection that gets such messages: their ids are 1 to this.
pub(super) const OPEN_REQUESTS: usize = 8;

/// A message, and the type of what it carries where that is known.
#[derive(Clone)]
pub(super) struct Message {
    pub header: Vec<u8>,
    pub body: Vec<u8>,
    pub carries: Option<String>,
}

impl Message {
    /// Some message, with changes in one of its frames or in both; seldom without any.
    pub(super) fn mutated(seeds: &[Self], random: &mut Random) -> Self {
        let mut message = random.pick(seeds).clone();
        let other = random.pick(seeds);
        match random.below(10) {
            0 => {}
            1 | 2 => random.mutate(&mut message.header, &other.header),
            3 => {
                random.mutate(&mut message.header, &other.body);
                random.mutate(&mut message.body, &other.header);
            }
            4..=6 => random.mutate(&mut message.body, &other.body),
            _ => {
                let mut value = plain::read(&message.body).expect("a body of the vectors");
                random.change(&mut value);
                message.body = rmp_serde::to_vec_named(&value).expect("msgpack");
            }
        }
        message
    }
}

/// A message for each accepted vector that an engine may send.
pub(super) fn seeds() -> Vec<Message> {
    let whole = frames::vectors().accepted.into_iter();
    let whole = whole.filter(|case| case.from == Side::Engine);
    let mut messages: Vec<_> = whole
        .map(|case| Message {
            header: bytes_of(&case.header),
            body: bytes_of(&case.body),
            carries: None,
        })
        .collect();
    let names = names();
    for module in modules() {
        for (number, case) in module.accepted.into_iter().enumerate() {
            let id = 1 + number % OPEN_REQUESTS;
            let body = bytes_of(&case.body);
            let named = |kind| json!({"k": kind, "id": id, "m": names.get(&case.kind)});
            let (header, body) = match case.role {
                Role::Event => (json!({"k": "evts"}), as_events(id, &body)),
                Role::HostParams => (named("req"), body),
                Role::Notification => (named("ntf"), body),
                _ => (json!({"k": "res", "id": id, "s": 0}), body),
            };
            messages.push(Message {
                header: rmp_serde::to_vec_named(&header).expect("a header"),
                body,
                carries: Some(case.kind),
            });
        }
    }
    messages
}

/// An event as the first of a request's.
fn as_events(id: usize, event: &[u8]) -> Vec<u8> {
    [&[0x91, 0x93, id as u8, 0x00], event].concat()
}

/// What the engine asks and tells, by the type that goes with it.
fn names() -> HashMap<String, String> {
    let schema: Value = super::read(&folder().join("../schema.json"));
    let text = |value: &Value| value.as_str().expect("a name").to_owned();
    ["host_requests", "notifications"]
        .iter()
        .flat_map(|list| schema[list].as_array().expect("a list"))
        .map(|item| (text(&item["params"]), text(&item["name"])))
        .collect()
}
