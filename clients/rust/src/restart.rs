//! How often a crashed engine is started again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// At most `max_restarts` within `within`; beyond, the engine stays down and says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// How often.
    pub max_restarts: usize,
    /// In which time.
    pub within: Duration,
}

impl RestartPolicy {
    /// Never.
    pub const NEVER: Self = Self {
        max_restarts: 0,
        within: Duration::ZERO,
    };
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            max_restarts: 3,
            within: Duration::from_secs(60),
        }
    }
}

/// Counts restarts against a policy.
#[derive(Debug)]
pub(crate) struct RestartBudget {
    policy: RestartPolicy,
    restarts: VecDeque<Instant>,
}

impl RestartBudget {
    pub(crate) fn new(policy: RestartPolicy) -> Self {
        Self {
            policy,
            restarts: VecDeque::new(),
        }
    }

    pub(crate) fn policy(&self) -> &RestartPolicy {
        &self.policy
    }

    /// Takes one restart; false when there is none left.
    pub(crate) fn spend(&mut self, now: Instant) -> bool {
        while let Some(first) = self.restarts.front()
            && now.duration_since(*first) >= self.policy.within
        {
            self.restarts.pop_front();
        }
        if self.restarts.len() >= self.policy.max_restarts {
            return false;
        }
        self.restarts.push_back(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_and_comes_back_with_time() {
        let mut budget = RestartBudget::new(RestartPolicy {
            max_restarts: 2,
            within: Duration::from_secs(10),
        });
        let start = Instant::now();
        let spend =
            |budget: &mut RestartBudget, second| budget.spend(start + Duration::from_secs(second));
        assert!(spend(&mut budget, 0));
        assert!(spend(&mut budget, 5));
        assert!(!spend(&mut budget, 9));
        assert!(spend(&mut budget, 10));
        assert!(!spend(&mut budget, 14));
        assert!(spend(&mut budget, 15));
    }

    #[test]
    fn never_is_never() {
        assert!(!RestartBudget::new(RestartPolicy::NEVER).spend(Instant::now()));
    }
}
