//! An engine that a test plays by hand: the protocol's frames over a real socket, and nothing behind them.

use std::collections::VecDeque;

use bytes::Bytes;
use llm_sidecar_client::{Connect, Engine};
use omq_tokio::{CurveKeypair, Identity, IdentitySocket, Message, Options, Socket, SocketType};
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::soon;

/// Answers hello by itself; everything else waits in `next`.
pub struct FakeEngine {
    socket: IdentitySocket,
    peer: Option<Identity>,
    waiting: VecDeque<(Value, Value)>,
    pub hello: Value,
    pub welcome: Value,
    pub answers_hello: bool,
    pub connection_file: NamedTempFile,
}

impl FakeEngine {
    pub async fn start() -> Self {
        let (server, client) = (CurveKeypair::generate(), CurveKeypair::generate());
        let options = Options::default()
            .curve_server(server.clone())
            .linger(std::time::Duration::from_millis(500));
        let socket = Socket::new(SocketType::Router, options);
        let endpoint = socket.bind("tcp://127.0.0.1:0").await.expect("a free port");
        let connection_file = NamedTempFile::new().expect("a temporary folder");
        let file = json!({
            "endpoint": endpoint.to_string(),
            "server_key": server.public.to_z85(),
            "client_key": client.public.to_z85(),
            "client_secret": client.secret.to_z85(),
            "boot_id": "boot",
            "pid": std::process::id(),
            "protocol": 1,
            "version": "9.9.9",
            "app_id": "debug",
        });
        std::fs::write(&connection_file, file.to_string()).expect("room on the disk");
        Self {
            socket: socket.identity_routing().expect("a ROUTER"),
            peer: None,
            waiting: VecDeque::new(),
            hello: Value::Null,
            welcome: json!({
                "protocol": 1,
                "boot_id": "boot",
                "version": "9.9.9",
                "capabilities": [],
                "limits": {},
                "methods": [],
            }),
            answers_hello: true,
            connection_file,
        }
    }

    pub fn connect(&self) -> Connect {
        Engine::connect_to(&self.connection_file)
    }

    /// A client that is connected to it.
    pub async fn with_client(connect: impl FnOnce(Connect) -> Connect) -> (Self, Engine) {
        let mut fake = Self::start().await;
        let opening = connect(fake.connect()).into_future();
        let (engine, ()) = tokio::join!(opening, fake.welcome());
        (fake, engine.expect("a connection"))
    }

    /// Takes the hello and answers it.
    pub async fn welcome(&mut self) {
        self.next(&["hello"]).await;
    }

    /// The next message of one of these kinds; others wait.
    pub async fn next(&mut self, kinds: &[&str]) -> (Value, Value) {
        loop {
            let found = self
                .waiting
                .iter()
                .position(|(header, _)| is_one_of(header, kinds));
            if let Some(message) = found.and_then(|index| self.waiting.remove(index)) {
                return message;
            }
            let [header, body] = self.next_frames().await;
            let header: Value = rmp_serde::from_slice(&header).expect("a header");
            let body: Value = rmp_serde::from_slice(&body).expect("a body");
            if header["k"] == "hello" {
                self.hello = body.clone();
                if self.answers_hello {
                    self.send(json!({"k": "welcome"}), &self.welcome).await;
                }
            }
            self.waiting.push_back((header, body));
        }
    }

    /// The header and the body of the next message that was not taken yet, as they came.
    pub async fn next_frames(&mut self) -> [Bytes; 2] {
        let (peer, message) = soon(self.socket.recv_from()).await.expect("a message");
        self.peer = Some(peer);
        assert_eq!(message.len(), 2);
        [0, 1].map(|index| message.part_bytes(index).expect("a frame"))
    }

    /// The id of the next request, its header and its params.
    pub async fn request(&mut self) -> (u64, Value, Value) {
        let (header, body) = self.next(&["req"]).await;
        (header["id"].as_u64().expect("an id"), header, body)
    }

    pub async fn send(&self, header: Value, body: &impl Serialize) {
        let body = rmp_serde::to_vec_named(body).expect("a body");
        self.send_frames(header, body).await;
    }

    pub async fn send_frames(&self, header: Value, body: Vec<u8>) {
        let header = rmp_serde::to_vec_named(&header).expect("a header");
        self.send_message([header, body]).await;
    }

    pub async fn send_message(&self, frames: [Vec<u8>; 2]) {
        let peer = self.peer.as_ref().expect("a client");
        let message = Message::multipart(frames.map(Bytes::from));
        self.socket
            .send_to(peer, message)
            .await
            .expect("a client that is there");
    }

    pub async fn send_events(&self, id: u64, start: u64, events: &[Value]) {
        let entries: Vec<Value> = (start..)
            .zip(events)
            .map(|(sequence, event)| json!([id, sequence, event]))
            .collect();
        self.send(json!({"k": "evts"}), &entries).await;
    }

    pub async fn send_result(&self, id: u64, events: u64, result: Value) {
        self.send(json!({"k": "res", "id": id, "s": events}), &result)
            .await;
    }

    /// Waits until the client has handled all that was sent to it before; what it said meanwhile waits.
    pub async fn round_trip(&mut self) {
        self.send(json!({"k": "ping", "n": 77}), &json!({})).await;
        self.next(&["pong"]).await;
    }

    /// Messages of this kind that are there and were not taken.
    pub fn count(&self, kind: &str) -> usize {
        self.waiting
            .iter()
            .filter(|(header, _)| header["k"] == kind)
            .count()
    }
}

fn is_one_of(header: &Value, kinds: &[&str]) -> bool {
    kinds.iter().any(|kind| header["k"] == *kind)
}

pub fn chunk(text: &str) -> Value {
    json!({
        "type": "chunk",
        "chunk": {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "delta": {"content": text}}],
        },
    })
}

pub fn completion(text: &str) -> Value {
    json!({
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"},
        ],
        "usage": {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
        "timings": {"queued_ms": 0, "prefill_ms": 1.5, "decode_ms": 2},
    })
}
