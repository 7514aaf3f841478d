//! The bank's own file: one JSON object a line, forced to disk before anybody is told.
//!
//! One writer task collects what has gathered and forces it once (group commit). The keys are in memory; they
//! are read back from the file at start, so a bank that was killed has forgotten nothing that it did.
//!
//! A key that is taken is finished in a task of its own: a caller that hangs up cannot leave it half done. If the
//! file cannot be written, nothing can be finished any more: `broken` says so, and the bank has to end.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

/// What a caller wants paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Payout {
    /// The caller's id of the payout.
    pub(crate) id: String,
    /// From which of the caller's accounts.
    pub(crate) account: String,
    /// In minor units.
    pub(crate) amount: u64,
    /// ISO 4217.
    pub(crate) currency: String,
    /// To whom.
    pub(crate) destination: String,
}

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    key: String,
    /// `paid` or `refused`.
    outcome: PaymentState,
    #[serde(flatten)]
    payout: Payout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PaymentState {
    Paid,
    Refused,
}

/// What the bank knows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// In the writer's hands, or promised.
    Underway,
    Done(PaymentState),
}

/// What became of a request to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recorded {
    Paid(Payout),
    PaidBefore(Payout),
    Promised,
    Refused,
    OtherPayout,
}

/// What a key stands for.
pub(crate) enum Lookup {
    Unknown,
    Known(Recorded),
}

/// Cheap to clone: all clones are one ledger.
#[derive(Clone)]
pub(crate) struct Ledger {
    shared: Arc<Shared>,
}

struct Shared {
    keys: Mutex<HashMap<String, (Payout, Known)>>,
    forgets: bool,
    writer: mpsc::Sender<(String, oneshot::Sender<()>)>,
    /// Told after each key that was finished.
    finished: Notify,
}

/// Lines that may wait for the writer.
const WAITING_MAX: usize = 1_024;

