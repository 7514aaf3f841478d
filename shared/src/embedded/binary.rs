//! Finds the redis-server binary, or says how to install it.
//!
//! Relies on PATH. Must not install anything.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::error::EmbeddedError;
use crate::env;

/// Valkey is the same server for our purposes.
const NAMES: [&str; 2] = ["redis-server", "valkey-server"];

/// Package managers and their install commands, first found first named.
const INSTALLERS: [(&str, &str); 5] = [
    ("apt-get", "sudo apt-get install redis-server"),
    ("dnf", "sudo dnf install redis"),
    ("apk", "sudo apk add redis"),
    ("pacman", "sudo pacman -S redis"),
    ("brew", "brew install redis"),
];

/// The binary that a private server is started from: the one that [`env::TOLLGATE_REDIS_SERVER`] names, else the first
/// of redis-server and valkey-server in PATH.
///
/// # Errors
/// What is named is not executable, or nothing is in PATH.
pub fn server_binary() -> Result<PathBuf, EmbeddedError> {
    find(None)
}

/// The same, where an option may name it first.
pub(super) fn find(named: Option<&Path>) -> Result<PathBuf, EmbeddedError> {
    if let Some(path) = named.map(Path::to_path_buf).or_else(|| env::path(env::TOLLGATE_REDIS_SERVER)) {
        // The server is started in its own directory, from where a relative path would be another one.
        let whole = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
        return if is_executable(&whole) { Ok(whole) } else { Err(EmbeddedError::BadBinary { path }) };
    }
    NAMES
        .iter()
        .find_map(|name| in_path(name))
        .ok_or_else(|| EmbeddedError::NoBinary { install: install_command() })
}

fn install_command() -> &'static str {
    INSTALLERS
        .iter()
        .find(|(manager, _)| in_path(manager).is_some())
        .map_or("the package manager of this system", |(_, command)| command)
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| is_executable(file))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_binary_must_be_executable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("redis-server");
        assert!(matches!(find(Some(&path)), Err(EmbeddedError::BadBinary { .. })));
        std::fs::write(&path, "").unwrap();
        assert!(matches!(find(Some(&path)), Err(EmbeddedError::BadBinary { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find(Some(&path)).unwrap(), path);
    }

    #[test]
    fn a_missing_server_is_one_clear_error() {
        let message = EmbeddedError::NoBinary { install: INSTALLERS[0].1 }.to_string();
        assert!(message.contains("sudo apt-get install redis-server") && message.contains("REDIS_URL"));
    }
}
