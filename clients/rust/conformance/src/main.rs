//! Uses llm-sidecar-client as lines of JSON on stdin say, and tells in lines of JSON on stdout what
//! it sees. One suite of scenarios, tests/clients, is run against such a program in each language.
//!
//! Everything runs on one thread, so that commands are begun in the order in which they came.

mod command;
mod driver;
mod failure;
mod handlers;
mod measures;
mod opening;
mod requests;
mod timer;
mod value;
mod voice;

use std::io::BufRead;
use std::process::ExitCode;

use tokio::sync::mpsc;

use crate::driver::Driver;
use crate::voice::{Said, Voice};

const BAD_COMMAND: u8 = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (voice, writer) = Voice::on_stdout();
    let mut lines = lines_of_stdin();
    let mut driver = Driver::new(voice.clone());
    let mut code = ExitCode::SUCCESS;
    while let Some(line) = lines.recv().await {
        if let Err(why) = driver.begin(&line) {
            voice.say(&Said::BadCommand { line, why });
            code = ExitCode::from(BAD_COMMAND);
            break;
        }
    }
    driver.close().await;
    voice.end();
    // It panicked only if nobody reads what is said.
    let _ = writer.join();
    code
}

/// Lines as they come, on a thread of their own, since reading stdin blocks.
fn lines_of_stdin() -> mpsc::UnboundedReceiver<String> {
    let (to_lines, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if to_lines.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
