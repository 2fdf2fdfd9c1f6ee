//! The README's quick start, word for word, with the real engine and its default model.
#![cfg(unix)]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// A small model on a busy computer takes its time.
const DEADLINE: Duration = Duration::from_secs(150);

/// Where cargo has put the example of this build.
fn example() -> PathBuf {
    let test = std::env::current_exe().expect("a test");
    let folder = test.ancestors().nth(2).expect("target/debug/deps");
    folder.join("examples/quick_start")
}

/// The sidecar as it is installed beside the project's Python.
fn program() -> PathBuf {
    let program = support::python().with_file_name("sidecar");
    assert!(
        program.exists(),
        "{} is missing: `make test` installs the engine that the quick start is tried on",
        program.display()
    );
    program
}

#[test]
fn the_quick_start_is_the_example() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let example = std::fs::read_to_string(folder.join("examples/quick_start.rs")).unwrap();
    assert!(readme.contains(&format!("```rust,no_run\n{example}```")));
}

#[tokio::test]
async fn the_quick_start_answers() {
    let folder = tempfile::TempDir::new().unwrap();
    let sidecar = folder.path().join("path/to/sidecar");
    std::fs::create_dir_all(sidecar.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(program(), &sidecar).unwrap();
    let running = tokio::process::Command::new(example())
        .current_dir(&folder)
        .env("HOME", folder.path())
        .env_remove("XDG_DATA_HOME")
        .env_remove("XDG_CACHE_HOME")
        .kill_on_drop(true)
        .output();
    let done = tokio::time::timeout(DEADLINE, running).await;
    let done = done.expect("an answer within the deadline").unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let answer = String::from_utf8_lossy(&done.stdout).to_lowercase();
    let about = ["photosynthesis", "plants", "light"];
    assert!(about.iter().any(|word| answer.contains(word)), "{answer:?}");
}
