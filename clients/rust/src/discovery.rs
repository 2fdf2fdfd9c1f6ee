//! Connection files of engines that were started with `sidecar --socket`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::StartFailed;
use crate::transport::{Door, KeyPair};
use crate::types::ConnectionFile;

const FILE_BYTES: u64 = 16 * 1024;

/// The door of the connection file at `path`, or of the newest whose process lives.
pub(crate) fn find_door(path: Option<&Path>) -> Result<Door, StartFailed> {
    let file = match path {
        Some(path) => read(path)?,
        None => newest(&runtime_folder()?)?,
    };
    Ok(Door {
        endpoint: file.endpoint,
        server_key: file.server_key,
        keys: KeyPair {
            public: file.client_key,
            secret: file.client_secret,
        },
    })
}

fn newest(folder: &Path) -> Result<ConnectionFile, StartFailed> {
    let mut found = candidates(folder);
    found.sort_by_key(|(modified, _)| std::cmp::Reverse(*modified));
    found
        .iter()
        .filter_map(|(_, path)| read(path).ok())
        .find(|file| lives(file.pid))
        .ok_or_else(|| StartFailed {
            code: "not_found".into(),
            ..StartFailed::new(format!(
                "no running engine has left a connection file in {}; start one with `sidecar --socket`",
                folder.display()
            ))
        })
}

fn candidates(folder: &Path) -> Vec<(SystemTime, PathBuf)> {
    let Ok(entries) = folder.read_dir() else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|ending| ending == "json")
        })
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect()
}

fn read(path: &Path) -> Result<ConnectionFile, StartFailed> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        StartFailed::new(format!(
            "the connection file {shown} cannot be read: {error}"
        ))
    };
    let file = File::open(path).map_err(unreadable)?;
    if !is_private(&file).map_err(unreadable)? {
        return Err(StartFailed::new(format!(
            "{shown} is open to other users (mode and owner must be 0600 and yours); not used"
        )));
    }
    let mut content = Vec::new();
    file.take(FILE_BYTES)
        .read_to_end(&mut content)
        .map_err(unreadable)?;
    serde_json::from_slice(&content)
        .map_err(|error| StartFailed::new(format!("{shown} is no connection file: {error}")))
}

#[cfg(unix)]
fn is_private(file: &File) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    let status = file.metadata()?;
    Ok(status.uid() == nix::unistd::getuid().as_raw() && status.mode() & 0o077 == 0)
}

/// The folder's access list keeps others out.
#[cfg(not(unix))]
fn is_private(_: &File) -> std::io::Result<bool> {
    Ok(true)
}

/// Whether a process with this id exists.
#[cfg(unix)]
fn lives(pid: u32) -> bool {
    use nix::errno::Errno;
    use nix::sys::signal::kill;
    use nix::unistd::Pid;

    // 0 and what is negative would name groups.
    i32::try_from(pid)
        .is_ok_and(|pid| pid > 0 && kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH))
}

/// Connecting tells.
#[cfg(not(unix))]
fn lives(_: u32) -> bool {
    true
}

/// A folder of this user alone, as the sidecar chooses it.
fn runtime_folder() -> Result<PathBuf, StartFailed> {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let home = || {
        std::env::home_dir().ok_or_else(|| StartFailed::new("this user's home folder is not known"))
    };
    if cfg!(target_os = "macos") {
        return Ok(home()?.join("Library/Caches/TemporaryItems/llm-sidecar"));
    }
    if cfg!(windows) {
        let local = variable("LOCALAPPDATA")
            .map_or_else(|| home().map(|home| home.join("AppData/Local")), Ok)?;
        return Ok(local.join("Temp").join("llm-sidecar"));
    }
    if let Some(runtime) = variable("XDG_RUNTIME_DIR") {
        return Ok(runtime.join("llm-sidecar"));
    }
    let cache =
        variable("XDG_CACHE_HOME").map_or_else(|| home().map(|home| home.join(".cache")), Ok)?;
    Ok(cache.join("llm-sidecar").join("run"))
}

#[cfg(all(test, unix))]
mod tests;
