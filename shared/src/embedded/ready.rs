//! Waiting for a server that starts.

use std::time::{Duration, Instant};

use super::dir::Layout;
use super::error::EmbeddedError;
use super::process::{self, Health};

/// How long a started server may take until it answers at all.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long it may then take to read its data.
const LOADED_WITHIN: Duration = Duration::from_secs(600);
/// Between two looks at a server that starts or stops.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Between two messages about a wait.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Waits until the server answers; `gone` tells that there is none to wait for any more (then: false).
pub(super) fn wait_ready(
    layout: &Layout,
    begun: Instant,
    mut gone: impl FnMut() -> Result<bool, EmbeddedError>,
) -> Result<bool, EmbeddedError> {
    let mut told = Instant::now();
    loop {
        let (within, detail) = match process::health(layout.socket()) {
            Health::Ready => return Ok(true),
            Health::Loading => (LOADED_WITHIN, "it reads its data".to_string()),
            Health::Silent(detail) => (READY_WITHIN, detail),
        };
        if gone()? {
            return Ok(false);
        }
        let waited = begun.elapsed();
        if waited > within {
            let (dir, log) = (layout.dir().to_path_buf(), layout.last_log_lines());
            return Err(EmbeddedError::NotReady { dir, waited, detail, log });
        }
        if told.elapsed() > TELL_EVERY {
            told = Instant::now();
            tracing::info!(dir = %layout.dir().display(), %detail, "waiting for the private redis");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
