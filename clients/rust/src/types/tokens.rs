//! tokens.*: text to token ids and back.

use serde::{Deserialize, Serialize};

use super::ChatMessage;
use super::macros::setters;

/// Token ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokensEncoded {
    /// The ids.
    pub token_ids: Vec<i64>,
}

/// Text; bytes that are no UTF-8 appear as U+FFFD.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokensDecoded {
    /// The text.
    pub text: String,
}

/// How many tokens it is, and how many the model can hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokensCounted {
    /// How many it is.
    pub count: i64,
    /// How many the model can hold.
    pub context_length: i64,
}

/// Turn text into token ids.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TokensEncode {
    /// The text.
    pub text: String,
    /// The model's name; None: the default model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whether control tokens written in the text count as such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parse_special: Option<bool>,
}

impl TokensEncode {
    /// Params with what must be given.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }
}

setters! {
    TokensEncode {
        /// The model's name; Left out: the default model.
        model: String,
        /// Whether control tokens written in the text count as such.
        parse_special: bool,
    }
}

/// Turn token ids into text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TokensDecode {
    /// The ids.
    pub token_ids: Vec<i64>,
    /// The model's name; None: the default model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whether control tokens are left out of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_special_tokens: Option<bool>,
}

impl TokensDecode {
    /// Params with what must be given.
    pub fn new(token_ids: impl Into<Vec<i64>>) -> Self {
        Self {
            token_ids: token_ids.into(),
            ..Self::default()
        }
    }
}

setters! {
    TokensDecode {
        /// The model's name; Left out: the default model.
        model: String,
        /// Whether control tokens are left out of the text.
        skip_special_tokens: bool,
    }
}

/// Count the tokens of a text, or of a conversation as chat.create would send it: give one of the two.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TokensCount {
    /// The model's name; None: the default model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<ChatMessage>>,
}

setters! {
    TokensCount {
        /// The model's name; Left out: the default model.
        model: String,
        /// A text.
        text: String,
        /// A conversation.
        messages: Vec<ChatMessage>,
    }
}
