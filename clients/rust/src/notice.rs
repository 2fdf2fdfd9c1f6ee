//! What a program may want to tell its user about the engine's health, and whom to tell it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::EngineLost;
use crate::from_engine::Notification;

/// Something about the engine's health.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Notice {
    /// It owes an answer to a ping for this long. Requests stay pending: it may come back.
    Frozen(Duration),
    /// It answers again after having been reported frozen.
    Thawed,
    /// It is gone; what was pending has failed with this.
    Crashed(EngineLost),
    /// A new process took its place: models are loaded again on their next use.
    Restarted {
        /// The new process's id.
        pid: u32,
    },
    /// It crashed too often, or could not be started again: no further restart.
    GaveUp(EngineLost),
}

type Callback<T> = Arc<dyn Fn(T) + Send + Sync>;

/// Whom to tell. Called on the client's own tasks, so they must not block.
#[derive(Clone, Default)]
pub(crate) struct Listeners {
    pub notice: Option<Callback<Notice>>,
    pub notification: Option<Callback<Notification>>,
}

impl Listeners {
    pub(crate) fn notice(&self, notice: Notice) {
        if let Some(callback) = &self.notice {
            callback(notice);
        }
    }

    pub(crate) fn notification(&self, notification: Notification) {
        if let Some(callback) = &self.notification {
            callback(notification);
        }
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Listeners")
    }
}
