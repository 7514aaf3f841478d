//! The sandbox bank of a run, as a process of its own: what it is told, and when it is open.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::process::Command;

/// What goes wrong with requests, by the names of its flags.
const WAYS: [&str; 7] = ["refuse", "fail-before", "fail-after", "hang", "drop", "accept", "lock-out"];
/// Locks everybody out: for longer, and nothing else would happen.
const LOCK_OUT_FOR: &str = "100ms";
/// How long it may take to open.
const OPENS_WITHIN: Duration = Duration::from_secs(10);

/// Its files, in the directory of the run.
pub(crate) struct Files {
    pub(crate) ledger: PathBuf,
    address: PathBuf,
    log: PathBuf,
}

impl Files {
    pub(crate) fn in_dir(dir: &Path) -> Self {
        let [ledger, address, log] = ["bank.ndjson", "bank.address", "bank.log"].map(|name| dir.join(name));
        Self { ledger, address, log }
    }

    /// Makes `command`, which is `tollgate-chaos`, one that opens the bank: each way befalls `rate` of the requests.
    pub(crate) fn arguments(&self, command: &mut Command, seed: u64, rate: &str) -> std::io::Result<()> {
        command.arg("bank").arg("--ledger").arg(&self.ledger).arg("--address-file").arg(&self.address);
        command.args(["--seed", &seed.to_string(), "--latency", "1ms..20ms", "--lock-out-for", LOCK_OUT_FOR]);
        for way in WAYS {
            command.args([&format!("--{way}"), rate]);
        }
        let log = std::fs::File::create(&self.log)?;
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Ok(())
    }

    /// Waits until it is open; answers its URL.
    pub(crate) async fn opened(&self, mut has_ended: impl FnMut() -> bool) -> anyhow::Result<String> {
        let begun = Instant::now();
        loop {
            let said = std::fs::read_to_string(&self.address).unwrap_or_default();
            if !said.is_empty() {
                return Ok(format!("http://{said}"));
            }
            let words = || std::fs::read_to_string(&self.log).unwrap_or_default();
            ensure!(!has_ended(), "the bank did not open: {}", words().trim());
            ensure!(begun.elapsed() < OPENS_WITHIN, "the bank does not open");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
