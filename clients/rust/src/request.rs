//! One request from its sending to its end, as its asker holds it. Knows no socket and no types of the protocol.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::connection::{Command, Commands};
use crate::error::{Details, EngineLost, Error};

/// What the engine does with a request: its result or the error that ended it.
pub(crate) type Outcome = Result<Bytes, Error>;

/// The half of a request that travels to the connection.
#[derive(Debug)]
pub(crate) struct Order {
    pub method: Cow<'static, str>,
    pub body: Vec<u8>,
    /// Events the engine may be ahead of the reader; None: the request does not stream.
    pub credit: Option<u32>,
    pub deadline: Option<Duration>,
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
    Sent {
        commands: Commands,
        id: u64,
    },
    Cancelled,
}

impl Line {
    /// It goes out under this id; false when it was cancelled before.
    pub(crate) fn sent(&self, commands: Commands, id: u64) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, LineState::Cancelled) {
            return false;
        }
        *state = LineState::Sent { commands, id };
        true
    }

    /// Tells the connection; it does not listen when it is over.
    fn tell(&self, command: impl FnOnce(u64) -> Command) {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let LineState::Sent { commands, id } = &*state {
            let _ = commands.send(command(*id));
        }
    }

    /// Whether it was sent.
    fn cancel(&self) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            LineState::Sent { commands, id } => {
                let _ = commands.send(Command::Cancel(*id));
                true
            }
            _ => {
                *state = LineState::Cancelled;
                false
            }
        }
    }
}

/// The half that its asker holds. Dropping it cancels the request.
#[derive(Debug)]
pub(crate) struct Request {
    method: Cow<'static, str>,
    credit: Option<u32>,
    consumed: u32,
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
        credit: Option<u32>,
        deadline: Option<Duration>,
    ) -> (Self, Order) {
        let (to_events, events) = mpsc::unbounded_channel();
        let (to_end, end) = oneshot::channel();
        let line = Line::default();
        let order = Order {
            method: method.clone(),
            body,
            credit,
            deadline,
            events: to_events,
            end: to_end,
            line: line.clone(),
        };
        let request = Self {
            method,
            credit,
            consumed: 0,
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
                self.consume(1);
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
                self.consume(1);
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
            self.outcome = Some(Err(Error::Cancelled(Details {
                message: format!("{} was cancelled before it was sent", self.method),
                ..Details::default()
            })));
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

    fn consume(&mut self, events: u32) {
        let Some(credit) = self.credit else { return };
        if self.outcome.is_some() || self.cancelled {
            return;
        }
        self.consumed += events;
        // In halves, so that the engine seldom stands at zero and a message is not sent for each event.
        if self.consumed * 2 >= credit {
            let consumed = std::mem::take(&mut self.consumed);
            self.line.tell(|id| Command::Credit(id, consumed));
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
