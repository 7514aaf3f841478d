//! The bank's own file: one JSON object a line, forced to disk before anybody is told.
//!
//! One writer task collects what has gathered and forces it once (group commit). The keys are in memory; they
//! are read back from the file at start, so a bank that was killed has forgotten nothing.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot};

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
    outcome: Outcome,
    #[serde(flatten)]
    payout: Payout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Paid,
    Refused,
}

/// What the bank knows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// In the writer's hands, or promised.
    Underway,
    Done(Outcome),
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

pub(crate) struct Ledger {
    keys: Mutex<HashMap<String, (Payout, Known)>>,
    forgets: bool,
    writer: mpsc::Sender<(String, oneshot::Sender<()>)>,
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
        Ok(Self { keys: Mutex::new(keys), forgets, writer })
    }

    /// Pays, or refuses, under `key`, once; answers what the key stands for if it was used before.
    pub(crate) async fn record(&self, key: &str, payout: Payout, refuse: bool) -> anyhow::Result<Recorded> {
        if let Some(known) = self.promise(key, &payout) {
            return Ok(known);
        }
        let outcome = if refuse { Outcome::Refused } else { Outcome::Paid };
        self.finish(key, payout.clone(), outcome).await?;
        Ok(if refuse { Recorded::Refused } else { Recorded::Paid(payout) })
    }

    /// Takes `key` for `payout`; what it stands for if it is taken.
    pub(crate) fn promise(&self, key: &str, payout: &Payout) -> Option<Recorded> {
        let mut keys = self.keys();
        match keys.get(key) {
            Some((other, _)) if other != payout => Some(Recorded::OtherPayout),
            Some((_, known)) => Some(Self::recorded(payout, *known)),
            None => {
                keys.insert(key.to_owned(), (payout.clone(), Known::Underway));
                None
            }
        }
    }

    /// Pays what was promised.
    pub(crate) async fn keep_promise(&self, key: &str, payout: Payout) -> anyhow::Result<()> {
        self.finish(key, payout, Outcome::Paid).await
    }

    pub(crate) fn look_up(&self, key: &str) -> Lookup {
        match self.keys().get(key) {
            None => Lookup::Unknown,
            Some((payout, known)) => Lookup::Known(Self::recorded(payout, *known)),
        }
    }

    async fn finish(&self, key: &str, payout: Payout, outcome: Outcome) -> anyhow::Result<()> {
        let line = Line { key: key.to_owned(), outcome, payout: payout.clone() };
        let (done, forced) = oneshot::channel();
        let closed = "the ledger's writer has stopped";
        self.writer.send((serde_json::to_string(&line)?, done)).await.context(closed)?;
        forced.await.context(closed)?;
        let mut keys = self.keys();
        if self.forgets {
            keys.remove(key);
        } else {
            keys.insert(key.to_owned(), (payout, Known::Done(outcome)));
        }
        Ok(())
    }

    fn recorded(payout: &Payout, known: Known) -> Recorded {
        match known {
            Known::Underway => Recorded::Promised,
            Known::Done(Outcome::Paid) => Recorded::PaidBefore(payout.clone()),
            Known::Done(Outcome::Refused) => Recorded::Refused,
        }
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<String, (Payout, Known)>> {
        // No code panics while it holds the lock, so a poisoned map is a whole map.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
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
}
