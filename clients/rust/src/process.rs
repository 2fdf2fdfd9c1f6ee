//! The engine's process: started with a clean environment, watched, and never left behind.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::error::StartFailed;

pub(crate) const MAX_READY_LINE_BYTES: usize = 4 * 1024;
const TAIL_LINES: usize = 200;
const LINE_BYTES: u64 = 16 * 1024;

/// Gets each line of the engine's stderr.
pub(crate) type LogSink = Arc<dyn Fn(&str) + Send + Sync>;

/// Which program to start.
#[derive(Clone)]
pub(crate) struct Program {
    pub path: OsString,
    pub arguments: Vec<OsString>,
    /// In place of this program's own environment.
    pub environment: Option<Vec<(OsString, OsString)>>,
    pub on_log: Option<LogSink>,
}

impl fmt::Debug for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Program({:?})", self.path)
    }
}

/// What is done to a process.
enum Act {
    CloseStdin,
    Terminate,
    Kill,
}

/// A running child process. Dropping it kills it with its whole group.
#[derive(Debug)]
pub(crate) struct Process {
    pub pid: u32,
    acts: mpsc::UnboundedSender<Act>,
    exit: watch::Receiver<Option<ExitStatus>>,
    stderr_ended: watch::Receiver<bool>,
    tail: Arc<Mutex<VecDeque<String>>>,
}

impl Process {
    /// Starts it, hands it its line, and gives back where its first line of output will be; empty
    /// when it ended without one.
    pub(crate) fn start(
        program: &Program,
        spawn_line: Vec<u8>,
    ) -> Result<(Self, oneshot::Receiver<Vec<u8>>), StartFailed> {
        let mut child = command(program).spawn().map_err(|error| {
            StartFailed::new(format!("{:?} cannot be started: {error}", program.path))
        })?;
        let pid = child.id().unwrap_or_default();
        let (stdin, stdout, stderr) = (
            child.stdin().take(),
            child.stdout().take(),
            child.stderr().take(),
        );
        let (acts, to_do) = mpsc::unbounded_channel();
        let (to_exit, exit) = watch::channel(None);
        let (to_stderr_ended, stderr_ended) = watch::channel(false);
        let (to_first_line, first_line) = oneshot::channel();
        let tail = Arc::new(Mutex::new(VecDeque::with_capacity(TAIL_LINES)));
        tokio::spawn(keep(
            Group {
                child,
                reaped: false,
            },
            stdin,
            spawn_line,
            to_do,
            to_exit,
        ));
        if let Some(stdout) = stdout {
            tokio::spawn(read_stdout(stdout, to_first_line));
        }
        if let Some(stderr) = stderr {
            let (tail, sink) = (tail.clone(), program.on_log.clone());
            tokio::spawn(async move {
                read_lines(stderr, |line| {
                    let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                    if tail.len() == TAIL_LINES {
                        tail.pop_front();
                    }
                    tail.push_back(line.to_owned());
                    drop(tail);
                    if let Some(sink) = &sink {
                        sink(line);
                    }
                })
                .await;
                to_stderr_ended.send_replace(true);
            });
        }
        let process = Self {
            pid,
            acts,
            exit,
            stderr_ended,
            tail,
        };
        Ok((process, first_line))
    }

    /// The last lines it wrote to stderr.
    pub(crate) fn stderr_tail(&self) -> Vec<String> {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.iter().cloned().collect()
    }

    /// How it ended, if it has.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Waits for its end.
    pub(crate) async fn exited(&self) {
        // The task that tells it ends with the runtime, and then nobody waits here.
        let _ = self.exit.clone().wait_for(Option::is_some).await;
    }

    /// Waits for its end so long; whether it has come.
    pub(crate) async fn exits_within(&self, time: Duration) -> bool {
        timeout(time, self.exited()).await.is_ok()
    }

    /// Waits so long for what it still said on stderr.
    pub(crate) async fn last_words(&self, time: Duration) {
        let mut ended = self.stderr_ended.clone();
        let _ = timeout(time, ended.wait_for(|ended| *ended)).await;
    }

    /// Ends it and its whole group: stdin's end and SIGTERM, after `patience` SIGKILL.
    pub(crate) async fn end(&self, patience: Duration) {
        self.act(Act::CloseStdin);
        self.act(Act::Terminate);
        self.exits_within(patience).await;
        self.kill().await;
    }

    /// Kills its whole group, now, and waits for its end.
    pub(crate) async fn kill(&self) {
        self.act(Act::Kill);
        self.exited().await;
    }

