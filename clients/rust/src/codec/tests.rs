use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::envelope::Kind;
use crate::types::plain;

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

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|index| u8::from_str_radix(&hex[index..index + 2], 16).expect("hexadecimal digits"))
        .collect()
}

/// The vectors that every language reads; only a working tree has them.
fn vectors() -> Option<Vectors> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../protocol/fixtures/codec.json"
    );
    let text = std::fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&text).expect("the vectors' form"))
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
fn frames_that_every_language_accepts() {
    for case in vectors().iter().flat_map(|vectors| &vectors.accept) {
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
    for case in vectors().iter().flat_map(|vectors| &vectors.reject) {
        let error = plain_of(&case.frame()).expect_err(&case.name);
        assert_eq!(Some(error.code()), case.code.as_deref(), "{}", case.name);
    }
}

#[test]
fn what_would_be_refused_is_not_sent() {
    let limits = Limits {
        message_bytes: 100,
        elements: 10,
        ..Limits::default()
    };
    assert_eq!(
        encode(&"x".repeat(200), &limits).unwrap_err().code(),
        "too_large"
    );
    assert_eq!(encode(&[0; 11], &limits).unwrap_err().code(), "too_large");
    assert_eq!(
        encode(&f64::NAN, &limits).unwrap_err().code(),
        "invalid_message"
    );
    let deep = (0..64).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    assert!(encode(&deep, &limits).is_err());
}

#[test]
fn headers_leave_out_what_they_do_not_have() {
    let header = Header {
        m: Some("engine.ping".into()),
        ..Header::with_id(Kind::Request, 1)
    };
    let data = encode_header(&header);
    assert_eq!(
        data,
        bytes_of("83a16ba3726571a2696401a16dab656e67696e652e70696e67")
    );
    assert_eq!(decode_header(&data).unwrap(), header);
}

#[test]
fn headers_are_bounded() {
    let too_high = rmp_serde::to_vec_named(&Header::with_id(Kind::Cancel, 1 << 53)).unwrap();
    assert!(decode_header(&too_high).is_err());
    let long = Header {
        m: Some("x".repeat(5000)),
        ..Header::new(Kind::Request)
    };
    assert_eq!(
        decode_header(&encode_header(&long)).unwrap_err().code(),
        "too_large"
    );
}

#[test]
fn events_are_found_where_they_lie() {
    let body = encode(
        &serde_json::json!([[7, 0, {"a": 1}], [300, 70_000, null]]),
        &Limits::default(),
    )
    .unwrap();
    let entries = scan_events(&body, &Limits::default()).unwrap();
    let found: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry.request_id,
                entry.sequence,
                body[entry.event.clone()].to_vec(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [(7, 0, bytes_of("81a16101")), (300, 70_000, bytes_of("c0"))]
    );
    for broken in [
        "92",
        "9192",
        "919300",
        "9193ff00c0",
        "9194000000c0",
        "9193a10000c0",
        "91930000c0c0",
        "c0",
    ] {
        assert!(
            scan_events(&bytes_of(broken), &Limits::default()).is_err(),
            "{broken}"
        );
    }
}
