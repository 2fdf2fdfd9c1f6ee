//! Errors as the driver tells them.

use std::process::ExitStatus;

use llm_sidecar_client::Error;
use llm_sidecar_client::types::JsonObject;
use serde::Serialize;

/// An error: `class` is the arm of the client's enum.
#[derive(Debug, Serialize)]
pub struct Failure {
    class: String,
    code: String,
    message: String,
    data: JsonObject,
    retryable: bool,
    #[serde(flatten)]
    loss: Option<Loss>,
}

/// What is known of a process that has ended, or never was an engine.
#[derive(Debug, Serialize)]
struct Loss {
    #[serde(skip_serializing_if = "Option::is_none")]
    may_have_executed: Option<bool>,
    exit_status: Option<i32>,
    stderr_tail: Vec<String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            class: class(&error),
            code: error.code().to_owned(),
            message: error.to_string(),
            data: error.data().cloned().unwrap_or_default(),
            retryable: error.is_retryable(),
            loss: match error {
                Error::StartFailed(failed) => Some(Loss {
                    may_have_executed: None,
                    exit_status: failed.exit_status.and_then(number),
                    stderr_tail: failed.stderr_tail,
                }),
                Error::EngineLost(lost) => Some(Loss {
                    may_have_executed: Some(lost.may_have_executed),
                    exit_status: lost.exit_status.and_then(number),
                    stderr_tail: lost.stderr_tail,
                }),
                _ => None,
            },
        }
    }
}

/// The arms bear the names of the codes.
fn class(error: &Error) -> String {
    match error {
        Error::StartFailed(_) => "StartFailed".into(),
        Error::Other { .. } => "Other".into(),
        coded => coded.code().split('_').map(capitalized).collect(),
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(letters)
        .collect()
}

/// The exit code; of a process that a signal ended, the signal below zero.
fn number(status: ExitStatus) -> Option<i32> {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;

        status.code().or(status.signal().map(|signal| -signal))
    }
    #[cfg(not(unix))]
    status.code()
}
