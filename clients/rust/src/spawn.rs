//! Starting an engine: the spawn line in, the ready line out, every refusal explained.

use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use crate::error::StartFailed;
use crate::handshake::{PROTOCOLS, Terms};
use crate::process::{MAX_READY_LINE_BYTES, Process, Program};
use crate::transport::{Door, KeyPair};
use crate::types::{JsonObject, ReadyLine, SpawnLine, StartError};

const LAST_WORDS: Duration = Duration::from_millis(500);

/// Starts a process and waits until it can be connected to. After a failure nothing is left running.
pub(crate) async fn start(
    program: &Program,
    options: &JsonObject,
    terms: &Terms,
) -> Result<(Process, Door), StartFailed> {
    let keys = terms
        .transport
        .generate_keys()
        .map_err(|error| StartFailed::new(format!("no keys could be made: {error}")))?;
    let line = SpawnLine {
        protocols: PROTOCOLS.to_vec(),
        client_key: keys.public.clone(),
        host_pid: std::process::id(),
        options: options.clone(),
    };
    let mut line = serde_json::to_vec(&line)
        .map_err(|error| StartFailed::new(format!("options cannot be written as JSON: {error}")))?;
    line.push(b'\n');
    let (process, first_line) = Process::start(program, line)?;
    let answer = match timeout(terms.handshake_timeout, first_line).await {
        Ok(line) => ready_door(&line.unwrap_or_default(), keys, &process).await,
        Err(_) => Err(StartFailed {
            stderr_tail: process.stderr_tail(),
            ..StartFailed::new(format!(
                "the engine was not ready within {:?}",
                terms.handshake_timeout
            ))
        }),
    };
    match answer {
        Ok(door) => Ok((process, door)),
        Err(failed) => {
            process.kill().await;
            Err(failed)
        }
    }
}

/// Why a process that ended too early is no engine; `None` while it lives.
pub(crate) async fn exited_too_early(process: &Process) -> Option<StartFailed> {
    if !process.exits_within(LAST_WORDS).await {
        return None;
    }
    process.last_words(LAST_WORDS).await;
    let status = process.exit_status();
    let tail = process.stderr_tail();
    let last = tail.last().map_or(String::new(), |line| {
        format!(": {}", line.chars().take(300).collect::<String>())
    });
    Some(StartFailed {
        exit_status: status,
        stderr_tail: tail,
        ..StartFailed::new(format!(
            "the engine {} before it was ready{last}",
            describe(status)
        ))
    })
}

/// An exit in words.
pub(crate) fn describe(status: Option<ExitStatus>) -> String {
    match status {
        Some(status) => format!("ended ({status})"),
        None => "closed its output".into(),
    }
}

async fn ready_door(line: &[u8], keys: KeyPair, process: &Process) -> Result<Door, StartFailed> {
    let failed = |message: String| StartFailed {
        stderr_tail: process.stderr_tail(),
        ..StartFailed::new(message)
    };
    if line.is_empty() {
        return Err(match exited_too_early(process).await {
            Some(failed) => failed,
            None => failed(format!("the engine {} before it was ready", describe(None))),
        });
    }
    if line.len() > MAX_READY_LINE_BYTES {
        return Err(failed(format!(
            "the ready line is longer than {MAX_READY_LINE_BYTES} bytes"
        )));
    }
    let no_ready_line = |error| {
        let start = String::from_utf8_lossy(&line[..line.len().min(200)]);
        failed(format!(
            "the first line of the program's output is no ready line ({error}): {start:?}"
        ))
    };
    let content: Value = serde_json::from_slice(line).map_err(no_ready_line)?;
    if content.get("error").is_some() {
        let refusal: StartError = serde_json::from_value(content).map_err(no_ready_line)?;
        return Err(StartFailed {
            code: refusal.error.code.to_string(),
            data: Box::new(refusal.error.data),
            ..failed(format!(
                "the engine refused to start: {}",
                refusal.error.message
            ))
        });
    }
    let ready: ReadyLine = serde_json::from_value(content).map_err(no_ready_line)?;
    if !PROTOCOLS.contains(&ready.protocol) {
        return Err(StartFailed {
            code: "unsupported_protocol".into(),
            ..failed(format!(
                "the engine (version {}) speaks protocol {}, this client {PROTOCOLS:?}; \
                 install the same release of both",
                ready.version, ready.protocol
            ))
        });
    }
    Ok(Door {
        endpoint: ready.endpoint,
        server_key: ready.server_key,
        keys,
    })
}
