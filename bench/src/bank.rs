//! The sandbox bank, as a process of its own.
//!
//! Relies on `tollgate-chaos` beside our own binary; the bank forces each payout to its file before it answers.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use tollgate_testkit::process::Running;

use crate::process::binary;

/// How long it may take to open.
const OPENS_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A bank that does as it is told; killed when dropped.
pub(crate) struct Bank {
    url: String,
    process: Running,
}

impl Bank {
    /// Opens one whose answers take this long; its files are in `dir`.
    pub(crate) fn open(dir: &Path, latency: Duration) -> Result<Self> {
        let address = dir.join("bank.address");
        let log = std::fs::File::create(dir.join("bank.log"))?;
        let mut command = Command::new(binary("tollgate-chaos")?);
        command
            .args(["bank", "--latency", &format!("{}ms", latency.as_millis())])
            .arg("--ledger")
            .arg(dir.join("bank.ndjson"))
            .arg("--address-file")
            .arg(&address)
            .env_remove(tollgate::env::TOLLGATE_BANK_TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let mut bank = Self { url: String::new(), process: Running::spawn(&mut command)? };
        let begun = Instant::now();
        while bank.url.is_empty() {
            let said = std::fs::read_to_string(&address).unwrap_or_default();
            if !said.is_empty() {
                bank.url = format!("http://{said}");
            }
            ensure!(bank.process.try_wait()?.is_none(), "the bank did not open");
            ensure!(begun.elapsed() < OPENS_WITHIN, "the bank does not open");
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(bank)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}
