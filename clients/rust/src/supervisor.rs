//! Keeps an engine running, one life after another as the restart policy allows. Sends nothing twice.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinError;
use tokio::time::timeout;

use crate::codec;
use crate::connection::{Command, Commands, Connection, Ended};
use crate::desk::Desk;
use crate::discovery::find_door;
use crate::engine::milliseconds;
use crate::error::{EngineLost, StartFailed};
use crate::handshake::Terms;
use crate::notice::Notice;
use crate::process::{Process, Program};
use crate::request::{Request, RequestTerms, Unsent};
use crate::restart::{RestartBudget, RestartPolicy};
use crate::spawn;
use crate::types::{EngineShutdown, JsonObject, Limits};

// Together below the second within which a loss must be reported.
const EXIT_AFTER_DISCONNECT: Duration = Duration::from_millis(400);
const LAST_WORDS: Duration = Duration::from_millis(500);
const EXIT_AFTER_BYE: Duration = Duration::from_secs(5);
const EXIT_AFTER_SHUTDOWN: Duration = Duration::from_secs(2);
const EXIT_AFTER_TERMINATE: Duration = Duration::from_secs(1);

const CLOSED: &str = "the engine was closed by this program";

/// Where an engine comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A process of one's own.
    Program {
        program: Program,
        options: JsonObject,
    },
    /// One that somebody else started.
    ConnectionFile(Option<PathBuf>),
}

/// From the welcome to the end.
struct Life {
    connection: Connection,
    process: Option<Process>,
}

impl Life {
    /// Lets requests come.
    fn present(&self, desk: &Desk) {
        desk.up(
            &self.connection,
            self.process.as_ref().map(|process| process.pid),
        );
    }
}

async fn open_life(source: &Source, terms: &Terms) -> Result<Life, StartFailed> {
    match source {
        Source::Program { program, options } => {
            let (process, door) = spawn::start(program, options, terms).await?;
            match Connection::open(terms, &door).await {
                Ok(connection) => Ok(Life {
                    connection,
                    process: Some(process),
                }),
                Err(failed) => {
                    let early = spawn::exited_too_early(&process).await;
                    process.kill().await;
                    Err(early.unwrap_or(failed))
                }
            }
        }
        Source::ConnectionFile(path) => {
            let door = find_door(path.as_deref())?;
            Ok(Life {
                connection: Connection::open(terms, &door).await?,
                process: None,
            })
        }
    }
}

/// What the owner of an engine wants of its supervisor.
#[derive(Debug)]
pub(crate) enum Wish {
    /// End in order: what runs gets so much time.
    Close(Duration, oneshot::Sender<()>),
    /// End at once.
    Abort(oneshot::Sender<()>),
    /// The next end of the engine is its last.
    StopRestarting,
}

/// Begins the first life; the engine ends when the sender of wishes is dropped.
pub(crate) async fn supervise(
    source: Source,
    terms: Terms,
    restart: RestartPolicy,
) -> Result<(Desk, mpsc::UnboundedSender<Wish>), StartFailed> {
    let life = open_life(&source, &terms).await?;
    let desk = Desk::new();
    life.present(&desk);
    let (wishes, to_fulfil) = mpsc::unbounded_channel();
    let supervisor = Supervisor {
        source,
        terms,
        desk: desk.clone(),
        budget: RestartBudget::new(restart),
        wishes: to_fulfil,
        waiting: Vec::new(),
        closing: false,
    };
    tokio::spawn(supervisor.run(life));
    Ok((desk, wishes))
}

struct Supervisor {
    source: Source,
    terms: Terms,
    desk: Desk,
    budget: RestartBudget,
    wishes: mpsc::UnboundedReceiver<Wish>,
    /// Who waits for the end.
    waiting: Vec<oneshot::Sender<()>>,
    closing: bool,
}

impl Supervisor {
    async fn run(mut self, first: Life) {
        let mut life = first;
        let lost = loop {
            let (lost, in_order) = self.live(life).await;
            if self.closing || in_order {
                break lost;
            }
            self.terms.listeners.notice(Notice::Crashed(lost.clone()));
            match self.next_life(lost).await {
                Ok(next) => life = next,
                Err(lost) => break lost,
            }
        };
        self.desk.over(lost);
        // Those who ask for the end later find it has come.
        self.wishes.close();
        while let Ok(wish) = self.wishes.try_recv() {
            self.note(wish);
        }
    }

    /// One life to its end: what it died of, and whether in order.
    async fn live(&mut self, mut life: Life) -> (EngineLost, bool) {
        let mut ended = None;
        let process = life.process.take();
        let task = &mut life.connection.task;
        let lost = loop {
            tokio::select! {
                end = &mut *task => {
                    ended = Some(end_of(end));
                    break true;
                }
                () = exited(process.as_ref()) => break true,
                wish = self.wishes.recv() => match wish {
                    Some(Wish::StopRestarting) => self.budget = RestartBudget::new(RestartPolicy::NEVER),
                    Some(Wish::Close(grace, done)) => {
                        self.waiting.push(done);
                        self.closing = true;
                        if let Some(process) = &process {
                            self.shut_down(process, &life.connection.commands, grace).await;
                        }
                        break false;
                    }
                    Some(Wish::Abort(done)) => {
                        self.waiting.push(done);
                        self.closing = true;
                        break false;
                    }
                    None => {
                        self.closing = true;
                        break false;
                    }
                },
            }
        };
        let gone = Gone {
            desk: self.desk.clone(),
            process: process.as_ref(),
            closing: self.closing,
        };
        if lost && let Some(process) = &process {
            let patience = match &mut ended {
                Some(end) if end.said_bye => {
                    gone.fail_pending(end);
                    EXIT_AFTER_BYE
                }
                _ => EXIT_AFTER_DISCONNECT,
            };
            tokio::select! {
                _ = process.exits_within(patience) => {}
                done = last_wish(&mut self.wishes, &mut self.budget) => {
                    self.waiting.extend(done);
                    self.closing = true;
                }
            }
        }
        if let Some(process) = &process {
            process.kill().await;
            process.last_words(LAST_WORDS).await;
        }
        // The end of a process's connection is on its way; others are left.
        if ended.is_none() && process.is_some() {
            ended = timeout(LAST_WORDS, &mut *task).await.ok().map(end_of);
        }
        let mut ended = match ended {
            Some(ended) => ended,
            None => {
                // A connection that has just ended needs no telling.
                let _ = life.connection.commands.send(Command::Close);
                end_of(task.await)
            }
        };
        let error = gone.fail_pending(&mut ended);
        self.desk.between(std::mem::take(&mut ended.unsent));
        (error, ended.said_bye)
    }

