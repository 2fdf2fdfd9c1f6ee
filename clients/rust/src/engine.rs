//! The engine, as a program sees it.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};

use crate::builder::{Connect, Spawn};
use crate::codec;
use crate::desk::Desk;
use crate::error::Error;
use crate::request::{Request, RequestTerms};
use crate::stream::EventStream;
use crate::supervisor::Wish;
use crate::types::{
    Done, EngineInfo, EngineInfoRequest, EngineLogs, EngineLogsEvent, EnginePing,
    EngineSetLogLevel, EngineShutdown, EngineStats, EngineStatsRequest, EngineWatch,
    EngineWatchEvent, Limits, LogLevel, Pong, Welcome,
};

const DEFAULT_CREDIT: u32 = 32;

/// A running engine. Clones share it; when the last one is dropped, an engine of one's own is killed.
///
/// ```no_run
/// # use llm_sidecar_client::{Engine, types::{ChatCreate, UserMessage}};
/// # async fn example() -> Result<(), llm_sidecar_client::Error> {
/// let engine = Engine::spawn("resources/sidecar/sidecar", "my-app").await?;
/// let question = ChatCreate::new([UserMessage::new("Hello")]).temperature(0.2);
/// let answer = engine.chat().create(&question).await?;
/// println!("{:?}", answer.choices[0].message.content);
/// engine.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Engine {
    desk: Desk,
    wishes: mpsc::UnboundedSender<Wish>,
    deadline: Option<Duration>,
    idempotency_key: Option<Arc<str>>,
    credit: u32,
}

impl Engine {
    /// Starts an engine of one's own; it ends with this program at the latest.
    ///
    /// `program` is the sidecar's path; `app_id` names the folder its data lie in, so that two
    /// vendors' apps never share any. Awaiting what comes back starts it.
    pub fn spawn(program: impl Into<OsString>, app_id: impl Into<String>) -> Spawn {
        Spawn::new(program.into(), app_id.into())
    }

    /// Attaches to an engine started with `sidecar --socket`: the newest that lives.
    ///
    /// Closing leaves it running. Awaiting what comes back connects.
    pub fn connect() -> Connect {
        Connect::new(None)
    }

    /// Attaches to the engine that left this connection file.
    pub fn connect_to(connection_file: impl AsRef<Path>) -> Connect {
        Connect::new(Some(connection_file.as_ref().to_owned()))
    }

    pub(crate) fn new(desk: Desk, wishes: mpsc::UnboundedSender<Wish>) -> Self {
        Self {
            desk,
            wishes,
            deadline: None,
            idempotency_key: None,
            credit: DEFAULT_CREDIT,
        }
    }

