//! Whole messages of every kind, and some that break the contract.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Count, bytes_of, counts, folder, plain_value};
use crate::codec;
use crate::envelope::{Header, Kind};
use crate::error::Error;
use crate::from_engine::Notification;
use crate::types::{Bye, ErrorBody, Hello, Limits, Welcome, plain};

#[derive(Deserialize)]
pub(super) struct Vectors {
    pub accepted: Vec<Accepted>,
    pub rejected: Vec<Rejected>,
}

#[derive(Deserialize)]
pub(super) struct Accepted {
    pub name: String,
    pub from: Side,
    pub header: String,
    pub body: String,
    pub reads: Reads,
}

#[derive(Deserialize)]
pub(super) struct Reads {
    pub header: Value,
    pub body: Value,
}

#[derive(Deserialize)]
pub(super) struct Rejected {
    pub name: String,
    pub header: String,
    pub body: String,
    pub code: String,
    pub frame: Frame,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Side {
    Host,
    Engine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Frame {
    Header,
    Body,
}

pub(super) fn vectors() -> Vectors {
    super::read(&folder().join("frames.json"))
}

/// A body as a connection takes it: events one by one, all else whole.
fn body_of(header: &Header, body: &[u8]) -> Result<Value, Error> {
    if header.k == Kind::Events {
        let entries = codec::scan_events(body, &Limits::default())?;
        let events = entries.into_iter().map(|entry| {
            let event = plain::read(&body[entry.event])?;
            Ok(json!([entry.request_id, entry.sequence, event]))
        });
        return events.collect();
    }
    codec::check(body, &Limits::default())?;
    plain::read(body)
}

#[test]
fn none_is_left_out() {
    let vectors = vectors();
    let read = Count {
        accepted: vectors.accepted.len(),
        rejected: vectors.rejected.len(),
    };
    assert_eq!(read, counts().frames);
}

#[test]
fn messages_that_are_accepted() {
    for case in vectors().accepted {
        let header = codec::decode_header(&bytes_of(&case.header))
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let known = codec::encode(&case.reads.header, &Limits::default()).expect("a header");
        assert_eq!(
            codec::encode_header(&header).ok(),
            Some(known),
            "{}",
            case.name
        );
        let body = bytes_of(&case.body);
        let value =
            body_of(&header, &body).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert_eq!(value, plain_value(&case.reads.body), "{}", case.name);
        if case.from == Side::Engine {
            reads_as_its_kind(&case.name, &header, &body);
        }
    }
}

/// What an engine sends, as the types that this client has for it.
fn reads_as_its_kind(name: &str, header: &Header, body: &[u8]) {
    let outcome = match header.k {
        Kind::Welcome => codec::read::<Welcome>(body).map(drop),
        Kind::Error => codec::read::<ErrorBody>(body).map(drop),
        Kind::Bye => codec::read::<Bye>(body).map(drop),
        Kind::Hello => codec::read::<Hello>(body).map(drop),
        Kind::Notification => {
            Notification::read(header.m.as_deref().unwrap_or_default(), body).map(drop)
        }
        _ => Ok(()),
    };
    assert!(outcome.is_ok(), "{name}: {outcome:?}");
}

#[test]
fn messages_that_are_rejected() {
    for case in vectors().rejected {
        let header = codec::decode_header(&bytes_of(&case.header));
        let error = match (case.frame, header) {
            (Frame::Header, header) => header.map(drop),
            (Frame::Body, Ok(header)) => body_of(&header, &bytes_of(&case.body)).map(drop),
            (Frame::Body, Err(error)) => panic!("{}: the header: {error}", case.name),
        };
        let error = error.expect_err(&case.name);
        assert_eq!(error.code(), case.code, "{}", case.name);
    }
}
