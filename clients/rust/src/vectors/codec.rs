//! One frame each: what the codec takes, and what it refuses and why.

use serde::Deserialize;
use serde_json::Value;

use super::{Count, bytes_of, counts, folder};
use crate::codec::check;
use crate::error::Error;
use crate::types::{Limits, plain};

#[derive(Deserialize)]
struct Vectors {
    accept: Vec<Case>,
    reject: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    hex: String,
    #[serde(default)]
    value: Value,
    value_depth: Option<usize>,
    #[serde(default)]
    repeat: usize,
    #[serde(default)]
    then: String,
    code: Option<String>,
}

impl Case {
    fn frame(&self) -> Vec<u8> {
        match self.repeat {
            0 => bytes_of(&self.hex),
            times => [bytes_of(&self.hex).repeat(times), bytes_of(&self.then)].concat(),
        }
    }
}

fn vectors() -> Vectors {
    super::read(&folder().join("codec.json"))
}

fn plain_of(data: &[u8]) -> Result<Value, Error> {
    check(data, &Limits::default())?;
    plain::read(data)
}

fn depth_of(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.first().map_or(0, depth_of),
        _ => 0,
    }
}

#[test]
fn none_is_left_out() {
    let vectors = vectors();
    let read = Count {
        accepted: vectors.accept.len(),
        rejected: vectors.reject.len(),
    };
    assert_eq!(read, counts().codec);
}

#[test]
fn frames_that_every_language_accepts() {
    for case in vectors().accept {
        let value =
            plain_of(&case.frame()).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        if let Some(depth) = case.value_depth {
            assert_eq!(depth_of(&value), depth, "{}", case.name);
            continue;
        }
        let expected = match case.value.get("$bin").and_then(Value::as_str) {
            Some(hex) => bytes_of(hex).into(),
            None => case.value.clone(),
        };
        assert_eq!(value, expected, "{}", case.name);
    }
}

#[test]
fn frames_that_every_language_rejects() {
    for case in vectors().reject {
        let error = plain_of(&case.frame()).expect_err(&case.name);
        assert_eq!(Some(error.code()), case.code.as_deref(), "{}", case.name);
    }
}
