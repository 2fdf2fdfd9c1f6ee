//! The protocol over one link: request ids, events to their request, pings.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::codec;
use crate::envelope::{Header, Kind};
use crate::error::Error;
use crate::from_engine::Notification;
use crate::handshake::{Terms, open_message};
use crate::host_requests::{HostRequests, encode_refusal};
use crate::liveness::{PingWatch, Tick};
use crate::notice::{Listeners, Notice};
use crate::outgoing::{send, send_encoded};
use crate::pending::Pending;
use crate::request::{Order, Unsent};
use crate::transport::{Frames, Incoming, Link};
use crate::types::{Bye, ErrorBody, Limits, Welcome};

/// What a connection is told by this side.
#[derive(Debug)]
pub(crate) enum Command {
    Submit(Order),
    Cancel(u64),
    Credit(u64, u32),
    Close,
}

pub(crate) type Commands = mpsc::UnboundedSender<Command>;

/// How a connection ended, and what it leaves behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub reason: String,
    /// Whether the engine ended it in order.
    pub said_bye: bool,
    /// Requests that were sent and have no answer.
    pub pending: Vec<Order>,
    /// Requests that never left.
    pub unsent: Unsent,
}

/// A connection that was welcomed. Its task goes on until it ends.
#[derive(Debug)]
pub(crate) struct Connection {
    pub commands: Commands,
    pub welcome: Arc<Welcome>,
    pub task: JoinHandle<Ended>,
}

impl Connection {
    /// Begins to serve a link whose engine has said welcome.
    pub(crate) fn begin(terms: &Terms, link: Link, welcome: Welcome) -> Self {
        let welcome = Arc::new(welcome);
        let (commands, orders) = mpsc::unbounded_channel();
        let actor = Actor {
            outbox: link.outbox,
            commands: commands.clone(),
            limits: welcome.limits.clone(),
            requests: HashMap::new(),
            last_id: 0,
            last_host_id: None,
            host_requests: HostRequests::new(terms.handlers.clone()),
            listeners: terms.listeners.clone(),
            watch: PingWatch::new(terms.liveness, Duration::ZERO),
            began: Instant::now(),
            said_bye: false,
        };
        let task = tokio::spawn(actor.run(link.inbox, orders));
        Self {
            commands,
            welcome,
            task,
        }
    }
}

struct Actor {
    outbox: mpsc::UnboundedSender<Frames>,
    commands: Commands,
    limits: Limits,
    requests: HashMap<u64, Pending>,
    last_id: u64,
    /// The engine's requests have ids that rise, too.
    last_host_id: Option<u64>,
    host_requests: HostRequests,
    listeners: Listeners,
    watch: PingWatch,
    began: Instant,
    said_bye: bool,
}

