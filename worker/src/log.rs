//! The log on stderr: what is written, and what becomes of a line that cannot be written.
//!
//! Lines go through a bounded queue to a thread of their own, so that neither a pipe whose reader is gone nor one
//! whose reader stands still can stop or kill a task. What cannot be written is dropped, counted, and said as soon as
//! writing works again. Must not panic and must not block a task, whatever stderr is.

mod filter;

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use clap::ValueEnum;
use tracing::{error, warn};

pub(crate) use filter::Filter;

/// Lines that wait to be written, about a megabyte.
const LINES_MAX: usize = 8192;
/// How long the end of the process waits for the last lines.
const FLUSH_WITHIN: Duration = Duration::from_millis(500);

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

static WRITER: OnceLock<SyncSender<Message>> = OnceLock::new();
/// Since the start of the process.
static DROPPED: AtomicU64 = AtomicU64::new(0);

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Begins to log; to be called once.
pub(crate) fn install(format: LogFormat, filter: Filter) {
    let (sender, receiver) = sync_channel(LINES_MAX);
    if WRITER.set(sender).is_err() {
        return;
    }
    // Without the thread every line is dropped and counted: nothing else would be better.
    let _ = std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&receiver));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter.0)
        .with_ansi(tollgate_cli::stderr_has_colours())
        // Its own words about a failed write would go to stderr, and panic there.
        .log_internal_errors(false)
        .with_writer(|| Lines);
    match format {
        LogFormat::Text => log.with_target(false).init(),
        LogFormat::Json => log.json().init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let message = crate::supervisor::panic_message(panic.payload());
        let location = panic.location().map(ToString::to_string);
        error!(location, thread = std::thread::current().name(), "panicked: {message}");
    }));
}

/// How many lines could not be written.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Waits until what was logged is written, but not for long.
pub(crate) fn flush() {
    let (done, written) = sync_channel(1);
    if let Some(writer) = WRITER.get()
        && writer.try_send(Message::Flush(done)).is_ok()
    {
        let _ = written.recv_timeout(FLUSH_WITHIN);
    }
}

/// What an event is written to: each write is a whole event.
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let sent = WRITER.get().map(|writer| writer.try_send(Message::Line(line.to_vec())));
        if matches!(sent, None | Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_)))) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread that writes.
fn write(messages: &Receiver<Message>) {
    let mut said = 0;
    while let Ok(message) = messages.recv() {
        match message {
            Message::Flush(done) => drop(done.send(())),
            Message::Line(line) if io::stderr().lock().write_all(&line).is_err() => {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
            Message::Line(_) => {
                let dropped = dropped();
                if dropped > said {
                    warn!(lines = dropped - said, "log lines could not be written and were dropped");
                    said = dropped;
                }
            }
        }
    }
}
