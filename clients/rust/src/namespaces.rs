//! The engine's methods by namespace. Each is one call.

use crate::engine::Engine;
use crate::error::Error;
use crate::stream::{ChatStream, EventStream, GenerateStream};
use crate::types::{
    ChatCompletion, ChatCreate, Done, Empty, GenerateCreate, Generation, ModelList, ModelStatus,
    ModelStatusList, ModelsLoad, ModelsLoadEvent, ModelsUnload, TokensCount, TokensCounted,
    TokensDecode, TokensDecoded, TokensEncode, TokensEncoded,
};

/// chat.*: OpenAI chat completions.
#[derive(Debug, Clone, Copy)]
pub struct Chat<'a>(pub(crate) &'a Engine);

impl Chat<'_> {
    /// Answers a conversation.
    pub async fn create(self, params: &ChatCreate) -> Result<ChatCompletion, Error> {
        self.0.call("chat.create", params).await
    }

    /// Answers a conversation piece by piece.
    ///
    /// ```no_run
    /// # use llm_sidecar_client::{Engine, types::{ChatCreate, UserMessage}};
    /// # async fn example(engine: Engine) -> Result<(), llm_sidecar_client::Error> {
    /// let question = ChatCreate::new([UserMessage::new("Hello")]);
    /// let mut stream = engine.chat().stream(&question);
    /// while let Some(text) = stream.next_text().await {
    ///     print!("{}", text?);
    /// }
    /// println!("\n{:?}", stream.result().await?.usage);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream(self, params: &ChatCreate) -> ChatStream {
        self.0.stream("chat.create", params)
    }
}

/// generate.*: raw prompts, without a chat template.
#[derive(Debug, Clone, Copy)]
pub struct Generate<'a>(pub(crate) &'a Engine);

impl Generate<'_> {
    /// Continues a prompt, given as text or as token ids.
    pub async fn create(self, params: &GenerateCreate) -> Result<Generation, Error> {
        self.0.call("generate.create", params).await
    }

    /// Continues a prompt piece by piece.
    pub fn stream(self, params: &GenerateCreate) -> GenerateStream {
        self.0.stream("generate.create", params)
    }
}

/// tokens.*: text to token ids and back.
#[derive(Debug, Clone, Copy)]
pub struct Tokens<'a>(pub(crate) &'a Engine);

impl Tokens<'_> {
    /// Turns text into token ids.
    pub async fn encode(self, params: &TokensEncode) -> Result<TokensEncoded, Error> {
        self.0.call("tokens.encode", params).await
    }

    /// Turns token ids into text.
    pub async fn decode(self, params: &TokensDecode) -> Result<TokensDecoded, Error> {
        self.0.call("tokens.decode", params).await
    }

    /// Counts the tokens of a text, or of a conversation as chat.create would send it.
    pub async fn count(self, params: &TokensCount) -> Result<TokensCounted, Error> {
        self.0.call("tokens.count", params).await
    }
}

/// models.*: the models on this computer and in memory.
#[derive(Debug, Clone, Copy)]
pub struct Models<'a>(pub(crate) &'a Engine);

impl Models<'_> {
    /// Models found in the host's folders, models.toml and installed packages.
    pub async fn list(self) -> Result<ModelList, Error> {
        self.0.call("models.list", &Empty {}).await
    }

    /// Brings a model into memory; converts it first when that was never done on this computer.
    pub async fn load(self, model: &str) -> Result<ModelStatus, Error> {
        self.0.call("models.load", &ModelsLoad::new(model)).await
    }

    /// The same with progress.
    pub fn load_stream(self, model: &str) -> EventStream<ModelsLoadEvent, ModelStatus> {
        self.0.stream("models.load", &ModelsLoad::new(model))
    }

    /// Takes a model out of memory; its running requests end as cancelled.
    pub async fn unload(self, model: &str) -> Result<Done, Error> {
        self.0
            .call("models.unload", &ModelsUnload::new(model))
            .await
    }

    /// State of every model this process has loaded or tried to.
    pub async fn status(self) -> Result<ModelStatusList, Error> {
        self.0.call("models.status", &Empty {}).await
    }
}
