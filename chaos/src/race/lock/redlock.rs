//! Tollgate's own Redlock, extended in the background; its tokens are the fences of `Guarded`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::{BoxFuture, FutureExt};
use tollgate::connect::{Endpoint, RESPONSE_TIMEOUT, Server};
use tollgate::ids::{LockName, Namespace};
use tollgate::lock::{Guarded, HeldLock, LockNodes, LockOptions, Locks};

use super::Lock;
use crate::race::servers::Addresses;

/// How long to try.
const WAIT: Duration = Duration::from_secs(60);
/// Short, since whoever holds it here holds it for milliseconds.
const RETRY_DELAY_MAX: Duration = Duration::from_millis(4);

pub(super) struct Redlock {
    locks: Locks,
    options: LockOptions,
    data: Server,
    held: Option<(LockName, HeldLock)>,
}

impl Redlock {
    pub(super) fn open(addresses: &Addresses, nodes: usize, ttl: Duration) -> anyhow::Result<Self> {
        let url = |socket: &PathBuf| format!("unix://{}", socket.display());
        let urls: Vec<String> = addresses.lock_nodes.iter().take(nodes).map(url).collect();
        let options = LockOptions { retry_delay_max: RETRY_DELAY_MAX, ..LockOptions::of_ttl(ttl).wait(WAIT) };
        Ok(Self {
            locks: Locks::new(LockNodes::open(&urls, None)?, Namespace::default()),
            options,
            data: Server::open(Endpoint::unix(&addresses.redis, RESPONSE_TIMEOUT)?),
            held: None,
        })
    }
}

impl Lock for Redlock {
    fn take<'a>(&'a mut self, name: &'a str) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let name = LockName::parse(name)?;
            let lock = self.locks.acquire(&name, &self.options).await?;
            self.held = Some((name, lock));
            Ok(())
        }
        .boxed()
    }

    fn is_held(&self) -> bool {
        self.held.as_ref().is_some_and(|(_, lock)| lock.lease().check().is_ok())
    }

    fn token(&mut self) -> BoxFuture<'_, anyhow::Result<i64>> {
        async move {
            let (name, _) = self.held.as_ref().context("no lock is held")?;
            let guarded = Guarded::new(self.data.clone(), &Namespace::default(), name.clone());
            Ok(i64::try_from(guarded.mint().await?.number())?)
        }
        .boxed()
    }

    fn release(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        async move {
            if let Some((_, lock)) = self.held.take() {
                // An error says that the lease had ended before.
                let _ = lock.release().await;
            }
            Ok(())
        }
        .boxed()
    }
}
