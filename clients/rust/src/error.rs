//! What can go wrong: one enum, one arm for each code of the protocol.

use std::fmt;
use std::process::ExitStatus;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::types::ErrorBody;

/// What the engine, or this side, says about an error.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Details {
    /// What was wrong, where, and what would be accepted.
    pub message: String,
    /// Whether the same request may succeed later without being changed.
    pub retryable: bool,
    /// What a program may want to read.
    pub data: Map<String, Value>,
}

impl fmt::Display for Details {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

/// No engine came up, or none could be attached to.
#[derive(Debug, Clone)]
pub struct StartFailed {
    /// The engine's own code when it said why, else `start_failed`.
    pub code: String,
    /// Why.
    pub message: String,
    /// What the engine added to its refusal.
    pub data: Box<Map<String, Value>>,
    /// How the process ended, if it did.
    pub exit_status: Option<ExitStatus>,
    /// The last lines it wrote to stderr.
    pub stderr_tail: Vec<String>,
}

/// The engine's process or its connection is gone. Nothing is ever sent again by itself.
#[derive(Debug, Clone)]
pub struct EngineLost {
    /// How it ended.
    pub message: String,
    /// The process's exit status; `None` when it is not ours or unknown.
    pub exit_status: Option<ExitStatus>,
    /// The last lines it wrote to stderr.
    pub stderr_tail: Vec<String>,
    /// False only when the request never left this process.
    pub may_have_executed: bool,
}

macro_rules! errors {
    ($($(#[doc = $doc:literal])* $arm:ident = $code:literal,)*) => {
        /// An error of the engine, or of its absence.
        ///
        /// The arms bear the names of the protocol's codes, and [`Error::code`] gives the code itself.
        #[derive(Debug, Clone, thiserror::Error)]
        #[non_exhaustive]
        pub enum Error {
            $(
                $(#[doc = $doc])*
                #[error("{0}")]
                $arm(Box<Details>),
            )*
            /// A code that this version does not know.
            #[error("{details}")]
            Other {
                /// The code.
                code: String,
                /// What goes with it.
                details: Box<Details>,
            },
            /// No engine came up, or none could be attached to.
            #[error("{}", .0.message)]
            StartFailed(Box<StartFailed>),
            /// The engine was there and is gone.
            #[error("{}", .0.message)]
            EngineLost(Box<EngineLost>),
        }

        impl Error {
            /// The protocol's code; `start_failed` or `engine_lost` for errors of the engine's absence.
            pub fn code(&self) -> &str {
                match self {
                    $(Self::$arm(_) => $code,)*
                    Self::Other { code, .. } => code,
                    Self::StartFailed(failed) => &failed.code,
                    Self::EngineLost(_) => "engine_lost",
                }
            }

            fn details(&self) -> Option<&Details> {
                match self {
                    $(Self::$arm(details) => Some(details),)*
                    Self::Other { details, .. } => Some(details),
                    Self::StartFailed(_) | Self::EngineLost(_) => None,
                }
            }
        }

        impl From<ErrorBody> for Error {
            fn from(body: ErrorBody) -> Self {
                let details = Box::new(Details { message: body.message, retryable: body.retryable, data: body.data });
                match body.code.as_str() {
                    $($code => Self::$arm(details),)*
                    _ => Self::Other { code: body.code.to_string(), details },
                }
            }
        }
    };
}

errors! {
    /// A message that breaks the protocol.
    InvalidMessage = "invalid_message",
    /// A message above a size limit; `data["size"]` and `data["limit"]` are bytes.
    TooLarge = "too_large",
    /// No protocol version is common to both sides.
    UnsupportedProtocol = "unsupported_protocol",
    /// There is no such method; `data["nearest"]` may name the one that was meant.
    MethodNotFound = "method_not_found",
    /// A parameter is unknown, missing or out of range; `data["parameter"]` names it.
    InvalidParams = "invalid_params",
    /// This connection may not do that.
    Unauthorized = "unauthorized",
    /// Known, but not allowed.
    PermissionDenied = "permission_denied",
    /// A named thing, such as a model, does not exist.
    NotFound = "not_found",
    /// The request contradicts the present state.
    Conflict = "conflict",
    /// A bounded queue is full; `data["retry_after_ms"]` is the advised wait.
    Busy = "busy",
    /// The request's time ran out; [`Error::partial`] is what there was by then.
    DeadlineExceeded = "deadline_exceeded",
    /// The request was cancelled; [`Error::partial`] is what there was by then.
    Cancelled = "cancelled",
    /// The model is not in memory.
    ModelNotLoaded = "model_not_loaded",
    /// The model could not be brought into memory.
    ModelLoadFailed = "model_load_failed",
    /// The prompt does not fit the model's context.
    ContextOverflow = "context_overflow",
    /// Not enough memory.
    OutOfMemory = "out_of_memory",
    /// Known, but not built or not installed in this engine; the message names what is missing.
    Unsupported = "unsupported",
    /// The reader of a stream fell too far behind.
    SlowConsumer = "slow_consumer",
    /// A third party wants the user to sign in.
    NeedsAuth = "needs_auth",
    /// A third party failed.
    UpstreamFailed = "upstream_failed",
    /// The engine is ending and takes no new work.
    ShuttingDown = "shutting_down",
    /// A bug in the engine; its log has the details.
    Internal = "internal",
}

impl Error {
    /// Whether the same request may succeed later without being changed.
    pub fn is_retryable(&self) -> bool {
        self.details().is_some_and(|details| details.retryable)
    }

    /// What goes with the error, such as `retry_after_ms`.
    pub fn data(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::StartFailed(failed) => Some(&failed.data),
            _ => self.details().map(|details| &details.data),
        }
    }

    /// Of a cancelled or timed out request: what there was by then, as the method's result.
    ///
    /// ```
    /// # use llm_sidecar_client::{Error, types::ChatCompletion};
    /// # fn show(error: Error) {
    /// if let Some(completion) = error.partial::<ChatCompletion>() {
    ///     println!("so far: {:?}", completion.choices[0].message.content);
    /// }
    /// # }
    /// ```
    pub fn partial<T: DeserializeOwned>(&self) -> Option<T> {
        let partial = self.details()?.data.get("partial")?;
        T::deserialize(partial).ok()
    }

    pub(crate) fn invalid_message(message: impl Into<String>) -> Self {
        Self::InvalidMessage(Box::new(Details {
            message: message.into(),
            ..Details::default()
        }))
    }

    /// `figures` are what a program may want to read, such as `size` and `limit` in bytes.
    pub(crate) fn too_large<const N: usize>(
        message: impl Into<String>,
        figures: [(&str, u64); N],
    ) -> Self {
        let figures = figures.into_iter();
        Self::TooLarge(Box::new(Details {
            message: message.into(),
            data: figures
                .map(|(name, figure)| (name.to_owned(), figure.into()))
                .collect(),
            ..Details::default()
        }))
    }

    pub(crate) fn invalid_params(message: impl Into<String>, parameter: &str) -> Self {
        Self::InvalidParams(Box::new(Details {
            message: message.into(),
            data: Map::from_iter([("parameter".to_owned(), parameter.into())]),
            ..Details::default()
        }))
    }
}

impl StartFailed {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            code: "start_failed".into(),
            message: message.into(),
            data: Box::default(),
            exit_status: None,
            stderr_tail: Vec::new(),
        }
    }
}

impl EngineLost {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            exit_status: None,
            stderr_tail: Vec::new(),
            may_have_executed: false,
        }
    }

    /// The same loss, as one request saw it.
    pub(crate) fn for_request(&self, sent: bool) -> Error {
        let mut lost = self.clone();
        lost.may_have_executed = sent;
        lost.into()
    }
}

impl From<StartFailed> for Error {
    fn from(failed: StartFailed) -> Self {
        Self::StartFailed(Box::new(failed))
    }
}

impl From<EngineLost> for Error {
    fn from(lost: EngineLost) -> Self {
        Self::EngineLost(Box::new(lost))
    }
}
