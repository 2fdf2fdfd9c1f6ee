//! What holds for every frame, whoever made it.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::types::{ChatEvent, plain};

fn values() -> impl Strategy<Value = Value> {
    let scalars = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
    ];
    scalars.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::from),
            btree_map(".{0,8}", inner, 0..8).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

/// A body of events with some of its bytes changed, left out or put in.
fn mutated_events() -> impl Strategy<Value = Vec<u8>> {
    let events = vec((0..9_u64, 0..300_u64, values()), 0..6);
    let changes = vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..4);
    (events, changes).prop_map(|(events, changes)| {
        let mut body = rmp_serde::to_vec(&events).expect("values of the contract");
        for (index, byte, change) in changes {
            if body.is_empty() {
                break;
            }
            let index = index.index(body.len());
            match change {
                0 => body[index] = byte,
                1 => drop(body.remove(index)),
                _ => body.insert(index, byte),
            }
        }
        body
    })
}

proptest! {
    #[test]
    fn what_is_sent_is_what_is_read(value in values()) {
        let data = encode(&value, &Limits::default()).expect("values of the contract");
        prop_assert_eq!(plain::read(&data).expect("a frame that was checked"), value);
    }

    #[test]
    fn what_was_checked_can_be_read(data in vec(any::<u8>(), 0..200)) {
        if check(&data, &Limits::default()).is_ok() {
            plain::read(&data).expect("a frame that was checked");
        }
    }

    #[test]
    fn events_lie_one_behind_the_other_and_can_be_read(body in mutated_events()) {
        let mut end = 0;
        for entry in scan_events(&body, &Limits::default()).unwrap_or_default() {
            prop_assert!(end < entry.event.start && entry.event.end <= body.len());
            end = entry.event.end;
            let event = &body[entry.event];
            plain::read(event).expect("an event that was checked");
            // Of whatever shape it is, it is an event or an error.
            let _ = read::<ChatEvent>(event);
        }
    }

    #[test]
    fn events_of_tomorrow_are_kept(fields in btree_map("[a-s]{1,8}", values(), 0..5)) {
        let mut event: Value = fields.into_iter().collect();
        event["type"] = json!("of_tomorrow");
        let data = encode(&event, &Limits::default()).expect("values of the contract");
        let ChatEvent::Unknown(kept) = read(&data).expect("an event") else {
            panic!("no event of today has this type");
        };
        prop_assert_eq!(Value::Object(kept), event);
    }
}
