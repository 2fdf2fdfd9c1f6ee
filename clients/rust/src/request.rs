//! One request from its sending to its end, as its asker holds it. Knows no socket and no types of the protocol.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::connection::{Command, Commands};
use crate::error::{Details, EngineLost, Error};

/// What the engine does with a request: its result or the error that ended it.
pub(crate) type Outcome = Result<Bytes, Error>;

/// What a request's header says besides its method.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestTerms {
    /// Events the engine may be ahead of the reader; None: the request does not stream.
    pub credit: Option<u32>,
    pub deadline: Option<Duration>,
    pub idempotency_key: Option<Arc<str>>,
}

/// The half of a request that travels to the connection.
#[derive(Debug)]
pub(crate) struct Order {
    pub method: Cow<'static, str>,
    pub body: Vec<u8>,
    pub terms: RequestTerms,
    pub events: mpsc::UnboundedSender<Bytes>,
    pub end: oneshot::Sender<Outcome>,
    pub line: Line,
}

impl Order {
    /// Ends the request without an answer of the engine.
    pub(crate) fn fail(self, error: Error) {
        // Nobody may wait for it any more.
        let _ = self.end.send(Err(error));
    }
}

/// How a request's asker reaches the connection it was sent over, once it was sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line(Arc<Mutex<LineState>>);

#[derive(Debug, Default)]
enum LineState {
    #[default]
    Unsent,
    Sent(Sent),
    Cancelled,
}

#[derive(Debug)]
struct Sent {
    commands: Commands,
    id: u64,
    /// Events the engine may be ahead of the reader, if the request streams.
    window: Option<u32>,
    /// Events that were read and for which no new credit was given.
    consumed: u32,
}

impl Line {
    /// It goes out under this id; false when it was cancelled before.
    pub(crate) fn sent(&self, commands: Commands, id: u64, window: Option<u32>) -> bool {
        let mut state = self.lock();
        if matches!(*state, LineState::Cancelled) {
            return false;
        }
        *state = LineState::Sent(Sent {
            commands,
            id,
            window,
            consumed: 0,
        });
        true
    }

    /// An event was read. The engine is told in halves of the window, so that it seldom stands at
    /// zero and no message is sent for each event.
    fn consume(&self) {
        let mut state = self.lock();
        let LineState::Sent(sent) = &mut *state else {
            return;
        };
        let Some(window) = sent.window else { return };
        sent.consumed += 1;
        if sent.consumed * 2 >= window {
            let events = std::mem::take(&mut sent.consumed);
            // A connection that is over does not listen.
            let _ = sent.commands.send(Command::Credit(sent.id, events));
        }
    }

    /// Whether it was sent.
    fn cancel(&self) -> bool {
        let mut state = self.lock();
        match &*state {
            LineState::Sent(sent) => {
                let _ = sent.commands.send(Command::Cancel(sent.id));
                true
            }
            _ => {
                *state = LineState::Cancelled;
                false
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, LineState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The half that its asker holds. Dropping it cancels the request.
#[derive(Debug)]
pub(crate) struct Request {
    method: Cow<'static, str>,
    events: mpsc::UnboundedReceiver<Bytes>,
    end: oneshot::Receiver<Outcome>,
    outcome: Option<Outcome>,
    line: Line,
    cancelled: bool,
    error_told: bool,
}

impl Request {
    pub(crate) fn new(
        method: Cow<'static, str>,
        body: Vec<u8>,
        terms: RequestTerms,
    ) -> (Self, Order) {
        let (to_events, events) = mpsc::unbounded_channel();
        let (to_end, end) = oneshot::channel();
        let line = Line::default();
        let order = Order {
            method: method.clone(),
            body,
            terms,
            events: to_events,
            end: to_end,
            line: line.clone(),
        };
        let request = Self {
            method,
            events,
            end,
            outcome: None,
            line,
            cancelled: false,
            error_told: false,
        };
        (request, order)
    }

    /// The next event; after the last the error that ended the request, if one did; then nothing.
    pub(crate) fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Outcome>> {
        while let Some(event) = std::task::ready!(self.events.poll_recv(context)) {
            if !self.cancelled {
                self.consume();
                return Poll::Ready(Some(Ok(event)));
            }
        }
        let outcome = std::task::ready!(self.poll_end(context));
        match outcome {
            Err(error) if !self.error_told => {
                self.error_told = true;
                Poll::Ready(Some(Err(error)))
            }
            _ => Poll::Ready(None),
        }
    }

    /// The result; events that were not read are thrown away.
    pub(crate) async fn result(&mut self) -> Outcome {
        poll_fn(|context| {
            while let Poll::Ready(Some(_)) = self.events.poll_recv(context) {
                self.consume();
            }
            self.poll_end(context)
        })
        .await
    }

    /// Tells the engine to stop; what still comes of this request is thrown away.
    pub(crate) fn cancel(&mut self) {
        if self.cancelled || self.outcome.is_some() {
            return;
        }
        self.cancelled = true;
        if !self.line.cancel() {
            self.outcome = Some(Err(Error::Cancelled(Box::new(Details {
                message: format!("{} was cancelled before it was sent", self.method),
                ..Details::default()
            }))));
            self.events.close();
        }
    }

    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Outcome> {
        if self.outcome.is_none() {
            let answer = std::task::ready!(std::pin::Pin::new(&mut self.end).poll(context));
            self.outcome = Some(answer.unwrap_or_else(|_| {
                let lost = EngineLost::new("the runtime that kept the engine has ended");
                Err(lost.for_request(true))
            }));
        }
        match &self.outcome {
            Some(outcome) => Poll::Ready(outcome.clone()),
            None => Poll::Pending,
        }
    }

    fn consume(&self) {
        if self.outcome.is_none() && !self.cancelled {
            self.line.consume();
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        // The end may have come without having been looked at; the connection knows.
        self.cancel();
    }
}

/// Requests that wait for an engine.
pub(crate) type Unsent = VecDeque<Order>;
