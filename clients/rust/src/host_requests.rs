//! Requests that the engine makes of this program: run a tool, ask the user.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use crate::codec;
use crate::error::Error;
use crate::types::{ErrorBody, Limits};

/// Of an error that cannot be sent as it is.
const MESSAGE_CHARACTERS: usize = 1000;

/// Something the engine asks, by the type of its params.
pub trait HostRequest: DeserializeOwned + Send + 'static {
    /// Its name.
    const METHOD: &str;
    /// What answers it.
    type Answer: Serialize;
}

type Answer = Result<Vec<u8>, Box<ErrorBody>>;
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Answers one kind of request of the engine.
#[derive(Clone)]
pub(crate) struct Handler(Arc<dyn Fn(Bytes) -> Answering + Send + Sync>);

impl Handler {
    pub(crate) fn new<P, R, F, A>(function: F) -> Self
    where
        P: DeserializeOwned,
        R: Serialize,
        F: Fn(P) -> A + Send + Sync + 'static,
        A: Future<Output = Result<R, HandlerError>> + Send + 'static,
    {
        Self(Arc::new(move |params| {
            let answer = codec::read::<P>(&params).map(&function);
            Box::pin(async move {
                let result = match answer {
                    Ok(answer) => answer.await.map_err(|error| error.0)?,
                    Err(error) => return Err(body("invalid_params", error.to_string())),
                };
                codec::encode(&result, &Limits::default()).map_err(|error| {
                    body(
                        "internal",
                        format!("the handler returned what cannot be sent: {error}"),
                    )
                })
            })
        }))
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Handler")
    }
}

pub(crate) type Handlers = BTreeMap<String, Handler>;

/// What a handler answers instead of a result.
///
/// Any error becomes one by `?`: an [`Error`] keeps its code, others are `internal`.
///
/// ```
/// use llm_sidecar_client::HandlerError;
///
/// fn read_note(name: &str) -> Result<String, HandlerError> {
///     if name.contains('/') {
///         let error = HandlerError::new("permission_denied", "notes lie in one folder");
///         return Err(error.with_data("name", name));
///     }
///     Ok(std::fs::read_to_string(name)?)
/// }
///
/// let error = read_note("../secret").unwrap_err();
/// assert_eq!(error.message(), "notes lie in one folder");
/// ```
#[derive(Debug, Clone)]
pub struct HandlerError(Box<ErrorBody>);

impl HandlerError {
    /// An error with one of the protocol's codes, such as `permission_denied`.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self(body(code, message))
    }

    /// What went wrong, for whom it is told on.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Adds what the engine may want to read.
    #[must_use]
    pub fn with_data(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.data.insert(name.into(), value.into());
        self
    }
}

impl<E: std::error::Error + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        match (&error as &dyn Any).downcast_ref::<Error>() {
            Some(known) => {
                let mut told = body(known.code(), known.to_string());
                told.data = known.data().cloned().unwrap_or_default();
                Self(told)
            }
            None => Self(body("internal", error.to_string())),
        }
    }
}

fn body(code: &str, message: impl Into<String>) -> Box<ErrorBody> {
    Box::new(ErrorBody {
        code: code.into(),
        message: message.into(),
        retryable: false,
        data: Map::new(),
    })
}

/// An error as a message's body; one that cannot be sent as it is goes shortened and without its data.
pub(crate) fn encode_refusal(error: &ErrorBody) -> Result<Vec<u8>, Error> {
    let limits = Limits::default();
    codec::encode(error, &limits).or_else(|_| {
        let message: String = error.message.chars().take(MESSAGE_CHARACTERS).collect();
        codec::encode(&body(error.code.as_str(), message), &limits)
    })
}

/// Runs the handlers, one task per request. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct HostRequests {
    handlers: Handlers,
    tasks: JoinSet<Answer>,
    requests: HashMap<Id, u64>,
    running: HashMap<u64, AbortHandle>,
}

impl HostRequests {
    pub(crate) fn new(handlers: Handlers) -> Self {
        Self {
            handlers,
            tasks: JoinSet::new(),
            requests: HashMap::new(),
            running: HashMap::new(),
        }
    }

    /// Runs the handler of a request whose params were checked; without one it is refused.
    pub(crate) fn start(
        &mut self,
        id: u64,
        method: &str,
        params: Bytes,
    ) -> Result<(), Box<ErrorBody>> {
        let Some(handler) = self.handlers.get(method) else {
            return Err(body(
                "unsupported",
                format!("no handler for {method:?} here"),
            ));
        };
        let handler = handler.clone();
        // The handler's own code runs on the task, where its panic is caught.
        let task = self.tasks.spawn(async move { (handler.0)(params).await });
        self.requests.insert(task.id(), id);
        self.running.insert(id, task);
        Ok(())
    }

    /// The engine no longer wants the answer.
    pub(crate) fn cancel(&mut self, id: u64) {
        if let Some(task) = self.running.get(&id) {
            task.abort();
        }
    }

    /// The next answer; never while no handler runs.
    pub(crate) async fn answer(&mut self) -> (u64, Answer) {
        loop {
            let Some(joined) = self.tasks.join_next_with_id().await else {
                return std::future::pending().await;
            };
            let (task, answer) = match joined {
                Ok((task, answer)) => (task, answer),
                Err(error) => (error.id(), Err(ending(error))),
            };
            if let Some(id) = self.requests.remove(&task) {
                self.running.remove(&id);
                return (id, answer);
            }
        }
    }
}

fn ending(error: JoinError) -> Box<ErrorBody> {
    match error.try_into_panic() {
        Ok(panic) => {
            let said = panic
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
                .unwrap_or("for no stated reason");
            body("internal", format!("the handler panicked: {said}"))
        }
        Err(_) => body("cancelled", "the handler was cancelled"),
    }
}
