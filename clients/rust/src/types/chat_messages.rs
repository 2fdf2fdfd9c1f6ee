//! Messages of a chat, and the tools it may use, in OpenAI's form.

use serde::{Deserialize, Serialize};

use super::JsonObject;
use super::macros::{setters, tagged_union};

/// A piece of text content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextPart {
    /// The text.
    pub text: String,
}

/// Where a picture is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageUrl {
    /// An address, or the picture itself as a data: URL.
    pub url: String,
}

/// A picture; text models answer `unsupported`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImagePart {
    /// Where it is.
    pub image_url: ImageUrl,
}

tagged_union! {
    /// A part of a message.
    pub enum ContentPart by "type" {
        /// A piece of text content.
        Text(TextPart) = "text",
        /// A picture; text models answer `unsupported`.
        ImageUrl(ImagePart) = "image_url",
    }
}

/// Text, or parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MessageContent {
    /// Text.
    String(String),
    /// Parts.
    List(Vec<ContentPart>),
}

impl From<&str> for MessageContent {
    fn from(value: &str) -> Self {
        Self::String(value.into())
    }
}

impl From<String> for MessageContent {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<Vec<ContentPart>> for MessageContent {
    fn from(value: Vec<ContentPart>) -> Self {
        Self::List(value)
    }
}

/// Which function, and with what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatFunctionCall {
    /// The function's name.
    pub name: String,
    /// JSON as the model wrote it: it may be malformed, and may name parameters that do not exist.
    pub arguments: String,
}

/// A call the model wants made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "function")]
pub struct ChatToolCall {
    /// The call's id.
    pub id: String,
    /// Which function, and with what.
    pub function: ChatFunctionCall,
}

macro_rules! plain_message {
    ($(#[doc = $doc:literal])* $name:ident) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            /// Who says it, where several people do.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub name: Option<String>,
            /// What is said.
            pub content: MessageContent,
        }

        impl $name {
            /// A message with what must be given.
            pub fn new(content: impl Into<MessageContent>) -> Self {
                Self { name: None, content: content.into() }
            }
        }

        setters! {
            $name {
                /// Who says it, where several people do.
                name: String,
            }
        }
    };
}

plain_message! {
    /// How the model should behave.
    SystemMessage
}
plain_message! {
    /// The same as a system message, in OpenAI's newer word.
    DeveloperMessage
}
plain_message! {
    /// What a person said.
    UserMessage
}

/// What the model said or called earlier.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AssistantMessage {
    /// Who says it, where several do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// May be left out only where there are tool calls or a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<MessageContent>,
    /// An earlier refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Calls it wanted made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ChatToolCall>>,
    /// Its reasoning, for templates that want it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
}

setters! {
    AssistantMessage {
        /// Who says it, where several do.
        name: String,
        /// May be left out only where there are tool calls or a refusal.
        content: MessageContent,
        /// An earlier refusal.
        refusal: String,
        /// Calls it wanted made.
        tool_calls: Vec<ChatToolCall>,
        /// Its reasoning, for templates that want it back.
        reasoning_content: String,
    }
}

/// What a tool gave back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolMessage {
    /// The result, or its error.
    pub content: MessageContent,
    /// The call it answers.
    pub tool_call_id: String,
}

tagged_union! {
    /// One turn of a conversation.
    pub enum ChatMessage by "role" {
        /// How the model should behave.
        System(SystemMessage) = "system",
        /// The same as a system message, in OpenAI's newer word.
        Developer(DeveloperMessage) = "developer",
        /// What a person said.
        User(UserMessage) = "user",
        /// What the model said or called earlier.
        Assistant(AssistantMessage) = "assistant",
        /// What a tool gave back.
        Tool(ToolMessage) = "tool",
    }
}

/// A function the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatFunction {
    /// Letters, digits, underscore and dash, at most 64.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of its arguments; without one it takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<JsonObject>,
    /// Whether arguments are held to the schema while they are generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// A tool the model may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "function")]
pub struct ChatTool {
    /// The function.
    pub function: ChatFunction,
}
