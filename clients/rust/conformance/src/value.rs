//! JSON values as they cross the wire. What JSON lacks, bytes, is `{"$bytes": "hex"}`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error, Serialize, Serializer};
use serde_json::{Map, Value, json};

const BYTES: &str = "$bytes";

/// A value that an engine sent, or that is to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Wire(pub Value);

impl Serialize for Wire {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Sent(&self.0).serialize(serializer)
    }
}

struct Sent<'a>(&'a Value);

impl Serialize for Sent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(items) => serializer.collect_seq(items.iter().map(Sent)),
            Value::Object(fields) => match fields.get(BYTES).and_then(Value::as_str) {
                Some(hex) => match from_hex(hex) {
                    Some(bytes) => serializer.serialize_bytes(&bytes),
                    None => Err(S::Error::custom(format!("{hex:?} is not hexadecimal"))),
                },
                None => {
                    serializer.collect_map(fields.iter().map(|(name, value)| (name, Sent(value))))
                }
            },
            plain => plain.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Wire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WireVisitor).map(Self)
    }
}

struct WireVisitor;

impl<'de> Visitor<'de> for WireVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(json!({BYTES: hex}))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Wire(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some((name, Wire(value))) = entries.next_entry::<String, Wire>()? {
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).map(|value| value as u8))
        .collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| {
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_bytes_on_the_wire_and_hexadecimal_in_json() {
        let value = Wire(json!({"a": [{"$bytes": "00ff"}, null, -1, 0.5], "b": {"c": "d"}}));
        let body = rmp_serde::to_vec_named(&value).unwrap();
        assert_eq!(body[..8], [0x82, 0xa1, b'a', 0x94, 0xc4, 2, 0x00, 0xff]);
        assert_eq!(rmp_serde::from_slice::<Wire>(&body).unwrap(), value);
    }

    #[test]
    fn what_is_not_hexadecimal_is_not_sent() {
        for text in ["0", "0x", "é"] {
            assert!(rmp_serde::to_vec(&Wire(json!({"$bytes": text}))).is_err());
        }
    }
}
