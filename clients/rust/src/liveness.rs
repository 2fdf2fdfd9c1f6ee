//! How a client notices an engine that is there and does not answer.

use std::time::Duration;

/// When to ping, and when to call the engine frozen. The defaults are the protocol's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Liveness {
    /// A ping when something is pending and nothing came for this long.
    pub ping: Duration,
    /// An unanswered ping of this age means: frozen.
    pub frozen: Duration,
    /// Between heartbeats of the socket itself, which notice a connection that is cut.
    pub heartbeat: Duration,
    /// A heartbeat that is not answered for this long means: cut.
    pub heartbeat_timeout: Duration,
}

impl Default for Liveness {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(5),
            frozen: Duration::from_secs(15),
            heartbeat: Duration::from_secs(5),
            heartbeat_timeout: Duration::from_secs(15),
        }
    }
}

/// What a tick asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    Nothing,
    SendPing(u64),
    /// The engine has owed an answer for this long. Asked for once per freeze.
    ReportFrozen(Duration),
}

/// Decides when to ping and when to call the engine frozen. Owns no timer and no socket;
/// `now` is the time since any fixed moment.
///
/// Time in which this process itself did not run (a debugger, a laptop asleep) never counts
/// against the engine: a late tick starts the wait anew.
#[derive(Debug)]
pub(crate) struct PingWatch {
    liveness: Liveness,
    nonce: u64,
    last_heard: Duration,
    last_tick: Duration,
    pinged_at: Option<Duration>,
    frozen: bool,
}

impl PingWatch {
    pub(crate) fn new(liveness: Liveness, now: Duration) -> Self {
        Self {
            liveness,
            nonce: 0,
            last_heard: now,
            last_tick: now,
            pinged_at: None,
            frozen: false,
        }
    }

    /// How often `tick` wants to be called.
    pub(crate) fn interval(&self) -> Duration {
        let shortest = self.liveness.ping.min(self.liveness.frozen);
        (shortest / 4).max(Duration::from_millis(1))
    }

    /// Any message came; returns whether this ends a freeze.
    pub(crate) fn heard(&mut self, now: Duration) -> bool {
        self.last_heard = now;
        self.pinged_at = None;
        std::mem::take(&mut self.frozen)
    }

    pub(crate) fn tick(&mut self, now: Duration, pending: bool) -> Tick {
        let late = now - self.last_tick > self.liveness.ping / 2;
        self.last_tick = now;
        if !pending || late {
            self.last_heard = now;
            self.pinged_at = None;
            return Tick::Nothing;
        }
        let Some(pinged_at) = self.pinged_at else {
            if now - self.last_heard < self.liveness.ping {
                return Tick::Nothing;
            }
            self.nonce += 1;
            self.pinged_at = Some(now);
            return Tick::SendPing(self.nonce);
        };
        let silent = now - pinged_at;
        if self.frozen || silent < self.liveness.frozen {
            return Tick::Nothing;
        }
        self.frozen = true;
        Tick::ReportFrozen(silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Watched {
        watch: PingWatch,
        pings: Vec<u64>,
    }

    impl Watched {
        fn new() -> Self {
            let liveness = Liveness {
                ping: Duration::from_secs(4),
                frozen: Duration::from_secs(8),
                ..Liveness::default()
            };
            Self {
                watch: PingWatch::new(liveness, Duration::ZERO),
                pings: Vec::new(),
            }
        }

        /// Ticks each second; the silences that were reported.
        fn run(&mut self, seconds: std::ops::Range<u64>, pending: bool) -> Vec<u64> {
            let mut silences = Vec::new();
            for second in seconds {
                match self.watch.tick(Duration::from_secs(second), pending) {
                    Tick::Nothing => {}
                    Tick::SendPing(nonce) => self.pings.push(nonce),
                    Tick::ReportFrozen(silent) => silences.push(silent.as_secs()),
                }
            }
            silences
        }
    }

    #[test]
    fn silence_with_something_pending_brings_one_ping() {
        let mut watched = Watched::new();
        watched.run(1..8, true);
        assert_eq!(watched.pings, [1]);
    }

    #[test]
    fn no_ping_while_nothing_is_pending_or_messages_come() {
        let mut watched = Watched::new();
        watched.run(1..20, false);
        for second in 20..40 {
            watched.watch.heard(Duration::from_secs(second));
            watched.run(second..second + 1, true);
        }
        assert!(watched.pings.is_empty());
    }

    #[test]
    fn an_unanswered_ping_is_reported_once() {
        assert_eq!(Watched::new().run(1..60, true), [8]);
    }

    #[test]
    fn an_answer_ends_the_freeze_and_the_next_is_reported_again() {
        let mut watched = Watched::new();
        assert_eq!(watched.run(1..20, true), [8]);
        assert!(watched.watch.heard(Duration::from_secs(20)));
        assert!(!watched.watch.heard(Duration::from_secs(20)));
        assert_eq!(watched.run(21..60, true), [8]);
    }

    #[test]
    fn time_in_which_this_process_stood_still_does_not_count() {
        let mut watched = Watched::new();
        watched.run(1..6, true);
        assert_eq!(watched.pings, [1]);
        assert!(watched.run(1000..1008, true).is_empty());
        assert_eq!(watched.pings, [1, 2]);
    }
}
