//! Where requests are handed in: to the present life, or to wait for the next. Sends nothing twice.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::connection::{Command, Commands, Connection};
use crate::error::EngineLost;
use crate::request::{Order, Unsent};
use crate::types::Welcome;

/// Whom requests go to.
#[derive(Debug)]
enum State {
    /// The present life.
    Up {
        commands: Commands,
        welcome: Arc<Welcome>,
        pid: Option<u32>,
    },
    /// Between two lives they wait, unsent, for the next.
    Between(Unsent),
    /// There will be none.
    Over(EngineLost),
}

/// Where requests are handed in.
#[derive(Debug, Clone)]
pub(crate) struct Desk(Arc<Mutex<State>>);

impl Desk {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State::Between(Unsent::new()))))
    }

    /// Sends a request now, or once a restart is through; fails it when there will be no engine.
    pub(crate) fn submit(&self, order: Order) {
        let mut state = self.lock();
        match &mut *state {
            State::Up { commands, .. } => {
                if let Err(mpsc::error::SendError(Command::Submit(order))) =
                    commands.send(Command::Submit(order))
                {
                    // That life is over, and its supervisor is about to notice.
                    *state = State::Between(Unsent::from([order]));
                }
            }
            State::Between(unsent) => unsent.push_back(order),
            State::Over(lost) => order.fail(lost.for_request(false)),
        }
    }

    /// What the present engine said about itself, and its process id when it is one's own.
    pub(crate) fn present(&self) -> Result<(Arc<Welcome>, Option<u32>), EngineLost> {
        match &*self.lock() {
            State::Up { welcome, pid, .. } => Ok((welcome.clone(), *pid)),
            State::Between(_) => Err(EngineLost::new("the engine is being started again")),
            State::Over(lost) => Err(lost.clone()),
        }
    }

    /// A life begins: what waited is sent.
    pub(crate) fn up(&self, connection: &Connection, pid: Option<u32>) {
        let mut state = self.lock();
        let commands = connection.commands.clone();
        if let State::Between(unsent) = &mut *state {
            for order in unsent.drain(..) {
                // A connection that is over again gives them back as unsent.
                let _ = commands.send(Command::Submit(order));
            }
        }
        *state = State::Up {
            commands,
            welcome: connection.welcome.clone(),
            pid,
        };
    }

    /// A life has ended, another may follow: requests wait, these among them.
    pub(crate) fn between(&self, unsent: Unsent) {
        let mut state = self.lock();
        match &mut *state {
            State::Between(waiting) => waiting.extend(unsent),
            State::Up { .. } => *state = State::Between(unsent),
            State::Over(lost) => unsent
                .into_iter()
                .for_each(|order| order.fail(lost.for_request(false))),
        }
    }

    /// The last life has ended.
    pub(crate) fn over(&self, lost: EngineLost) {
        let unsent = match std::mem::replace(&mut *self.lock(), State::Over(lost.clone())) {
            State::Between(unsent) => unsent,
            State::Up { .. } | State::Over(_) => Unsent::new(),
        };
        for order in unsent {
            order.fail(lost.for_request(false));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
