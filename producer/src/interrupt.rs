//! Ctrl-C and SIGTERM: the first stops a long command at the next place where it is whole, the second at once.
//!
//! Safe at any place: whatever was sent can be sent again under its ids.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Exit code of a command that was told to stop twice: as a shell tells a death by SIGINT.
const STOPPED_HARD: i32 = 130;

/// Whether the command was told to stop.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens from now on, in a task of its own.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (told, heard) = watch::channel(false);
        tokio::spawn(async move {
            either(&mut int, &mut term).await;
            let _ = told.send(true);
            either(&mut int, &mut term).await;
            #[expect(
                clippy::disallowed_methods,
                reason = "told twice: not even the answer on the way is awaited"
            )]
            std::process::exit(STOPPED_HARD);
        });
        Ok(Self(heard))
    }

    pub(crate) fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the command is told to stop.
    pub(crate) async fn told(&mut self) {
        if self.0.wait_for(|told| *told).await.is_err() {
            // Nobody listens any more: then nobody stops us.
            std::future::pending::<()>().await;
        }
    }
}

async fn either(int: &mut Signal, term: &mut Signal) {
    tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
}