    /// Asks the engine to end, waits, and makes it.
    async fn shut_down(&mut self, process: &Process, commands: &Commands, grace: Duration) {
        let params = EngineShutdown::default().grace_ms(milliseconds(grace));
        let body = codec::encode(&params, &Limits::default()).unwrap_or_default();
        // Its answer is the end.
        let (_request, order) =
            Request::new("engine.shutdown".into(), body, RequestTerms::default());
        let _ = commands.send(Command::Submit(order));
        let patience = grace.saturating_add(EXIT_AFTER_SHUTDOWN);
        tokio::select! {
            _ = process.exits_within(patience) => {}
            () = self.aborted() => return,
        }
        tokio::select! {
            () = process.end(EXIT_AFTER_TERMINATE) => {}
            () = self.aborted() => {}
        }
    }

    /// Waits for the wish to end at once.
    async fn aborted(&mut self) {
        loop {
            match self.wishes.recv().await {
                Some(Wish::Abort(done)) => {
                    self.waiting.push(done);
                    return;
                }
                Some(wish) => self.note(wish),
                None => return,
            }
        }
    }

    /// Remembers who waits for the end, which is under way.
    fn note(&mut self, wish: Wish) {
        match wish {
            Wish::Close(_, done) | Wish::Abort(done) => self.waiting.push(done),
            Wish::StopRestarting => {}
        }
    }

    async fn next_life(&mut self, mut lost: EngineLost) -> Result<Life, EngineLost> {
        while self.budget.spend(Instant::now()) {
            let opened = tokio::select! {
                opened = open_life(&self.source, &self.terms) => opened,
                done = last_wish(&mut self.wishes, &mut self.budget) => {
                    self.waiting.extend(done);
                    self.closing = true;
                    return Err(EngineLost::new(CLOSED));
                }
            };
            match opened {
                Ok(life) => {
                    life.present(&self.desk);
                    if let Some(process) = &life.process {
                        self.terms
                            .listeners
                            .notice(Notice::Restarted { pid: process.pid });
                    }
                    return Ok(life);
                }
                Err(failed) => {
                    lost = EngineLost {
                        exit_status: failed.exit_status,
                        stderr_tail: failed.stderr_tail,
                        ..EngineLost::new(failed.message)
                    };
                }
            }
        }
        let policy = self.budget.policy();
        if *policy != RestartPolicy::NEVER {
            lost.message = format!(
                "{}; after {} restarts within {:?} it is not started again",
                lost.message, policy.max_restarts, policy.within
            );
            self.terms.listeners.notice(Notice::GaveUp(lost.clone()));
        }
        Err(lost)
    }
}

/// Waits for a process; for ever when there is none.
async fn exited(process: Option<&Process>) {
    match process {
        Some(process) => process.exited().await,
        None => std::future::pending().await,
    }
}

/// Waits for a wish to end; who waits for its fulfilment, if anybody.
async fn last_wish(
    wishes: &mut mpsc::UnboundedReceiver<Wish>,
    budget: &mut RestartBudget,
) -> Option<oneshot::Sender<()>> {
    loop {
        match wishes.recv().await {
            Some(Wish::Close(_, done) | Wish::Abort(done)) => return Some(done),
            Some(Wish::StopRestarting) => *budget = RestartBudget::new(RestartPolicy::NEVER),
            None => return None,
        }
    }
}

fn end_of(joined: Result<Ended, JoinError>) -> Ended {
    joined.unwrap_or_else(|_| Ended {
        reason: "its task has ended".into(),
        said_bye: false,
        pending: Vec::new(),
        unsent: Unsent::new(),
    })
}

/// An engine that has ended or is about to.
struct Gone<'a> {
    desk: Desk,
    process: Option<&'a Process>,
    closing: bool,
}

impl Gone<'_> {
    /// Ends every request that has no answer yet.
    fn fail_pending(&self, ended: &mut Ended) -> EngineLost {
        let status = self.process.and_then(Process::exit_status);
        let message = match status {
            _ if self.closing => CLOSED.into(),
            Some(_) => format!("the engine {}", spawn::describe(status)),
            None => format!("the engine is gone: {}", ended.reason),
        };
        let lost = EngineLost {
            exit_status: status,
            stderr_tail: self.process.map(Process::stderr_tail).unwrap_or_default(),
            ..EngineLost::new(message)
        };
        // A request made by somebody who sees the failure must wait for the next life.
        self.desk.between(Unsent::new());
        for order in ended.pending.drain(..) {
            order.fail(lost.for_request(true));
        }
        lost
    }
}
