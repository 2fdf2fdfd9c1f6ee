//! Mutated messages on the whole way in: header, body, the types they carry, and a live connection
//! with requests that wait for them.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::by_name;
use super::random::Random;
use super::seeds::{Message, OPEN_REQUESTS, seeds};
use crate::codec;
use crate::connection::{Command, Connection, Ended};
use crate::envelope::{Header, Kind};
use crate::error::{EngineLost, Error};
use crate::from_engine::Notification;
use crate::handshake::Terms;
use crate::host_requests::{Handler, Handlers, HostRequest};
use crate::liveness::Liveness;
use crate::notice::Listeners;
use crate::request::{Request, RequestTerms};
use crate::transport::{Incoming, Link, default_transport};
use crate::types::{
    Bye, ChatEvent, ErrorBody, HostCallTool, HostElicit, Limits, ToolOutput, Welcome, plain,
};

const HANG: Duration = Duration::from_secs(20);
const MOST_GROWTH_KIB: u64 = 256 * 1024;

#[test]
fn mutated_messages_break_nothing() {
    run(20_000, 1);
}

#[test]
#[ignore = "takes a while: cargo test --release --lib -- --ignored --nocapture fuzz"]
fn a_million_mutated_messages_break_nothing() {
    run(1_000_000, 2);
}

/// Where messages were stopped.
#[derive(Debug, Default)]
struct Stopped {
    at_header: usize,
    at_body: usize,
    at_type: usize,
    nowhere: usize,
    /// Connections that a message ended.
    connections: usize,
    /// Requests that got their answer before their connection's end.
    answered: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header,
    Body,
    Type,
    None,
}

fn run(messages: usize, seed: u64) {
    let (seeds, mut random) = (seeds(), Random::new(seed));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let (terms, before) = (terms(), peak_memory_kib());
    let mut stopped = Stopped::default();
    let mut life = Vec::new();
    for number in 1..=messages {
        let message = Message::mutated(&seeds, &mut random);
        let witness = Witness(std::slice::from_ref(&message));
        let (stage, ends) = judge(&message);
        match stage {
            Stage::Header => stopped.at_header += 1,
            Stage::Body => stopped.at_body += 1,
            Stage::Type => stopped.at_type += 1,
            Stage::None => stopped.nowhere += 1,
        }
        drop(witness);
        life.push(message);
        if ends || number == messages {
            stopped.connections += 1;
            stopped.answered += live(&runtime, &terms, &life, ends);
            life.clear();
        }
    }
    println!("{messages} messages of seed {seed}: {stopped:?}");
    let every = [
        stopped.at_header,
        stopped.at_body,
        stopped.at_type,
        stopped.nowhere,
        stopped.answered,
    ];
    assert!(every.iter().all(|count| *count > 0), "{stopped:?}");
    if let (Some(before), Some(after)) = (before, peak_memory_kib()) {
        assert!(
            after - before < MOST_GROWTH_KIB,
            "{before} KiB became {after} KiB"
        );
    }
}

/// How far a message comes, and whether it ends the connection.
fn judge(message: &Message) -> (Stage, bool) {
    let Ok(header) = codec::decode_header(&message.header) else {
        return (Stage::Header, true);
    };
    let limits = Limits::default();
    if header.k == Kind::Events {
        return match codec::scan_events(&message.body, &limits) {
            Err(_) => (Stage::Body, true),
            Ok(entries) => {
                let events = entries.into_iter().map(|entry| &message.body[entry.event]);
                (stage_of_all(events, message.carries.as_deref()), false)
            }
        };
    }
    let matters = matches!(header.k, Kind::Request | Kind::Notification | Kind::Bye);
    if codec::check(&message.body, &limits).is_err() {
        return (Stage::Body, matters);
    }
    let read = read_as_kind(&header, message);
    let ends = header.k == Kind::Bye;
    (
        if read.is_ok() {
            Stage::None
        } else {
            Stage::Type
        },
        ends,
    )
}

fn stage_of_all<'a>(events: impl Iterator<Item = &'a [u8]>, carries: Option<&str>) -> Stage {
    let mut stage = Stage::None;
    for event in events {
        plain::read(event).expect("what was checked can be read");
        let read = match carries {
            Some(kind) => read_twice(kind, event),
            None => codec::read::<ChatEvent>(event).map(drop),
        };
        if read.is_err() {
            stage = Stage::Type;
        }
    }
    stage
}

