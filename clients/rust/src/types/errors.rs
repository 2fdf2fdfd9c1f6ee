//! Errors as they cross the wire.

use serde::{Deserialize, Serialize};

use super::JsonObject;

/// Body of `err`: what was wrong, where, and what would be accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// One of the protocol's codes.
    pub code: String,
    /// What was wrong, where, and what would be accepted.
    pub message: String,
    /// Whether the same request may succeed later without being changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retryable: bool,
    /// What a program may want to read.
    #[serde(
        default,
        skip_serializing_if = "JsonObject::is_empty",
        deserialize_with = "super::plain::deserialize_object"
    )]
    pub data: JsonObject,
}
