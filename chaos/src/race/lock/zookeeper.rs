//! ZooKeeper's lock recipe: ephemeral nodes in a sequence, each waiting for the one before. It ends with its
//! session. Its token is the zxid that created its node.

use std::time::Duration;

use anyhow::Context;
use futures_util::future::{BoxFuture, FutureExt};
use zookeeper_client::{
    Acls, Client, CreateMode, Error, LockOptions, LockPrefix, OwnedLockClient, SessionState,
};

use super::Lock;
use crate::race::servers::Addresses;

pub(super) struct Zookeeper {
    address: String,
    /// The session's time-out.
    ttl: Duration,
    /// A session that has ended stays ended; the next lock begins another.
    session: Option<Client>,
    held: Option<OwnedLockClient>,
}

impl Zookeeper {
    pub(super) fn open(addresses: &Addresses, ttl: Duration) -> anyhow::Result<Self> {
        let address = addresses.zookeeper.clone().context("ZooKeeper does not run")?;
        Ok(Self { address, ttl, session: None, held: None })
    }

    fn session(&self) -> anyhow::Result<&Client> {
        self.session.as_ref().context("no session with ZooKeeper")
    }

    fn is_connected(&self) -> bool {
        self.session().is_ok_and(|session| matches!(session.state(), SessionState::SyncConnected))
    }
}

async fn queue_up(session: &Client, name: &str) -> Result<OwnedLockClient, Error> {
    let dir = format!("/{name}");
    let options = LockOptions::new(Acls::anyone_all())
        .with_ancestor_options(CreateMode::Persistent.with_acls(Acls::anyone_all()))?;
    Ok(session.lock(LockPrefix::new_curator(&dir, "lock-")?, b"", options).await?.into_owned())
}

impl Lock for Zookeeper {
    fn take<'a>(&'a mut self, name: &'a str) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            if !self.is_connected() {
                let session = Client::connector().with_session_timeout(self.ttl).connect(&self.address).await;
                self.session = Some(session.context("connecting to ZooKeeper")?);
            }
            self.held = Some(queue_up(self.session()?, name).await?);
            Ok(())
        }
        .boxed()
    }

    fn is_held(&self) -> bool {
        self.held.is_some() && self.is_connected()
    }

    fn token(&mut self) -> BoxFuture<'_, anyhow::Result<i64>> {
        async move {
            let lock = self.held.as_ref().context("no lock is held")?;
            let node = self.session()?.check_stat(lock.lock_path()).await?;
            Ok(node.context("the lock's node is gone")?.czxid)
        }
        .boxed()
    }

    fn release(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        async move {
            let Some(lock) = self.held.take() else { return Ok(()) };
            let deleted = self.session()?.delete(lock.lock_path(), None).await;
            // What is dropped deletes its node once more, in the background.
            drop(lock);
            if deleted.is_err_and(|error| error != Error::NoNode) {
                // Whatever it was: with the session its nodes go, at the latest when its time is out.
                self.session = None;
            }
            Ok(())
        }
        .boxed()
    }
}
