//! The sandbox bank of a run, as a process of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::process::Child;

use super::options::Args;
use crate::stage::Stage;

/// One request in twenty locks everybody out: for longer, and nothing else would happen.
const LOCK_OUT_FOR: &str = "100ms";
/// How long it may take to open.
const OPENS_WITHIN: Duration = Duration::from_secs(10);

pub(super) struct Bank {
    url: String,
    ledger: PathBuf,
    /// Killed when dropped.
    _process: Child,
}

impl Bank {
    pub(super) async fn open(stage: &Stage, args: &Args) -> anyhow::Result<Self> {
        let [ledger, address, log] =
            ["bank.ndjson", "bank.address", "bank.log"].map(|name| stage.dir().join(name));
        let mut command = stage.command("tollgate-chaos");
        command.arg("bank").arg("--ledger").arg(&ledger).arg("--address-file").arg(&address);
        command
            .args(["--seed", &args.seed.to_string(), "--latency", "1ms..20ms"])
            .args(["--lock-out-for", LOCK_OUT_FOR]);
        for way in ["refuse", "fail-before", "fail-after", "hang", "drop", "accept", "lock-out"] {
            command.args([&format!("--{way}"), &args.rate]);
        }
        if args.forget_keys {
            command.arg("--forget-keys");
        }
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        let mut process =
            command.stderr(std::fs::File::create(&log)?).spawn().context("starting the bank")?;
        let begun = Instant::now();
        loop {
            let said = std::fs::read_to_string(&address).unwrap_or_default();
            if !said.is_empty() {
                return Ok(Self { url: format!("http://{said}"), ledger, _process: process });
            }
            let words = || std::fs::read_to_string(&log).unwrap_or_default();
            ensure!(process.try_wait()?.is_none(), "the bank did not open: {}", words().trim());
            ensure!(begun.elapsed() < OPENS_WITHIN, "the bank does not open");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Its own file.
    pub(super) fn ledger(&self) -> &Path {
        &self.ledger
    }
}