impl Actor {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Incoming>,
        mut orders: mpsc::UnboundedReceiver<Command>,
    ) -> Ended {
        let reason = self.serve(&mut inbox, &mut orders).await;
        orders.close();
        let mut unsent = Unsent::new();
        while let Ok(command) = orders.try_recv() {
            if let Command::Submit(order) = command {
                unsent.push_back(order);
            }
        }
        drop(self.outbox);
        // What was sent leaves, and the socket is given back.
        while inbox.recv().await.is_some() {}
        Ended {
            reason,
            said_bye: self.said_bye,
            pending: self
                .requests
                .into_values()
                .map(|pending| pending.order)
                .collect(),
            unsent,
        }
    }

    async fn serve(
        &mut self,
        inbox: &mut mpsc::Receiver<Incoming>,
        orders: &mut mpsc::UnboundedReceiver<Command>,
    ) -> String {
        let mut ticks = interval(self.watch.interval());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                incoming = inbox.recv() => match incoming {
                    Some(Incoming::Message(frames)) => {
                        if let Some(reason) = self.receive(&frames) {
                            return reason;
                        }
                    }
                    Some(Incoming::Ended(reason)) => return reason,
                    None => return "the transport has ended".into(),
                },
                Some(command) = orders.recv() => match command {
                    Command::Submit(order) => self.submit(order),
                    Command::Cancel(id) => self.cancel(id),
                    Command::Credit(id, events) => self.credit(id, events),
                    Command::Close => {
                        let bye = Bye {
                            code: "closed".into(),
                            message: "the host closed the connection".into(),
                        };
                        send(&self.outbox, &Header::new(Kind::Bye), &bye);
                        return "it was closed by this program".into();
                    }
                },
                (id, answer) = self.host_requests.answer() => self.answer(id, answer),
                _ = ticks.tick() => self.tick(),
            }
        }
    }

    // --- from this side

    fn submit(&mut self, mut order: Order) {
        let (size, limit) = (order.body.len() as u64, self.limits.message_bytes);
        if size > limit {
            let message = format!(
                "{}: the params have {size} bytes, the engine accepts {limit}",
                order.method
            );
            order.fail(Error::too_large(
                message,
                [("size", size), ("limit", limit)],
            ));
            return;
        }
        let id = self.last_id + 1;
        if let Some(credit) = &mut order.terms.credit {
            *credit = u64::from(*credit).min(self.limits.credit) as u32;
        }
        let window = order.terms.credit;
        if !order.line.sent(self.commands.clone(), id, window) {
            return;
        }
        self.last_id = id;
        let header = order.header(id);
        let body = std::mem::take(&mut order.body);
        if let Err(error) = send_encoded(&self.outbox, &header, body) {
            order.fail(error);
            return;
        }
        self.requests.insert(id, Pending::new(order));
    }

    fn cancel(&mut self, id: u64) {
        if let Some(pending) = self.requests.get_mut(&id)
            && !pending.cancelled
        {
            pending.cancelled = true;
            send(
                &self.outbox,
                &Header::with_id(Kind::Cancel, id),
                &Nothing {},
            );
        }
    }

    fn credit(&mut self, id: u64, events: u32) {
        if self.requests.contains_key(&id) {
            let header = Header {
                credit: Some(u64::from(events)),
                ..Header::with_id(Kind::Credit, id)
            };
            send(&self.outbox, &header, &Nothing {});
        }
    }

    fn answer(&mut self, id: u64, answer: Result<Vec<u8>, Box<ErrorBody>>) {
        let header = |kind| Header {
            s: Some(0),
            ..Header::with_id(kind, id)
        };
        let sent = match answer {
            Ok(result) => send_encoded(&self.outbox, &header(Kind::Result), result),
            Err(error) => encode_refusal(&error)
                .and_then(|body| send_encoded(&self.outbox, &header(Kind::Error), body)),
        };
        if let Err(error) = sent {
            tracing::error!(%error, id, "an answer could not be encoded");
        }
    }

    fn tick(&mut self) {
        let pending = !self.requests.is_empty();
        match self.watch.tick(self.began.elapsed(), pending) {
            Tick::Nothing => {}
            Tick::SendPing(nonce) => {
                let header = Header {
                    n: Some(nonce),
                    ..Header::new(Kind::Ping)
                };
                send(&self.outbox, &header, &Nothing {});
            }
            Tick::ReportFrozen(silent) => self.listeners.notice(Notice::Frozen(silent)),
        }
    }

    // --- from the engine

    /// Takes a message; why the connection cannot go on, if it cannot.
    fn receive(&mut self, frames: &Frames) -> Option<String> {
        if self.watch.heard(self.began.elapsed()) {
            self.listeners.notice(Notice::Thawed);
        }
        match self.dispatch(frames) {
            Ok(end) => end,
            // No id tells whom it was meant for: a request may now wait for ever.
            Err(error) => Some(format!("it sent an unreadable message: {error}")),
        }
    }

    fn dispatch(&mut self, frames: &Frames) -> Result<Option<String>, Error> {
        let (header, body) = open_message(frames)?;
        match header.k {
            Kind::Events => self.take_events(body)?,
            Kind::Result | Kind::Error => self.take_terminal(&header, body),
            Kind::Request => self.take_request(&header, body)?,
            Kind::Cancel => {
                if let Some(id) = header.id {
                    self.host_requests.cancel(id);
                }
            }
            Kind::Notification => {
                self.take_notification(header.m.as_deref().unwrap_or_default(), body)?
            }
            Kind::Ping => {
                let pong = Header {
                    n: header.n,
                    ..Header::new(Kind::Pong)
                };
                send(&self.outbox, &pong, &Nothing {});
            }
            Kind::Bye => {
                let bye: Bye = codec::decode(body, &Limits::default())?;
                self.said_bye = true;
                return Ok(Some(format!("it said goodbye: {}", bye.message)));
            }
            Kind::Pong | Kind::Welcome => {}
            unexpected => tracing::info!(kind = %unexpected, "a message was ignored"),
        }
        Ok(None)
    }

    fn take_events(&mut self, body: &Bytes) -> Result<(), Error> {
        for entry in codec::scan_events(body, &Limits::default())? {
            let id = entry.request_id;
            let Some(pending) = self.requests.get_mut(&id) else {
                continue;
            };
            if pending.cancelled {
                continue;
            }
            if entry.sequence != pending.received {
                let message = format!(
                    "{}: event {} is missing from the stream, {} came instead",
                    pending.order.method, pending.received, entry.sequence
                );
                self.give_up(id, Error::invalid_message(message));
                continue;
            }
            pending.received += 1;
            // Nobody reads the events of a request that does not stream.
            let _ = pending.order.events.send(body.slice(entry.event));
        }
        Ok(())
    }

    fn give_up(&mut self, id: u64, error: Error) {
        self.cancel(id);
        if let Some(pending) = self.requests.remove(&id) {
            pending.order.fail(error);
        }
    }

    fn take_terminal(&mut self, header: &Header, body: &Bytes) {
        let Some(pending) = header.id.and_then(|id| self.requests.remove(&id)) else {
            return;
        };
        let outcome = pending.outcome(header, body);
        // Nobody may wait for it any more.
        let _ = pending.order.end.send(outcome);
    }

    fn take_request(&mut self, header: &Header, body: &Bytes) -> Result<(), Error> {
        codec::check(body, &Limits::default())?;
        let Some(id) = header.id.filter(|id| Some(*id) > self.last_host_id) else {
            tracing::warn!(id = ?header.id, "a request was ignored: ids must rise");
            return Ok(());
        };
        self.last_host_id = Some(id);
        let method = header.m.as_deref().unwrap_or_default();
        if let Err(refusal) = self.host_requests.start(id, method, body.clone()) {
            self.answer(id, Err(refusal));
        }
        Ok(())
    }

    fn take_notification(&mut self, name: &str, body: &Bytes) -> Result<(), Error> {
        codec::check(body, &Limits::default())?;
        let notification = match Notification::read(name, body) {
            Ok(notification) => notification,
            Err(error) => {
                tracing::warn!(name, %error, "a notification of another shape was ignored");
                return Ok(());
            }
        };
        if let Notification::ProtocolError(notice) = &notification {
            tracing::warn!(?notice, "the engine reports a protocol error");
        }
        self.listeners.notification(notification);
        Ok(())
    }
}

#[derive(Serialize)]
struct Nothing {}