    fn act(&self, act: Act) {
        // A process that has ended needs nothing.
        let _ = self.acts.send(act);
    }
}

/// A child and all that it started; killed when dropped.
struct Group {
    child: Box<dyn ChildWrapper>,
    reaped: bool,
}

impl Group {
    async fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().await;
        // What it left behind in its group ends with it.
        self.kill();
        self.reaped = true;
        status.unwrap_or_default()
    }

    fn kill(&mut self) {
        if !self.reaped {
            // Fails when nobody is left.
            let _ = self.child.start_kill();
        }
    }

    fn terminate(&self) {
        #[cfg(unix)]
        if !self.reaped {
            // The leader alone: what it started is for it to end in order.
            let _ = self.child.inner().signal(nix::libc::SIGTERM);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Keeps a child until it has ended; ends it when its owner is gone.
async fn keep(
    mut group: Group,
    mut stdin: Option<ChildStdin>,
    spawn_line: Vec<u8>,
    mut acts: mpsc::UnboundedReceiver<Act>,
    exit: watch::Sender<Option<ExitStatus>>,
) {
    if let Some(pipe) = &mut stdin {
        // A process that died at once is reported with its exit status, not as a broken pipe. One
        // that reads nothing does not hold this up: the pipe has room for the line.
        let _ = timeout(Duration::from_secs(1), pipe.write_all(&spawn_line)).await;
    }
    let status = loop {
        tokio::select! {
            status = group.wait() => break status,
            act = acts.recv() => match act {
                Some(Act::CloseStdin) => stdin = None,
                Some(Act::Terminate) => group.terminate(),
                Some(Act::Kill) => group.kill(),
                None => {
                    group.kill();
                    break group.wait().await;
                }
            },
        }
    };
    drop(stdin);
    exit.send_replace(Some(status));
}

fn command(program: &Program) -> CommandWrap {
    let environment = match &program.environment {
        Some(environment) => environment.clone(),
        None => std::env::vars_os().collect(),
    };
    let mut command = CommandWrap::with_new(&program.path, |command| {
        command
            .args(&program.arguments)
            .env_clear()
            .envs(
                environment
                    .into_iter()
                    .filter(|(name, _)| is_harmless(name)),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    });
    command.wrap(process_wrap::tokio::KillOnDrop);
    #[cfg(unix)]
    command.wrap(process_wrap::tokio::ProcessGroup::leader());
    #[cfg(windows)]
    {
        use windows::Win32::System::Threading::CREATE_NO_WINDOW;
        command.wrap(process_wrap::tokio::CreationFlags(CREATE_NO_WINDOW));
        command.wrap(process_wrap::tokio::JobObject);
    }
    command
}

/// Whether a variable leaves alone which code a child loads.
fn is_harmless(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_uppercase();
    !["LD_", "DYLD_", "PYTHON", "_PYI_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

async fn read_stdout(stdout: ChildStdout, first_line: oneshot::Sender<Vec<u8>>) {
    let mut stdout = BufReader::new(stdout);
    let mut line = Vec::new();
    let most = MAX_READY_LINE_BYTES as u64 + 1;
    // An output that cannot be read is one without a line.
    let _ = (&mut stdout).take(most).read_until(b'\n', &mut line).await;
    // Nobody may wait for it any more.
    let _ = first_line.send(line);
    let mut rest = [0; 4096];
    while let Ok(1..) = stdout.read(&mut rest).await {}
}

async fn read_lines(stream: impl AsyncRead + Unpin, mut take: impl FnMut(&str)) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut rest = (&mut stream).take(LINE_BYTES);
        if !matches!(rest.read_until(b'\n', &mut line).await, Ok(1..)) {
            return;
        }
        take(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_change_what_is_loaded_are_left_out() {
        for name in [
            "LD_PRELOAD",
            "DYLD_LIBRARY_PATH",
            "PYTHONPATH",
            "_PYI_ARCHIVE",
            "Pythonhome",
        ] {
            assert!(!is_harmless(OsStr::new(name)), "{name}");
        }
        for name in ["PATH", "HOME", "LDFLAGS", "MY_PYTHON"] {
            assert!(is_harmless(OsStr::new(name)), "{name}");
        }
    }

    #[tokio::test]
    async fn long_lines_come_in_pieces() {
        let text = [
            vec![b'x'; LINE_BYTES as usize + 5],
            b"\r\nshort\n\xffend".to_vec(),
        ]
        .concat();
        let mut lines = Vec::new();
        read_lines(text.as_slice(), |line| lines.push(line.to_owned())).await;
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[1..], ["xxxxx", "short", "\u{fffd}end"]);
    }
}
