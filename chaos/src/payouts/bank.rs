//! The sandbox bank of a run, as a process of its own.

use std::path::{Path, PathBuf};

use anyhow::Context;
use tokio::process::Child;

use super::options::Args;
use crate::sandbox::Files;
use crate::stage::Stage;

pub(super) struct Bank {
    url: String,
    ledger: PathBuf,
    /// Killed when dropped.
    _process: Child,
}

impl Bank {
    pub(super) async fn open(stage: &Stage, args: &Args) -> anyhow::Result<Self> {
        let files = Files::in_dir(stage.dir());
        let mut command = stage.command("tollgate-chaos");
        files.arguments(&mut command, args.seed, &args.rate)?;
        if args.forget_keys {
            command.arg("--forget-keys");
        }
        let mut process = command.spawn().context("starting the bank")?;
        let url = files.opened(|| !matches!(process.try_wait(), Ok(None))).await?;
        Ok(Self { url, ledger: files.ledger, _process: process })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Its own file.
    pub(super) fn ledger(&self) -> &Path {
        &self.ledger
    }
}