fn read_as_kind(header: &Header, message: &Message) -> Result<(), Error> {
    plain::read(&message.body).expect("what was checked can be read");
    match (header.k.clone(), message.carries.as_deref()) {
        (Kind::Error, _) => codec::read::<ErrorBody>(&message.body).map(drop),
        (Kind::Bye, _) => codec::read::<Bye>(&message.body).map(drop),
        (Kind::Welcome, _) => codec::read::<Welcome>(&message.body).map(drop),
        (Kind::Notification, _) => {
            Notification::read(header.m.as_deref().unwrap_or_default(), &message.body).map(drop)
        }
        (_, Some(kind)) => read_twice(kind, &message.body),
        _ => Ok(()),
    }
}

/// What was read and written is read and written alike.
fn read_twice(kind: &str, body: &[u8]) -> Result<(), Error> {
    let again = |body: &[u8]| by_name::again(kind, body).expect("a type of the vectors");
    let written = again(body)?;
    let twice = again(&written).expect("what was written can be read");
    assert_eq!(twice, written, "{kind}");
    Ok(())
}

/// A connection that gets these messages; how many of its requests were answered by them.
fn live(runtime: &Runtime, terms: &Terms, messages: &[Message], ends: bool) -> usize {
    let _witness = Witness(messages);
    let all = async {
        let (mut requests, ended) = converse(terms, messages).await;
        assert_eq!(
            ended.reason != "the transport has ended",
            ends,
            "{}",
            ended.reason
        );
        let unanswered = ended.pending.len();
        for order in ended.pending {
            order.fail(EngineLost::new("the end").for_request(true));
        }
        for request in &mut requests {
            read_all(request).await;
            // Whatever it is, it is there.
            let _ = request.result().await;
        }
        OPEN_REQUESTS - unanswered
    };
    runtime.block_on(async { timeout(HANG, all).await.expect("it does not hang") })
}

async fn converse(terms: &Terms, messages: &[Message]) -> (Vec<Request>, Ended) {
    let (outbox, mut sent) = mpsc::unbounded_channel();
    let (to_inbox, inbox) = mpsc::channel(messages.len());
    let connection = Connection::begin(terms, Link { outbox, inbox }, welcome());
    let mut requests = Vec::new();
    for number in 0..OPEN_REQUESTS {
        let terms = RequestTerms {
            credit: number.is_multiple_of(2).then_some(4),
            ..RequestTerms::default()
        };
        let (request, order) = Request::new("fuzz.it".into(), vec![0x80], terms);
        let submitted = connection.commands.send(Command::Submit(order));
        submitted.expect("a connection that listens");
        sent.recv().await.expect("a request");
        requests.push(request);
    }
    for message in messages {
        let frames = vec![message.header.clone().into(), message.body.clone().into()];
        let taken = to_inbox.try_send(Incoming::Message(frames));
        taken.expect("an inbox that has room");
    }
    drop(to_inbox);
    let ended = connection.task.await.expect("no panic");
    (requests, ended)
}

async fn read_all(request: &mut Request) {
    poll_fn(|context| {
        while let Poll::Ready(Some(event)) = request.poll_event(context) {
            // Of whatever shape it is, it is an event or an error.
            let _ = event.map(|event| codec::read::<ChatEvent>(&event));
        }
        Poll::Ready(())
    })
    .await;
}

fn welcome() -> Welcome {
    let limits = serde_json::to_value(Limits::default()).expect("JSON");
    serde_json::from_value(serde_json::json!({
        "protocol": 1,
        "boot_id": "boot",
        "version": "9.9.9",
        "capabilities": [],
        "limits": limits,
        "methods": [],
    }))
    .expect("a welcome")
}

fn terms() -> Terms {
    let call = |_: HostCallTool| async { Ok(ToolOutput::new("3")) };
    let elicit = |_: HostElicit| std::future::pending::<Result<(), _>>();
    Terms {
        transport: default_transport(),
        liveness: Liveness::default(),
        handshake_timeout: HANG,
        handlers: Handlers::from([
            (HostCallTool::METHOD.to_owned(), Handler::new(call)),
            (HostElicit::METHOD.to_owned(), Handler::new(elicit)),
        ]),
        listeners: Listeners::default(),
    }
}

/// The most memory this process has had, where the system tells.
fn peak_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Shows the messages during which a panic came.
struct Witness<'a>(&'a [Message]);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let hex = |bytes: &[u8]| {
                bytes
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<String>()
            };
            for message in self.0 {
                eprintln!(
                    "{} {} {:?}",
                    hex(&message.header),
                    hex(&message.body),
                    message.carries
                );
            }
        }
    }
}
