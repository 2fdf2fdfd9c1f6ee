//! The README's quick start, word for word, against a sidecar.
#![cfg(unix)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where cargo has put the example of this build.
fn example() -> PathBuf {
    let test = std::env::current_exe().expect("a test");
    let folder = test.ancestors().nth(2).expect("target/debug/deps");
    folder.join("examples/quick_start")
}

#[test]
fn the_quick_start_is_the_example() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let example = std::fs::read_to_string(folder.join("examples/quick_start.rs")).unwrap();
    assert!(readme.contains(&format!("```rust,no_run\n{example}```")));
}

#[test]
fn the_quick_start_answers() {
    let folder = tempfile::TempDir::new().unwrap();
    let sidecar = folder.path().join("path/to/sidecar");
    std::fs::create_dir_all(sidecar.parent().unwrap()).unwrap();
    std::fs::write(&sidecar, support::scripted_program()).unwrap();
    std::fs::set_permissions(&sidecar, std::fs::Permissions::from_mode(0o700)).unwrap();
    let done = Command::new(example())
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert_eq!(
        String::from_utf8_lossy(&done.stdout),
        "What is photosynthesis?"
    );
}
