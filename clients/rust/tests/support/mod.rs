//! What the tests share: real sidecars, fake ones, and an engine played by hand.

#![allow(dead_code)]

#[cfg(feature = "omq")]
pub mod fake_engine;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use llm_sidecar_client::types::{ChatCreate, UserMessage};
use llm_sidecar_client::{Engine, Error, Spawn};

/// After which a test that waits has failed.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("clients/rust")
        .to_owned()
}

/// The Python that has the sidecar's dependencies: that of `SIDECAR_PYTHON`, else the project's own.
pub fn python() -> PathBuf {
    let own = if cfg!(windows) {
        ".venv/Scripts/python.exe"
    } else {
        ".venv/bin/python"
    };
    std::env::var_os("SIDECAR_PYTHON").map_or_else(|| root().join(own), PathBuf::from)
}

/// What makes Python run a module of this working tree.
fn script(module: &str) -> String {
    let folders = ["", "protocol", "clients/python"].map(|folder| root().join(folder));
    format!(
        "import sys, runpy; sys.path[:0] = {folders:?}; \
         runpy.run_module({module:?}, run_name='__main__', alter_sys=True)"
    )
}

/// Runs a module of this working tree.
pub fn python_module(module: &str, app_id: &str) -> Spawn {
    Engine::spawn(python(), app_id).args(["-P", "-c", &script(module)])
}

/// A sidecar that serves whoever holds its connection file.
#[cfg(unix)]
pub struct SocketSidecar {
    process: tokio::process::Child,
    /// Held open: it still says things.
    _output: tokio::io::BufReader<tokio::process::ChildStdout>,
    pub folder: tempfile::TempDir,
    pub connection_file: PathBuf,
}

#[cfg(unix)]
impl SocketSidecar {
    pub async fn start() -> Self {
        use std::os::unix::fs::PermissionsExt;
        use tokio::io::{AsyncBufReadExt, BufReader};

        // Others may look into no folder that connection files lie in.
        let private = std::fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().permissions(private).tempdir();
        let folder = folder.expect("a temporary folder");
        let mut process = tokio::process::Command::new(python())
            .args([
                "-P",
                "-c",
                &script("sidecar"),
                "--socket",
                "--executor",
                "scripted",
            ])
            .env("XDG_RUNTIME_DIR", folder.path())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("a sidecar");
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let connection_file = loop {
            let mut line = String::new();
            let read = soon(output.read_line(&mut line)).await;
            assert!(
                read.expect("a pipe that can be read") > 0,
                "it told no connection file"
            );
            if let Some((_, path)) = line.trim_end().split_once("connection file: ") {
                break PathBuf::from(path);
            }
        };
        Self {
            process,
            _output: output,
            folder,
            connection_file,
        }
    }

    pub fn runs(&mut self) -> bool {
        self.process.try_wait().expect("a child").is_none()
    }
}

/// The real sidecar, which says what a test tells it.
pub fn sidecar() -> Spawn {
    python_module("sidecar", "tests").option("executor", "scripted")
}

/// A program that starts like the sidecar and then misbehaves.
pub fn fake_sidecar(behaviour: &str) -> Spawn {
    python_module("tests.support.fake_sidecar", "tests").option("behaviour", behaviour)
}

pub fn say(text: &str) -> ChatCreate {
    ChatCreate::new([UserMessage::new(text)])
}

/// What comes within the deadline.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("it comes within the deadline")
}

/// Waits until a condition holds, which some other task or process brings about.
pub async fn until(mut condition: impl FnMut() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Whether a process is there and runs.
pub fn runs(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.contains(") Z "),
        Err(_) => false,
    }
}

pub async fn gone(pid: u32) {
    until(|| !runs(pid)).await;
}

/// The whole text of a stream, and its end.
pub async fn text_of(stream: &mut llm_sidecar_client::ChatStream) -> Result<String, Error> {
    let mut whole = String::new();
    while let Some(text) = soon(stream.next_text()).await {
        whole += &text?;
    }
    Ok(whole)
}