impl Ledger {
    /// Opens the file and reads its keys. A last line that a crash cut off was never answered: it is cut away.
    pub(crate) async fn open(path: &Path, forgets: bool) -> anyhow::Result<Self> {
        let text = match tokio::fs::read_to_string(path).await {
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut keys = HashMap::new();
        for (number, line) in whole.lines().enumerate() {
            let line: Line = serde_json::from_str(line).with_context(|| format!("line {}", number + 1))?;
            if !forgets {
                keys.insert(line.key, (line.payout, Known::Done(line.outcome)));
            }
        }
        let file = OpenOptions::new().create(true).append(true).open(path).await?;
        file.set_len(whole.len() as u64).await?;
        let (writer, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(write(file, waiting));
        Ok(Self {
            shared: Arc::new(Shared { keys: Mutex::new(keys), forgets, writer, finished: Notify::new() }),
        })
    }

    /// Pays, or refuses, under `key`, once; answers what the key stands for if it was used before.
    ///
    /// # Cancel safety
    /// Dropped, it goes on: once the key is taken it is finished.
    pub(crate) async fn record(&self, key: &str, payout: Payout, refuse: bool) -> anyhow::Result<Recorded> {
        let outcome = if refuse { PaymentState::Refused } else { PaymentState::Paid };
        match self.begin(key, &payout, outcome, Duration::ZERO) {
            Err(known) => Ok(known),
            Ok(finished) => {
                finished.await.context("the ledger is gone")??;
                Ok(if refuse { Recorded::Refused } else { Recorded::Paid(payout) })
            }
        }
    }

    /// Promises to pay under `key` after `later`; answers what the key stands for if it was used before.
    pub(crate) fn promise(&self, key: &str, payout: &Payout, later: Duration) -> Recorded {
        match self.begin(key, payout, PaymentState::Paid, later) {
            Err(known) => known,
            Ok(_) => Recorded::Promised,
        }
    }

    /// Takes `key` and finishes it in a task of its own. `Err`: what it stands for, if it is taken.
    fn begin(
        &self,
        key: &str,
        payout: &Payout,
        outcome: PaymentState,
        later: Duration,
    ) -> Result<JoinHandle<anyhow::Result<()>>, Recorded> {
        match self.keys().entry(key.to_owned()) {
            Entry::Occupied(taken) => {
                let (other, known) = taken.get();
                Err(if other == payout { Self::recorded(payout, *known) } else { Recorded::OtherPayout })
            }
            Entry::Vacant(free) => {
                free.insert((payout.clone(), Known::Underway));
                let (ledger, key, payout) = (self.clone(), key.to_owned(), payout.clone());
                Ok(tokio::spawn(async move {
                    tokio::time::sleep(later).await;
                    ledger.finish(key, payout, outcome).await
                }))
            }
        }
    }

    pub(crate) fn look_up(&self, key: &str) -> Lookup {
        match self.keys().get(key) {
            None => Lookup::Unknown,
            Some((payout, known)) => Lookup::Known(Self::recorded(payout, *known)),
        }
    }

    /// Ends when the file could not be written: no key can be finished any more.
    pub(crate) async fn broken(&self) {
        self.shared.writer.closed().await;
    }

    /// Ends when every key that was taken is finished.
    pub(crate) async fn all_finished(&self) {
        loop {
            let finished = self.shared.finished.notified();
            if self.keys().values().all(|(_, known)| *known != Known::Underway) {
                return;
            }
            finished.await;
        }
    }

    async fn finish(&self, key: String, payout: Payout, outcome: PaymentState) -> anyhow::Result<()> {
        let line = Line { key: key.clone(), outcome, payout: payout.clone() };
        let (done, forced) = oneshot::channel();
        let closed = "the ledger's writer has stopped";
        self.shared.writer.send((serde_json::to_string(&line)?, done)).await.context(closed)?;
        forced.await.context(closed)?;
        if self.shared.forgets {
            self.keys().remove(&key);
        } else {
            self.keys().insert(key, (payout, Known::Done(outcome)));
        }
        self.shared.finished.notify_waiters();
        Ok(())
    }

    fn recorded(payout: &Payout, known: Known) -> Recorded {
        match known {
            Known::Underway => Recorded::Promised,
            Known::Done(PaymentState::Paid) => Recorded::PaidBefore(payout.clone()),
            Known::Done(PaymentState::Refused) => Recorded::Refused,
        }
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<String, (Payout, Known)>> {
        // No code panics while it holds the lock, so a poisoned map is a whole map.
        self.shared.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what waits, forces it to disk once, then tells everybody whose line that was.
async fn write(mut file: File, mut waiting: mpsc::Receiver<(String, oneshot::Sender<()>)>) {
    let mut lines = Vec::new();
    while waiting.recv_many(&mut lines, WAITING_MAX).await > 0 {
        let text: String = lines.iter().flat_map(|(line, _)| [line.as_str(), "\n"]).collect();
        let forced = async {
            file.write_all(text.as_bytes()).await?;
            file.flush().await?;
            file.sync_data().await
        };
        if let Err(problem) = forced.await {
            // Nobody is told that a payout was made: the callers see a closed writer.
            tracing::error!(%problem, "the ledger cannot be written");
            return;
        }
        for (_, done) in lines.drain(..) {
            // The caller may have gone; the payout stands.
            let _ = done.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payout(amount: u64) -> Payout {
        Payout {
            id: "p".to_owned(),
            account: "a".to_owned(),
            amount,
            currency: "USD".to_owned(),
            destination: "d".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_key_pays_once_also_after_a_restart_and_a_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let ledger = Ledger::open(&path, false).await.unwrap();
        assert_eq!(ledger.record("k", payout(1), false).await.unwrap(), Recorded::Paid(payout(1)));
        assert_eq!(ledger.record("k", payout(1), false).await.unwrap(), Recorded::PaidBefore(payout(1)));
        assert_eq!(ledger.record("k", payout(2), false).await.unwrap(), Recorded::OtherPayout);
        assert_eq!(ledger.record("r", payout(1), true).await.unwrap(), Recorded::Refused);
        drop(ledger);

        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{whole}{{\"key\":\"torn")).unwrap();
        let ledger = Ledger::open(&path, false).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        assert_eq!(ledger.record("k", payout(1), false).await.unwrap(), Recorded::PaidBefore(payout(1)));
        assert_eq!(ledger.record("r", payout(1), false).await.unwrap(), Recorded::Refused);
    }

    #[tokio::test]
    async fn a_bank_that_forgets_pays_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let ledger = Ledger::open(&path, true).await.unwrap();
        for _ in 0..2 {
            assert_eq!(ledger.record("k", payout(1), false).await.unwrap(), Recorded::Paid(payout(1)));
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    /// Polls a request once and drops it, as a server does whose caller has hung up.
    async fn hang_up(request: impl Future<Output = anyhow::Result<Recorded>>) {
        let polled_once = tokio::time::timeout(Duration::ZERO, request).await;
        assert!(polled_once.is_err(), "the file was written before the caller could hang up");
    }

    #[tokio::test]
    async fn what_was_begun_is_finished_whoever_hangs_up() {
        for forgets in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("ledger");
            let ledger = Ledger::open(&path, forgets).await.unwrap();
            hang_up(ledger.record("paid", payout(1), false)).await;
            hang_up(ledger.record("refused", payout(2), true)).await;
            assert_eq!(ledger.promise("later", &payout(3), Duration::from_millis(20)), Recorded::Promised);
            tokio::time::timeout(Duration::from_secs(10), ledger.all_finished()).await.unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
            let after = |key: &str| match ledger.look_up(key) {
                Lookup::Known(recorded) => Some(recorded),
                Lookup::Unknown => None,
            };
            let known = |recorded| (!forgets).then_some(recorded);
            assert_eq!(after("paid"), known(Recorded::PaidBefore(payout(1))));
            assert_eq!(after("refused"), known(Recorded::Refused));
            assert_eq!(after("later"), known(Recorded::PaidBefore(payout(3))));
        }
    }
}
