//! What answers the engine: handlers that say when they are called, and do as planned.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use llm_sidecar_client::HandlerError;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::command::{Answer, Behaviour};
use crate::voice::{Said, Voice};

/// All handlers; those that hold wait here for their end.
#[derive(Debug, Clone)]
pub struct Handlers {
    voice: Voice,
    calls: Arc<Mutex<Calls>>,
}

#[derive(Debug, Default)]
struct Calls {
    count: u64,
    held: HashMap<String, oneshot::Sender<Ending>>,
}

type Ending = Result<Value, String>;

impl Handlers {
    pub fn new(voice: Voice) -> Self {
        Self {
            voice,
            calls: Arc::default(),
        }
    }

    /// One call of a handler.
    pub async fn run(
        &self,
        behaviour: Behaviour,
        method: &str,
        tool: Option<String>,
        params: Value,
    ) -> Result<Value, HandlerError> {
        let held = self.next_name();
        self.voice.say(&Said::Asked {
            held: held.clone(),
            method: method.to_owned(),
            tool,
            params,
        });
        let ending = match behaviour {
            Behaviour::Answer { result } => Ok(result),
            Behaviour::Throw { message } => Err(message),
            Behaviour::Hold => self.hold(held).await,
        };
        // As any error of an application's own becomes one.
        Ok(ending.map_err(std::io::Error::other)?)
    }

    /// Ends a handler that holds; one that was withdrawn needs no end.
    pub fn answer(&self, answer: Answer) -> Result<(), String> {
        let ending = match (answer.result, answer.throw) {
            (Some(result), None) => Ok(result),
            (None, Some(message)) => Err(message),
            _ => return Err("an answer is either a result or a throw".into()),
        };
        let mut calls = self.lock();
        if let Some(held) = calls.held.remove(&answer.held) {
            // Who is withdrawn at this moment hears nothing of it.
            let _ = held.send(ending);
        } else if !(1..=calls.count).any(|number| name(number) == answer.held) {
            return Err(format!("there was no call {:?}", answer.held));
        }
        Ok(())
    }

    async fn hold(&self, held: String) -> Ending {
        let (to_answer, answer) = oneshot::channel();
        self.lock().held.insert(held.clone(), to_answer);
        let _withdrawal = Withdrawal {
            handlers: self,
            held,
        };
        answer
            .await
            .unwrap_or_else(|_| Err("it was never answered".into()))
    }

    fn next_name(&self) -> String {
        let mut calls = self.lock();
        calls.count += 1;
        name(calls.count)
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(number: u64) -> String {
    format!("h{number}")
}

/// Says that a handler was dropped where it held, if it was.
struct Withdrawal<'a> {
    handlers: &'a Handlers,
    held: String,
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        // One that was answered is no longer there.
        if self.handlers.lock().held.remove(&self.held).is_some() {
            self.handlers.voice.say(&Said::Withdrawn {
                held: std::mem::take(&mut self.held),
            });
        }
    }
}
