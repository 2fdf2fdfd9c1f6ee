use serde_json::Value;

use super::*;
use crate::envelope::Kind;
use crate::vectors::bytes_of;

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
    let data = encode_header(&header).unwrap();
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
    let too_long = rmp_serde::to_vec_named(&long).unwrap();
    assert_eq!(decode_header(&too_long).unwrap_err().code(), "too_large");
    let error = encode_header(&long).unwrap_err();
    assert_eq!(error.code(), "too_large");
    assert_eq!(error.data().unwrap()["limit"], 4096);
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
