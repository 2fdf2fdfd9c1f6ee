//! generate.*: raw prompts, without a chat template.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::macros::{open_enum, setters, tagged_union};
use super::{
    FinishReasonName, LoadingEvent, OverflowEvent, PrefillEvent, Priority, QueuedEvent,
    StopStrings, Timings, Usage,
};

open_enum! {
    /// What to do with a prompt that does not fit.
    pub enum GenerateOverflow {
        /// Fail.
        Error = "error",
        /// Leave out its middle.
        TruncateMiddle = "truncate_middle",
        /// Generate until the context is full.
        StopAtLimit = "stop_at_limit",
    }
}

/// A prompt as text or as token ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Prompt {
    /// Text.
    String(String),
    /// Token ids.
    List(Vec<i64>),
}

impl Default for Prompt {
    fn default() -> Self {
        Self::String(String::new())
    }
}

impl From<&str> for Prompt {
    fn from(value: &str) -> Self {
        Self::String(value.into())
    }
}

impl From<String> for Prompt {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<Vec<i64>> for Prompt {
    fn from(value: Vec<i64>) -> Self {
        Self::List(value)
    }
}

/// The stop string or token id that ended a generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MatchedStop {
    /// A stop string.
    String(String),
    /// A token id.
    Integer(i64),
}

/// One token and the natural logarithm of its probability under the raw logits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokenLogprobItem {
    /// The token.
    pub token_id: i64,
    /// The logarithm.
    pub logprob: f64,
}

/// A chosen token, and the likeliest ones at its place in falling order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokenLogprobs {
    /// The chosen one.
    pub chosen: TokenLogprobItem,
    /// The likeliest ones.
    pub top: Vec<TokenLogprobItem>,
}

/// One finished choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GenerateChoice {
    /// Its number.
    pub index: i64,
    /// Its text.
    pub text: String,
    /// Its tokens.
    pub token_ids: Vec<i64>,
    /// Why it ended.
    pub finish_reason: FinishReasonName,
    /// The stop string or token id that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched_stop: Option<MatchedStop>,
    /// Where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprobs>>,
}

/// A finished generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Generation {
    /// The model's name.
    pub model: String,
    /// The choices.
    pub choices: Vec<GenerateChoice>,
    /// Tokens counted.
    pub usage: Usage,
    /// Time spent.
    pub timings: Timings,
    /// Prompt tokens that overflow "truncate_middle" left out.
    pub dropped_tokens: i64,
}

/// What was added to one choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GenerateChunkEvent {
    /// The choice's number.
    pub choice: i64,
    /// More text.
    pub text: String,
    /// More tokens.
    pub token_ids: Vec<i64>,
    /// Where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprobs>>,
    /// In the choice's last chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<FinishReasonName>,
    /// The stop string or token id that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched_stop: Option<MatchedStop>,
}

tagged_union! {
    /// What a generation tells on its way.
    pub enum GenerateEvent by "type" {
        /// The request waits.
        Queued(QueuedEvent) = "queued",
        /// The model is being loaded.
        Loading(LoadingEvent) = "loading",
        /// Prompt tokens computed so far.
        Prefill(PrefillEvent) = "prefill",
        /// The prompt did not fit; this was left out of it before the start.
        Overflow(OverflowEvent) = "overflow",
        /// What was added to one choice.
        Chunk(GenerateChunkEvent) = "chunk",
    }
}

/// Continue a prompt, given as text or as token ids.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GenerateCreate {
    /// The prompt.
    pub prompt: Prompt,
    /// The model's name; None: the default model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// 0 is greedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Only this many of the likeliest tokens; 0: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<i64>,
    /// Only the likeliest tokens that together have this probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Only tokens at least this likely relative to the likeliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f64>,
    /// Only tokens of typical surprise, up to this probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typical_p: Option<f64>,
    /// Above 1: tokens that occurred become less likely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f64>,
    /// Taken from a token's logit for each time it occurred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// Taken from a token's logit once it occurred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// Tokens the penalties look back on; -1: all, 0: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_last_n: Option<i64>,
    /// Token id, as a string, to a number from -100 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logit_bias: Option<BTreeMap<String, f64>>,
    /// The same seed gives the same tokens whatever else runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Choices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<i64>,
    /// No end before so many tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_tokens: Option<i64>,
    /// Strings that end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopStrings>,
    /// Tokens that end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_token_ids: Option<Vec<i64>>,
    /// Whether to go on after the model's own end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_eos: Option<bool>,
    /// Whether control tokens are left out of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_special_tokens: Option<bool>,
    /// Whose turn it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// None: up to the end of the context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<i64>,
    /// Whether to tell how likely the tokens were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    /// How many of the likeliest tokens to tell for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<i64>,
    /// Whether control tokens written in a text prompt count as such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parse_special: Option<bool>,
    /// When the prompt does not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overflow: Option<GenerateOverflow>,
}

impl GenerateCreate {
    /// Params with what must be given.
    pub fn new(prompt: impl Into<Prompt>) -> Self {
        Self {
            prompt: prompt.into(),
            ..Self::default()
        }
    }
}

setters! {
    GenerateCreate {
        /// The model's name; left out: the default model.
        model: String,
        /// 0 is greedy.
        temperature: f64,
        /// Only this many of the likeliest tokens; 0: all.
        top_k: i64,
        /// Only the likeliest tokens that together have this probability.
        top_p: f64,
        /// Only tokens at least this likely relative to the likeliest.
        min_p: f64,
        /// Only tokens of typical surprise, up to this probability.
        typical_p: f64,
        /// Above 1: tokens that occurred become less likely.
        repetition_penalty: f64,
        /// Taken from a token's logit for each time it occurred.
        frequency_penalty: f64,
        /// Taken from a token's logit once it occurred.
        presence_penalty: f64,
        /// Tokens the penalties look back on; -1: all, 0: none.
        repeat_last_n: i64,
        /// Token id, as a string, to a number from -100 to 100.
        logit_bias: BTreeMap<String, f64>,
        /// The same seed gives the same tokens whatever else runs.
        seed: i64,
        /// Choices.
        n: i64,
        /// No end before so many tokens.
        min_tokens: i64,
        /// Strings that end it.
        stop: StopStrings,
        /// Tokens that end it.
        stop_token_ids: Vec<i64>,
        /// Whether to go on after the model's own end.
        ignore_eos: bool,
        /// Whether control tokens are left out of the text.
        skip_special_tokens: bool,
        /// Whose turn it is.
        priority: Priority,
        /// Left out: up to the end of the context.
        max_tokens: i64,
        /// Whether to tell how likely the tokens were.
        logprobs: bool,
        /// How many of the likeliest tokens to tell for each.
        top_logprobs: i64,
        /// Whether control tokens written in a text prompt count as such.
        parse_special: bool,
        /// When the prompt does not fit.
        overflow: GenerateOverflow,
    }
}
