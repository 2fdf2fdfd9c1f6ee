//! Types that several namespaces share.

use serde::{Deserialize, Serialize};

use super::macros::open_enum;

open_enum! {
    /// Whose turn it is when the engine has more to do than it can: interactive work pauses background work.
    pub enum Priority {
        /// Before all else.
        Interactive = "interactive",
        /// The default.
        Normal = "normal",
        /// When nothing else is to be done.
        Background = "background",
    }
}

open_enum! {
    /// Why a generation ended.
    pub enum FinishReasonName {
        /// The model ended it.
        Stop = "stop",
        /// A stop string or token came.
        StopSequence = "stop_sequence",
        /// It reached its limit of tokens.
        Length = "length",
        /// It was cancelled.
        Cancelled = "cancelled",
        /// It failed.
        Error = "error",
    }
}

open_enum! {
    /// What of loading a model is being done.
    pub enum LoadStage {
        /// Finding it.
        Resolve = "resolve",
        /// Converting it, the first time on this computer.
        Convert = "convert",
        /// Reading it.
        Load = "load",
        /// Making room for its cache.
        Allocate = "allocate",
    }
}

/// One stop string, or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StopStrings {
    /// One.
    String(String),
    /// Several.
    List(Vec<String>),
}

impl From<&str> for StopStrings {
    fn from(value: &str) -> Self {
        Self::String(value.into())
    }
}

impl From<String> for StopStrings {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<Vec<String>> for StopStrings {
    fn from(value: Vec<String>) -> Self {
        Self::List(value)
    }
}

/// No params.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Empty {}

/// Nothing to give back but that it is done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Done {}

/// Tokens counted, as OpenAI names them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: i64,
    /// Tokens of the answer.
    pub completion_tokens: i64,
    /// Both.
    pub total_tokens: i64,
    /// More about the prompt's.
    pub prompt_tokens_details: PromptTokensDetails,
    /// More about the answer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens_details: Option<CompletionTokensDetails>,
}

/// Of the prompt's tokens, those that came from the prefix cache.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PromptTokensDetails {
    /// Tokens that were not computed again.
    pub cached_tokens: i64,
}

/// Of the answer's tokens, those that were reasoning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CompletionTokensDetails {
    /// Tokens of reasoning.
    pub reasoning_tokens: i64,
}

/// Milliseconds spent waiting, on the prompt, and generating after the first token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Timings {
    /// Waiting.
    pub queued_ms: f64,
    /// On the prompt.
    pub prefill_ms: f64,
    /// Generating.
    pub decode_ms: f64,
}

/// The request waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QueuedEvent {
    /// Requests that are before it.
    pub position: i64,
}

/// The model is being loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoadingEvent {
    /// Its name.
    pub model: String,
    /// What is being done.
    pub stage: LoadStage,
    /// How much of the stage is done, from 0 to 1.
    pub fraction: f64,
}

/// Prompt tokens computed so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PrefillEvent {
    /// Tokens computed.
    pub done: i64,
    /// Tokens in all.
    pub total: i64,
}

/// The prompt did not fit; this was left out of it before the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OverflowEvent {
    /// Messages left out.
    #[serde(default)]
    pub dropped_messages: i64,
    /// Tokens left out.
    #[serde(default)]
    pub dropped_tokens: i64,
}