    /// The same engine, which ends each request of this handle after so long with
    /// [`Error::DeadlineExceeded`], and gives what there was by then.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use llm_sidecar_client::{Engine, Error, types::ChatCompletion, types::ChatCreate};
    /// # async fn example(engine: Engine, question: &ChatCreate) -> Result<ChatCompletion, Error> {
    /// let hurried = engine.with_deadline(Duration::from_secs(10));
    /// match hurried.chat().create(question).await {
    ///     Err(error @ Error::DeadlineExceeded(_)) => error.partial().ok_or(error),
    ///     answer => answer,
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self {
            deadline: Some(deadline),
            ..self.clone()
        }
    }

    /// The same engine, which on streams of this handle is at most so many events ahead of the
    /// reader: 32 unless told otherwise, at least 1, at most what the engine allows (256).
    #[must_use]
    pub fn with_credit(&self, events: u32) -> Self {
        Self {
            credit: events,
            ..self.clone()
        }
    }

    /// The same engine, which takes requests of this handle that bear the same key and the same
    /// params for one: it attaches a second to the first while that runs, and answers it with the
    /// first one's result afterwards. So a request whose answer was lost may be made again.
    ///
    /// Use a key for one piece of work. Its scope is the app and the method; other params under
    /// the same key are [`Error::Conflict`], methods that take no key say [`Error::InvalidParams`].
    ///
    /// ```no_run
    /// # use llm_sidecar_client::{Engine, Error};
    /// # async fn example(engine: Engine, order: &str) -> Result<(), Error> {
    /// use serde_json::{Value, json};
    /// let once = engine.with_idempotency_key(format!("welcome-{order}"));
    /// let conversation: Value = once.call("conversations.create", &json!({})).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_idempotency_key(&self, key: impl Into<Arc<str>>) -> Self {
        Self {
            idempotency_key: Some(key.into()),
            ..self.clone()
        }
    }

    /// What the engine said about itself: version, limits, methods.
    pub fn welcome(&self) -> Result<Arc<Welcome>, Error> {
        Ok(self.desk.present()?.0)
    }

    /// Process id of an engine of one's own.
    pub fn pid(&self) -> Result<Option<u32>, Error> {
        Ok(self.desk.present()?.1)
    }

    /// Version, process, folders and what can run models here.
    pub async fn info(&self) -> Result<EngineInfo, Error> {
        self.call("engine.info", &EngineInfoRequest {}).await
    }

    /// Memory, requests and tokens, for the process and each model.
    pub async fn stats(&self) -> Result<EngineStats, Error> {
        self.call("engine.stats", &EngineStatsRequest {}).await
    }

    /// Whether the engine is alive and what it is doing.
    pub async fn ping(&self) -> Result<Pong, Error> {
        self.call("engine.ping", &EnginePing {}).await
    }

    /// Logs more or less from now on.
    pub async fn set_log_level(&self, level: LogLevel) -> Result<Done, Error> {
        let params = EngineSetLogLevel::new(level);
        self.call("engine.set_log_level", &params).await
    }

    /// Log records from now on, until the stream is dropped.
    pub fn logs(&self, level: LogLevel) -> EventStream<EngineLogsEvent, Done> {
        self.stream("engine.logs", &EngineLogs::default().level(level))
    }

    /// Every message that crosses the transport, until the stream is dropped; debug connections only.
    pub fn watch(&self) -> EventStream<EngineWatchEvent, Done> {
        self.stream("engine.watch", &EngineWatch {})
    }

    /// Ends the process in order, also one that was connected to; running requests get `grace`.
    pub async fn shutdown(&self, grace: Duration) -> Result<Done, Error> {
        // It may be over already.
        let _ = self.wishes.send(Wish::StopRestarting);
        let params = EngineShutdown::default().grace_ms(milliseconds(grace));
        self.call("engine.shutdown", &params).await
    }

    /// Ends an engine of one's own, or leaves one that was connected to.
    ///
    /// Running requests are cancelled; the process is asked, then terminated, then killed, with
    /// all of its group.
    pub async fn close(&self) {
        self.close_after(Duration::ZERO).await;
    }

    /// The same; running requests get `grace` to finish.
    pub async fn close_after(&self, grace: Duration) {
        self.wish(|done| Wish::Close(grace, done)).await;
    }

    /// Ends an engine of one's own at once: its process group is killed.
    pub async fn abort(&self) {
        self.wish(Wish::Abort).await;
    }

    /// Calls any method.
    ///
    /// ```no_run
    /// # async fn example(engine: llm_sidecar_client::Engine) -> Result<(), llm_sidecar_client::Error> {
    /// use serde_json::{Value, json};
    /// let encoded: Value = engine.call("tokens.encode", &json!({"text": "Hello"})).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call<P, R>(&self, method: &str, params: &P) -> Result<R, Error>
    where
        P: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let mut request = self.submit(method, params, None)?;
        codec::read(&request.result().await?)
    }

    /// Opens any stream.
    pub fn stream<P, E, R>(&self, method: &str, params: &P) -> EventStream<E, R>
    where
        P: Serialize + ?Sized,
        E: DeserializeOwned,
        R: DeserializeOwned,
    {
        #[derive(Serialize)]
        struct Streaming<'a, P: ?Sized> {
            #[serde(flatten)]
            params: &'a P,
            stream: bool,
        }
        let params = Streaming {
            params,
            stream: true,
        };
        EventStream::new(self.submit(method, &params, Some(self.credit)))
    }

    fn submit<P: Serialize + ?Sized>(
        &self,
        method: &str,
        params: &P,
        credit: Option<u32>,
    ) -> Result<Request, Error> {
        if credit == Some(0) {
            return Err(Error::invalid_params(
                "credit is 0; a stream needs at least 1, or nothing would ever come",
                "credit",
            ));
        }
        let body = codec::encode(params, &Limits::default())?;
        let method = Cow::Owned(method.to_owned());
        let terms = RequestTerms {
            credit,
            deadline: self.deadline,
            idempotency_key: self.idempotency_key.clone(),
        };
        let (request, order) = Request::new(method, body, terms);
        self.desk.submit(order);
        Ok(request)
    }

    async fn wish(&self, wish: impl FnOnce(oneshot::Sender<()>) -> Wish) {
        let (done, fulfilled) = oneshot::channel();
        if self.wishes.send(wish(done)).is_ok() {
            // Dropped by the supervisor, with all else, at the end.
            let _ = fulfilled.await;
        }
    }
}

/// A time as the protocol has it.
pub(crate) fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
