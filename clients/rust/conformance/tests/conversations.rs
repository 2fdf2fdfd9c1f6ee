//! Whole conversations, written down byte for byte: the driver does what an application would, and
//! an engine that knows nothing but its own part demands each of the host's messages.

#[path = "../../tests/support/fake_engine.rs"]
#[allow(dead_code)]
mod fake_engine;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use fake_engine::FakeEngine;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// After which something that does not come has failed.
const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
struct Conversation {
    name: String,
    actions: Vec<Action>,
    steps: Vec<Step>,
    observes: Vec<Value>,
}

/// A command for the driver, once so many steps have passed and so many lines were said.
#[derive(Deserialize)]
struct Action {
    after: usize,
    seen: usize,
    #[serde(flatten)]
    command: Map<String, Value>,
}

#[derive(Deserialize)]
struct Step {
    from: Side,
    header: String,
    body: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Side {
    Host,
    Engine,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../protocol/fixtures")
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{}: {error}; is this a working tree?", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn conversations() -> Vec<Conversation> {
    let folder = fixtures().join("conversations");
    let entries = folder
        .read_dir()
        .unwrap_or_else(|error| panic!("{}: {error}; is this a working tree?", folder.display()));
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a folder that can be read").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

#[tokio::test]
async fn every_conversation_goes_as_it_is_written() {
    let conversations = conversations();
    let counts: Value = read(&fixtures().join("counts.json"));
    assert_eq!(counts["conversations"], conversations.len());
    for conversation in conversations {
        println!("{}", conversation.name);
        play(conversation).await;
    }
}

async fn play(conversation: Conversation) {
    let mut engine = FakeEngine::start().await;
    let mut driver = Driver::start(&conversation.observes);
    let mut actions = conversation.actions.into_iter().peekable();
    let steps = conversation.steps.into_iter();
    for (passed, step) in steps.map(Some).chain([None]).enumerate() {
        while let Some(action) = actions.next_if(|action| action.after <= passed) {
            driver.obey(action, &engine).await;
        }
        match step {
            Some(Step {
                from: Side::Engine,
                header,
                body,
            }) => {
                engine
                    .send_message([bytes_of(&header), bytes_of(&body)])
                    .await
            }
            Some(step) => {
                let [header, body] = engine.next_frames().await;
                expect_message(&step, &header, &body, passed);
            }
            None => {}
        }
    }
    driver.end().await;
}

fn expect_message(step: &Step, header: &[u8], body: &[u8], passed: usize) {
    let shown = |bytes: &[u8]| rmp_serde::from_slice::<Value>(bytes).expect("msgpack");
    let (wanted_header, wanted_body) = (bytes_of(&step.header), bytes_of(&step.body));
    assert_eq!(
        header,
        wanted_header,
        "step {passed}: {} came for {}",
        shown(header),
        shown(&wanted_header)
    );
    let (said, wanted) = (shown(body), shown(&wanted_body));
    if shown(header)["k"] == "hello" {
        // Each client names itself.
        assert_eq!(without(said, "client"), without(wanted, "client"));
    } else {
        assert_eq!(body, wanted_body, "step {passed}: {said} came for {wanted}");
    }
}

fn without(mut value: Value, name: &str) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.shift_remove(name);
    }
    value
}

/// A line as far as it is the same in every run and in every language.
fn stable(line: &Value) -> Value {
    let mut line = without(line.clone(), "pid");
    if let Some(error) = line.get_mut("error") {
        for name in ["class", "exit_status", "stderr_tail"] {
            *error = without(error.take(), name);
        }
    }
    line
}

/// Lines about one request are in order, and so are those of one kind.
fn subject(line: &Value) -> String {
    let name = line.get("request").or_else(|| line.get("said"));
    name.map_or(String::new(), Value::to_string)
}

/// A process that does what it is told; what it says is held against what was written down.
struct Driver {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    expected: BTreeMap<String, Vec<Value>>,
    said: BTreeMap<String, Vec<Value>>,
    count: usize,
}

impl Driver {
    fn start(observes: &[Value]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_conformance-driver"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the driver");
        let output = child.stdout.take().expect("a pipe");
        let mut expected = BTreeMap::<String, Vec<Value>>::new();
        for line in observes {
            expected
                .entry(subject(line))
                .or_default()
                .push(stable(line));
        }
        Self {
            input: child.stdin.take(),
            output: BufReader::new(output).lines(),
            child,
            expected,
            said: BTreeMap::new(),
            count: 0,
        }
    }

    async fn obey(&mut self, action: Action, engine: &FakeEngine) {
        while self.count < action.seen {
            self.hear().await;
        }
        let mut command = action.command;
        if command["do"] == "connect" {
            let file = engine.connection_file.path().display().to_string();
            command.insert("connection_file".into(), file.into());
        }
        let line = Value::Object(command).to_string() + "\n";
        let input = self.input.as_mut().expect("a driver that listens");
        let written = input.write_all(line.as_bytes()).await;
        written.expect("a driver that listens");
    }

    async fn hear(&mut self) {
        let line = match tokio::time::timeout(DEADLINE, self.output.next_line()).await {
            Ok(line) => line.expect("a pipe that can be read"),
            Err(_) => panic!("nothing more is said; said: {:#?}", self.said),
        };
        let line = line.unwrap_or_else(|| panic!("the driver has ended; said: {:#?}", self.said));
        let line: Value = serde_json::from_str(&line).expect("a line of JSON");
        let said = self.said.entry(subject(&line)).or_default();
        said.push(stable(&line));
        self.count += 1;
    }

    /// Listens to the end of what is expected, and sees that no more is said.
    async fn end(mut self) {
        while self.count < self.expected.values().map(Vec::len).sum::<usize>() {
            self.hear().await;
        }
        assert_eq!(self.said, self.expected);
        drop(self.input.take());
        let rest = soon(self.output.next_line())
            .await
            .expect("a pipe that can be read");
        assert_eq!(rest, None, "it was to say no more");
        let status = soon(self.child.wait()).await.expect("a child");
        assert!(status.success(), "{status}");
    }
}

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|index| u8::from_str_radix(&hex[index..index + 2], 16).expect("hexadecimal digits"))
        .collect()
}

/// What comes within the deadline.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("it comes within the deadline")
}
