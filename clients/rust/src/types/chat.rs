//! chat.*: OpenAI chat completions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::macros::{open_enum, setters, tagged_union};
use super::{
    ChatMessage, ChatTool, ChatToolCall, JsonObject, LoadingEvent, OverflowEvent, PrefillEvent,
    Priority, QueuedEvent, StopStrings, Timings, Usage,
};

open_enum! {
    /// Why a choice ended.
    pub enum ChatFinishReason {
        /// The model ended it, or a stop string did.
        Stop = "stop",
        /// It reached its limit of tokens.
        Length = "length",
        /// It calls tools.
        ToolCalls = "tool_calls",
    }
}

open_enum! {
    /// What to do with a conversation that does not fit.
    pub enum ChatOverflow {
        /// Drop whole turns, oldest first, never a system message.
        DropTurns = "drop_turns",
        /// Fail.
        Error = "error",
    }
}

/// What a stream holds besides text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamOptions {
    /// A last chunk without choices that carries `usage`.
    pub include_usage: bool,
}

/// One token and the natural logarithm of its probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatLogprob {
    /// The token's text.
    pub token: String,
    /// The logarithm.
    pub logprob: f64,
    /// The token's bytes.
    pub bytes: Vec<i64>,
}

/// A chosen token, and the likeliest ones at its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatTokenLogprobs {
    /// The token's text.
    pub token: String,
    /// The logarithm.
    pub logprob: f64,
    /// The token's bytes.
    pub bytes: Vec<i64>,
    /// The likeliest tokens at its place.
    pub top_logprobs: Vec<ChatLogprob>,
}

/// Log probabilities of a choice's tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatLogprobs {
    /// One entry for each token.
    pub content: Vec<ChatTokenLogprobs>,
}

/// The model's message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AssistantReply {
    /// Always `assistant`.
    pub role: String,
    /// None where it only calls tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Why the model refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Its reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Calls it wants made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ChatToolCall>>,
}

/// One finished choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatChoice {
    /// Its number.
    pub index: i64,
    /// The model's message.
    pub message: AssistantReply,
    /// None in the partial output of a request that was ended from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<ChatFinishReason>,
    /// Where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<ChatLogprobs>,
}

/// What an overflow policy left out of the prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Overflow {
    /// Messages left out.
    pub dropped_messages: i64,
    /// Tokens left out.
    pub dropped_tokens: i64,
}

/// A whole chat completion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatCompletion {
    /// Its id.
    pub id: String,
    /// Always `chat.completion`.
    pub object: String,
    /// Seconds since the epoch.
    pub created: i64,
    /// The model's name.
    pub model: String,
    /// The choices.
    pub choices: Vec<ChatChoice>,
    /// Tokens counted.
    pub usage: Usage,
    /// Time spent.
    pub timings: Timings,
    /// What was left out of the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overflow: Option<Overflow>,
}

/// What a chunk adds to a call; `name` is in the first one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatFunctionCallDelta {
    /// The function's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// More of the arguments' JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
}

/// What a chunk adds to the call at `index`; `id` and `type` are in the first one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatToolCallDelta {
    /// Which call.
    pub index: i64,
    /// The call's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Always `function`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// What is added to the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<ChatFunctionCallDelta>,
}

/// What a chunk adds to a message; `role` is in the first one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatDelta {
    /// Always `assistant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// More text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// More of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// More reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// More of calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ChatToolCallDelta>>,
}

/// What a chunk adds to a choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChunkChoice {
    /// The choice's number.
    pub index: i64,
    /// What is added to its message.
    pub delta: ChatDelta,
    /// In the choice's last chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<ChatFinishReason>,
    /// Where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<ChatLogprobs>,
}

/// A piece of a chat completion; one choice, or none and `usage`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatCompletionChunk {
    /// The completion's id.
    pub id: String,
    /// Always `chat.completion.chunk`.
    pub object: String,
    /// Seconds since the epoch.
    pub created: i64,
    /// The model's name.
    pub model: String,
    /// What is added.
    pub choices: Vec<ChunkChoice>,
    /// In the last chunk, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// Text, as OpenAI's chunk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatChunkEvent {
    /// The chunk.
    pub chunk: ChatCompletionChunk,
}

tagged_union! {
    /// What a chat completion tells on its way.
    pub enum ChatEvent by "type" {
        /// The request waits.
        Queued(QueuedEvent) = "queued",
        /// The model is being loaded.
        Loading(LoadingEvent) = "loading",
        /// Prompt tokens computed so far.
        Prefill(PrefillEvent) = "prefill",
        /// The prompt did not fit; this was left out of it before the start.
        Overflow(OverflowEvent) = "overflow",
        /// Text, as OpenAI's chunk.
        Chunk(ChatChunkEvent) = "chunk",
    }
}

/// Answer a conversation. The result is the whole completion, also after a stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatCreate {
    /// The conversation.
    pub messages: Vec<ChatMessage>,
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
    /// OpenAI's newer name for max_tokens; only one of the two may be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<i64>,
    /// Whether to tell how likely the tokens were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    /// How many of the likeliest tokens to tell for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<i64>,
    /// What a stream holds besides text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// Extra variables for the model's chat template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template_kwargs: Option<JsonObject>,
    /// When the conversation does not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overflow: Option<ChatOverflow>,
    /// Tools it may use; `unsupported` unless the engine has `tools`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<ChatTool>>,
}

impl ChatCreate {
    /// Params with what must be given.
    pub fn new(messages: impl IntoIterator<Item = impl Into<ChatMessage>>) -> Self {
        Self {
            messages: messages.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

setters! {
    ChatCreate {
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
        /// OpenAI's newer name for max_tokens; only one of the two may be given.
        max_completion_tokens: i64,
        /// Whether to tell how likely the tokens were.
        logprobs: bool,
        /// How many of the likeliest tokens to tell for each.
        top_logprobs: i64,
        /// What a stream holds besides text.
        stream_options: StreamOptions,
        /// Extra variables for the model's chat template.
        chat_template_kwargs: JsonObject,
        /// When the conversation does not fit.
        overflow: ChatOverflow,
        /// Tools it may use; `unsupported` unless the engine has `tools`.
        tools: Vec<ChatTool>,
    }
}
