//! What the driver says, a line of JSON each.

use std::io::Write;
use std::sync::mpsc;
use std::thread::JoinHandle;

use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;

/// One line of stdout.
#[derive(Debug, Serialize)]
#[serde(tag = "said", rename_all = "snake_case")]
pub enum Said {
    Opened {
        engine: String,
        pid: Option<u32>,
        boot_id: String,
        version: String,
        protocol: i64,
        methods: Vec<String>,
        capabilities: Vec<String>,
    },
    NotOpened {
        engine: String,
        error: Failure,
    },
    Event {
        request: String,
        index: u64,
        value: Value,
    },
    Result {
        request: String,
        value: Value,
    },
    Error {
        request: String,
        error: Failure,
    },
    Left {
        request: String,
    },
    Asked {
        held: String,
        method: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
        params: Value,
    },
    Withdrawn {
        held: String,
    },
    Closed {
        engine: String,
    },
    Notice {
        engine: String,
        kind: &'static str,
        #[serde(flatten)]
        about: NoticeDetails,
    },
    Notification {
        engine: String,
        name: String,
        body: Value,
    },
    Measured {
        measure: String,
        #[serde(flatten)]
        figures: Value,
    },
    BadCommand {
        line: String,
        why: String,
    },
}

/// What goes with a notice, as far as its kind has it.
#[derive(Debug, Default, Serialize)]
pub struct NoticeDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// Says things. Never waits for who listens.
#[derive(Debug, Clone)]
pub struct Voice(mpsc::Sender<Option<String>>);

impl Voice {
    /// Says them on stdout, from a thread that ends once `end` was called and all is written.
    pub fn on_stdout() -> (Self, JoinHandle<()>) {
        let (to_lines, lines) = mpsc::channel::<Option<String>>();
        let writer = std::thread::spawn(move || {
            let mut output = std::io::stdout().lock();
            for line in lines.iter().map_while(|line| line) {
                writeln!(output, "{line}")
                    .and_then(|()| output.flush())
                    .expect("somebody who reads stdout");
            }
        });
        (Self(to_lines), writer)
    }

    pub fn say(&self, said: &Said) {
        let line = serde_json::to_string(said).expect("JSON with string keys");
        // After the end nobody listens.
        let _ = self.0.send(Some(line));
    }

    /// What is said later is not heard.
    pub fn end(&self) {
        let _ = self.0.send(None);
    }
}
