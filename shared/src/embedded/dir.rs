//! The directory of a private server: where it is, what is in it, who may use it.
//!
//! ```text
//! .tollgate/            0700, ours
//!   lock                flock, held by the server itself
//!   redis.sock          or elsewhere, if this path is too long: then `socket` names it
//!   redis.log, redis.pid, appendfsync
//!   data/               the append-only file
//! ```
//! Relies on the lock alone to know whether a server runs: pid file and socket may be stale.
//! Must not follow into a directory of another user: its files could be links to ours.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::EmbeddedError;
use super::options::AppendFsync;
use crate::env;

/// The name that is searched upward from the current directory.
pub const DIR_NAME: &str = ".tollgate";
/// A unix socket's path has room for 107 bytes; some are kept for temporary names.
const SOCKET_PATH_BYTES_MAX: usize = 100;
/// A log longer than this is set aside when the server starts.
const LOG_BYTES_MAX: u64 = 1 << 20;
/// How much of the log an error shows.
const LOG_LINES_SHOWN: usize = 8;

/// The directory of the private server: the nearest [`DIR_NAME`] at or above the current directory,
/// else one in the current directory (not created yet).
///
/// # Errors
/// The current directory cannot be read.
pub fn find_dir() -> Result<PathBuf, EmbeddedError> {
    let cwd = std::env::current_dir().map_err(|error| unusable(Path::new("."), &error))?;
    Ok(find_dir_from(&cwd))
}

/// [`find_dir`] from another place.
pub fn find_dir_from(start: &Path) -> PathBuf {
    start
        .ancestors()
        .map(|dir| dir.join(DIR_NAME))
        .find(|dir| dir.is_dir())
        .unwrap_or_else(|| start.join(DIR_NAME))
}

/// The lock of a directory, as we found it.
pub(super) enum Lock {
    /// We hold it now, as long as this file (or the server that inherits it) is open.
    Free(File),
    /// A server runs, or someone starts one.
    Held,
}

/// The paths of one directory, checked.
#[derive(Debug)]
pub(super) struct Layout {
    dir: PathBuf,
    socket: PathBuf,
}

impl Layout {
    /// Makes the directory ready for a server.
    pub(super) fn prepare(dir: &Path) -> Result<Self, EmbeddedError> {
        make_private(dir)?;
        let dir = dir.canonicalize().map_err(|error| unusable(dir, &error))?;
        make_private(&dir.join("data"))?;
        // The directory may be in somebody's repository.
        write_once(&dir.join(".gitignore"), "*\n")?;
        let layout = Self { socket: socket_path(&dir)?, dir };
        if layout.socket.parent() != Some(layout.dir()) {
            write(&layout.dir.join("socket"), layout.socket.as_os_str().as_bytes())?;
        }
        Ok(layout)
    }

    /// The directory as it is; None if there is none.
    pub(super) fn existing(dir: &Path) -> Result<Option<Self>, EmbeddedError> {
        if !dir.join("lock").exists() {
            return Ok(None);
        }
        check_ours(dir)?;
        let dir = dir.canonicalize().map_err(|error| unusable(dir, &error))?;
        Ok(Some(Self { socket: socket_path(&dir)?, dir }))
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Takes the lock, if nobody has it.
    pub(super) fn try_lock(&self) -> Result<Lock, EmbeddedError> {
        let path = self.dir.join("lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| unusable(&path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock::Free(file)),
            Err(TryLockError::WouldBlock) => Ok(Lock::Held),
            Err(TryLockError::Error(error)) => Err(unusable(&path, &error)),
        }
    }

    /// Is there no server? Asks the lock, and lets go of it at once.
    pub(super) fn is_free(&self) -> Result<bool, EmbeddedError> {
        Ok(matches!(self.try_lock()?, Lock::Free(_)))
    }

    /// The log, opened for the server to append to.
    pub(super) fn open_log(&self) -> Result<File, EmbeddedError> {
        let path = self.log_path();
        if path.metadata().is_ok_and(|meta| meta.len() > LOG_BYTES_MAX) {
            std::fs::rename(&path, self.dir.join("redis.log.1")).map_err(|error| unusable(&path, &error))?;
        }
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| unusable(&path, &error))
    }

    /// How long the log is that the next server appends to, in bytes.
    pub(super) fn log_length(&self) -> u64 {
        let length = self.log_path().metadata().map_or(0, |meta| meta.len());
        if length > LOG_BYTES_MAX { 0 } else { length }
    }

    /// What was written to the log behind a length.
    pub(super) fn log_since(&self, length: u64) -> String {
        let bytes = std::fs::read(self.log_path()).unwrap_or_default();
        let from = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len());
        String::from_utf8_lossy(&bytes[from..]).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("redis.log")
    }

    /// The end of the log, for an error message.
    pub(super) fn last_log_lines(&self) -> String {
        let text = self.log_since(0);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    /// Notes who runs and how, for people and for the next start. Never read to decide whether one runs.
    pub(super) fn record(&self, pid: u32, appendfsync: AppendFsync) -> Result<(), EmbeddedError> {
        write(&self.dir.join("redis.pid"), format!("{pid}\n").as_bytes())?;
        self.record_appendfsync(appendfsync)
    }

    /// Whom [`Layout::record`] noted last.
    pub(super) fn recorded_pid(&self) -> Option<u32> {
        std::fs::read_to_string(self.dir.join("redis.pid")).ok()?.trim().parse().ok()
    }

    pub(super) fn record_appendfsync(&self, appendfsync: AppendFsync) -> Result<(), EmbeddedError> {
        write(&self.dir.join("appendfsync"), format!("{}\n", appendfsync.as_str()).as_bytes())
    }

    /// How the server was started last.
    pub(super) fn appendfsync(&self) -> Option<AppendFsync> {
        AppendFsync::parse(&std::fs::read_to_string(self.dir.join("appendfsync")).ok()?)
    }
}

