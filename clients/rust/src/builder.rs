//! How an engine is opened: what is told before it starts.

use std::ffi::OsString;
use std::future::{Future, IntoFuture};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::engine::Engine;
use crate::error::Error;
use crate::from_engine::Notification;
use crate::handshake::Terms;
use crate::host_requests::{Handler, HandlerError, HostRequest};
use crate::liveness::Liveness;
use crate::notice::{Listeners, Notice};
use crate::process::Program;
use crate::restart::RestartPolicy;
use crate::supervisor::{Source, supervise};
use crate::tools::Tools;
use crate::transport::{Transport, default_transport};
use crate::types::{HostCallTool, JsonObject};

type Opening = Pin<Box<dyn Future<Output = Result<Engine, Error>> + Send>>;

/// An engine of one's own that is about to be started: awaiting it gives the [`Engine`].
///
/// A future that is dropped before it is done leaves no process behind.
///
/// ```no_run
/// # use std::time::Duration;
/// # use llm_sidecar_client::{Engine, Notice, RestartPolicy};
/// # async fn example() -> Result<(), llm_sidecar_client::Error> {
/// let engine = Engine::spawn("resources/sidecar/sidecar", "my-app")
///     .option("threads", 4)
///     .restart(RestartPolicy { max_restarts: 5, within: Duration::from_secs(60) })
///     .on_notice(|notice| if let Notice::GaveUp(lost) = notice { eprintln!("{}", lost.message) })
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "an engine is started by awaiting this"]
pub struct Spawn {
    program: Program,
    options: JsonObject,
    restart: RestartPolicy,
    terms: Terms,
}

impl Spawn {
    pub(crate) fn new(path: OsString, app_id: String) -> Self {
        Self {
            program: Program {
                path,
                arguments: Vec::new(),
                environment: None,
                on_log: None,
            },
            options: JsonObject::from_iter([("app_id".to_owned(), app_id.into())]),
            restart: RestartPolicy::default(),
            terms: terms(Duration::from_secs(30)),
        }
    }

    /// Adds arguments for the program.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.program
            .arguments
            .extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets an option of the protocol's spawn line, such as `model_dirs`, `threads` or `log_level`.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// Gives the process this environment in place of this program's own. Variables that change
    /// which code it loads are left out either way.
    pub fn environment<K: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let variables = variables.into_iter();
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        self.program.environment = Some(variables.collect());
        self
    }

    /// How often a crashed engine is started again (three times a minute). No request is ever sent twice.
    pub fn restart(mut self, policy: RestartPolicy) -> Self {
        self.restart = policy;
        self
    }

    /// Gets each line of the engine's stderr: JSON, one log record a line.
    pub fn on_log(mut self, sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.program.on_log = Some(Arc::new(sink));
        self
    }
}

impl IntoFuture for Spawn {
    type Output = Result<Engine, Error>;
    type IntoFuture = Opening;

    fn into_future(self) -> Opening {
        let source = Source::Program {
            program: self.program,
            options: self.options,
        };
        open(source, self.terms, self.restart)
    }
}

/// An engine that is about to be connected to: awaiting it gives the [`Engine`].
///
/// ```no_run
/// # use llm_sidecar_client::{Engine, Liveness};
/// # use std::time::Duration;
/// # async fn example() -> Result<(), llm_sidecar_client::Error> {
/// // The engine may stand still under a debugger.
/// let patient = Liveness { frozen: Duration::from_secs(3600), ..Liveness::default() };
/// let engine = Engine::connect().liveness(patient).await?;
/// println!("{} of {}", engine.welcome()?.version, engine.info().await?.app_id);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "an engine is connected to by awaiting this"]
pub struct Connect {
    connection_file: Option<PathBuf>,
    terms: Terms,
}

impl Connect {
    pub(crate) fn new(connection_file: Option<PathBuf>) -> Self {
        Self {
            connection_file,
            terms: terms(Duration::from_secs(10)),
        }
    }
}

impl IntoFuture for Connect {
    type Output = Result<Engine, Error>;
    type IntoFuture = Opening;

    fn into_future(self) -> Opening {
        let source = Source::ConnectionFile(self.connection_file);
        open(source, self.terms, RestartPolicy::NEVER)
    }
}

fn open(source: Source, terms: Terms, restart: RestartPolicy) -> Opening {
    Box::pin(async move {
        let (desk, wishes) = supervise(source, terms, restart).await?;
        Ok(Engine::new(desk, wishes))
    })
}

fn terms(handshake_timeout: Duration) -> Terms {
    Terms {
        transport: default_transport(),
        liveness: Liveness::default(),
        handshake_timeout,
        handlers: Default::default(),
        listeners: Listeners::default(),
    }
}

/// What engines of both origins are told.
macro_rules! common_settings {
    ($builder:ty) => {
        impl $builder {
            /// How long the process has to be ready, and again the connection.
            pub fn handshake_timeout(mut self, time: Duration) -> Self {
                self.terms.handshake_timeout = time;
                self
            }

            /// When to ping, and when to call the engine frozen.
            pub fn liveness(mut self, liveness: Liveness) -> Self {
                self.terms.liveness = liveness;
                self
            }

            /// Carries messages by another library, or by another one's own.
            pub fn transport(mut self, transport: impl Transport) -> Self {
                self.terms.transport = Box::new(transport);
                self
            }

            /// Gets what there is to know about the engine's health. Must not block.
            pub fn on_notice(mut self, listener: impl Fn(Notice) + Send + Sync + 'static) -> Self {
                self.terms.listeners.notice = Some(Arc::new(listener));
                self
            }

            /// Gets what the engine tells unasked, such as `models.changed`. Must not block.
            pub fn on_notification(
                mut self,
                listener: impl Fn(Notification) + Send + Sync + 'static,
            ) -> Self {
                self.terms.listeners.notification = Some(Arc::new(listener));
                self
            }

            /// Answers a kind of request of the engine, which is told by what the handler takes.
            ///
            /// Handlers run side by side; one that the engine cancels is dropped where it waits.
            ///
            /// ```no_run
            /// # use llm_sidecar_client::{Engine, types::{HostOpenUrl, UrlOpened}};
            /// # fn open(url: &str) -> bool { true }
            /// let spawn = Engine::spawn("resources/sidecar/sidecar", "my-app")
            ///     .on_request(|request: HostOpenUrl| async move {
            ///         Ok(UrlOpened::new(open(&request.url)))
            ///     });
            /// ```
            pub fn on_request<P, F, A>(self, handler: F) -> Self
            where
                P: HostRequest,
                F: Fn(P) -> A + Send + Sync + 'static,
                A: Future<Output = Result<P::Answer, HandlerError>> + Send + 'static,
            {
                self.on_any_request(P::METHOD, handler)
            }

            /// Answers a kind of request by its name, with types of one's own.
            pub fn on_any_request<P, R, F, A>(mut self, method: &str, handler: F) -> Self
            where
                P: DeserializeOwned,
                R: Serialize,
                F: Fn(P) -> A + Send + Sync + 'static,
                A: Future<Output = Result<R, HandlerError>> + Send + 'static,
            {
                let handler = Handler::new(handler);
                self.terms.handlers.insert(method.to_owned(), handler);
                self
            }

            /// Runs these tools when the engine asks for them.
            pub fn tools(self, tools: Tools) -> Self {
                self.on_request(move |call: HostCallTool| tools.call(call))
            }
        }
    };
}

common_settings!(Spawn);
common_settings!(Connect);
