use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tempfile::TempDir;

use super::*;

fn write(folder: &TempDir, name: &str, pid: u32, age: u64, mode: u32) -> PathBuf {
    let file = ConnectionFile {
        endpoint: format!("tcp://127.0.0.1:1/{name}"),
        server_key: "s".repeat(40),
        client_key: "c".repeat(40),
        client_secret: "very-secret".into(),
        boot_id: name.into(),
        pid,
        protocol: 1,
        version: "1".into(),
        app_id: "debug".into(),
    };
    let path = folder.path().join(format!("{name}.json"));
    std::fs::write(&path, serde_json::to_vec(&file).unwrap()).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    let modified = SystemTime::now() - Duration::from_secs(age);
    File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    path
}

fn dead_pid() -> u32 {
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    ended.id()
}

#[test]
fn the_newest_whose_process_lives() {
    let folder = TempDir::new().unwrap();
    write(&folder, "older", std::process::id(), 100, 0o600);
    write(&folder, "newer", std::process::id(), 50, 0o600);
    write(&folder, "dead", dead_pid(), 0, 0o600);
    std::fs::write(folder.path().join("noise.json"), "{").unwrap();
    assert_eq!(
        newest(folder.path())
            .map_err(|failed| failed.message)
            .unwrap()
            .boot_id,
        "newer"
    );
}

#[test]
fn none_is_explained() {
    let folder = TempDir::new().unwrap();
    write(&folder, "dead", dead_pid(), 0, 0o600);
    for path in [folder.path().to_owned(), folder.path().join("missing")] {
        let Err(failed) = newest(&path) else {
            panic!("there is none")
        };
        assert_eq!(failed.code, "not_found");
        assert!(failed.message.contains("sidecar --socket"));
    }
}

#[test]
fn a_named_file_and_its_secret() {
    let folder = TempDir::new().unwrap();
    let door = find_door(Some(&write(&folder, "mine", 1, 0, 0o600))).unwrap();
    assert_eq!(door.endpoint, "tcp://127.0.0.1:1/mine");
    assert_eq!(door.keys.secret, "very-secret");
    assert!(!format!("{door:?}").contains("very-secret"));
    let missing = find_door(Some(&folder.path().join("missing.json"))).unwrap_err();
    assert!(missing.message.contains("cannot be read"));
}

#[test]
fn a_file_open_to_others_or_that_is_none_is_not_used() {
    let folder = TempDir::new().unwrap();
    let open = write(&folder, "open", std::process::id(), 0, 0o644);
    assert!(
        find_door(Some(&open))
            .unwrap_err()
            .message
            .contains("open to other users")
    );
    assert!(newest(folder.path()).is_err());
    let none = write(&folder, "none", 1, 0, 0o600);
    std::fs::write(&none, "[]").unwrap();
    assert!(
        find_door(Some(&none))
            .unwrap_err()
            .message
            .contains("no connection file")
    );
}