/// The socket's path: in the directory if that is short enough, else in the runtime directory under a name
/// that everybody derives from the directory.
fn socket_path(dir: &Path) -> Result<PathBuf, EmbeddedError> {
    let inside = dir.join("redis.sock");
    if inside.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return Ok(inside);
    }
    let digest = Sha256::digest(dir.as_os_str().as_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let runtime = env::path(env::XDG_RUNTIME_DIR).filter(|path| path.is_dir());
    let outside = match runtime {
        Some(runtime) => runtime.join(format!("tollgate-{name}")),
        None => Path::new("/tmp").join(format!("tollgate-{}-{name}", effective_uid())),
    };
    make_private(&outside)?;
    Ok(outside.join("redis.sock"))
}

fn make_private(dir: &Path) -> Result<(), EmbeddedError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            check_ours(dir)?;
            let mode = dir.metadata().map_err(|error| unusable(dir, &error))?.permissions().mode();
            if mode & 0o077 != 0 {
                std::fs::set_permissions(dir, Permissions::from_mode(0o700))
                    .map_err(|error| unusable(dir, &error))?;
            }
            Ok(())
        }
        Err(error) => Err(unusable(dir, &error)),
    }
}

/// A real directory of this very user: anything else could lead the server's writes elsewhere.
fn check_ours(dir: &Path) -> Result<(), EmbeddedError> {
    let meta = dir.symlink_metadata().map_err(|error| unusable(dir, &error))?;
    let refuse = |what: String| Err(EmbeddedError::Dir { path: dir.to_path_buf(), what });
    if !meta.is_dir() {
        return refuse("it is not a directory: move it away, or set TOLLGATE_DIR".into());
    }
    if meta.uid() != effective_uid() {
        return refuse(format!(
            "it belongs to user {}, this is user {}: run as that user, or set TOLLGATE_DIR or REDIS_URL",
            meta.uid(),
            effective_uid()
        ));
    }
    Ok(())
}

fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), EmbeddedError> {
    std::fs::write(path, bytes).map_err(|error| unusable(path, &error))
}

fn write_once(path: &Path, text: &str) -> Result<(), EmbeddedError> {
    if path.exists() { Ok(()) } else { write(path, text.as_bytes()) }
}

fn unusable(path: &Path, error: &io::Error) -> EmbeddedError {
    let what = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "no permission to write there: set TOLLGATE_DIR to a directory of yours, or REDIS_URL".to_string()
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "it is on a read-only file system: set TOLLGATE_DIR to a writable directory, or REDIS_URL".into()
        }
        io::ErrorKind::StorageFull => "the disk is full".into(),
        _ => error.to_string(),
    };
    EmbeddedError::Dir { path: path.to_path_buf(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_directory_upward_is_used() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b/c");
        std::fs::create_dir_all(&deep).unwrap();
        assert_eq!(find_dir_from(&deep), deep.join(DIR_NAME));
        std::fs::create_dir(root.path().join("a").join(DIR_NAME)).unwrap();
        assert_eq!(find_dir_from(&deep), root.path().join("a").join(DIR_NAME));
    }

    #[test]
    fn the_directory_is_made_private() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join(DIR_NAME);
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        let layout = Layout::prepare(&dir).unwrap();
        assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(layout.socket().ends_with("redis.sock") && layout.data().is_dir());
    }

    #[test]
    fn a_long_path_gets_its_socket_elsewhere() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("x".repeat(120));
        let layout = Layout::prepare(&dir).unwrap();
        assert!(layout.socket().as_os_str().len() <= SOCKET_PATH_BYTES_MAX, "{layout:?}");
        let named = std::fs::read_to_string(dir.join("socket")).unwrap();
        assert_eq!(Path::new(&named), layout.socket());
        let parent = layout.socket().parent().unwrap().to_path_buf();
        assert_eq!(parent.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::remove_dir_all(parent).unwrap();
    }

    #[test]
    fn a_file_or_a_link_in_its_place_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join(DIR_NAME);
        std::fs::write(&dir, "").unwrap();
        assert!(Layout::prepare(&dir).unwrap_err().to_string().contains("not a directory"));
        std::fs::remove_file(&dir).unwrap();
        std::os::unix::fs::symlink(root.path(), &dir).unwrap();
        assert!(Layout::prepare(&dir).unwrap_err().to_string().contains("not a directory"));
    }

    #[test]
    fn a_place_that_cannot_be_written_says_what_to_set() {
        for (kind, said) in [
            (io::ErrorKind::PermissionDenied, "permission"),
            (io::ErrorKind::ReadOnlyFilesystem, "read-only"),
        ] {
            let message = unusable(Path::new("/srv/x"), &io::Error::from(kind)).to_string();
            assert!(message.contains("/srv/x") && message.contains(said), "{message}");
            assert!(message.contains("TOLLGATE_DIR") && message.contains("REDIS_URL"), "{message}");
        }
        let error = Layout::prepare(Path::new("/nonexistent/.tollgate")).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/.tollgate"), "{error}");
    }

    #[test]
    fn the_lock_is_held_by_one() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::prepare(&root.path().join(DIR_NAME)).unwrap();
        let Lock::Free(held) = layout.try_lock().unwrap() else { panic!("nobody has it") };
        assert!(matches!(layout.try_lock().unwrap(), Lock::Held) && !layout.is_free().unwrap());
        drop(held);
        assert!(layout.is_free().unwrap());
    }
}
