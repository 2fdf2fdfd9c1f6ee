//! The vectors that the tests of every language read: protocol/fixtures, which only a working tree
//! has. So this folder is no part of the package.

mod by_name;
mod codec;
mod frames;
mod fuzz;
mod random;
mod seeds;
mod types;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protocol/fixtures")
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{}: {error}; is this a working tree?", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// How many vectors there are, so that none is left out unseen.
#[derive(Debug, Deserialize)]
struct Counts {
    types: Count,
    frames: Count,
    codec: Count,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
struct Count {
    accepted: usize,
    rejected: usize,
}

fn counts() -> Counts {
    read(&folder().join("counts.json"))
}

pub(crate) fn bytes_of(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "{hex:?}");
    (0..hex.len())
        .step_by(2)
        .map(|index| u8::from_str_radix(&hex[index..index + 2], 16).expect("hexadecimal digits"))
        .collect()
}

/// A vector's value as this client holds JSON: bytes are lists of numbers.
fn plain_value(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(plain_value).collect(),
        Value::Object(fields) => match fields.get("$bytes").and_then(Value::as_str) {
            Some(hex) => bytes_of(hex).into(),
            None => fields
                .iter()
                .map(|(name, value)| (name.clone(), plain_value(value)))
                .collect(),
        },
        scalar => scalar.clone(),
    }
}
