//! ZooKeeper's lock recipe: ephemeral nodes in a sequence, each waiting for the one before. It ends with its
//! session. Its token is the zxid that created its node.

use std::time::Duration;

use anyhow::Context;
use futures_util::future::{BoxFuture, FutureExt};
use zookeeper_client::{Acls, Client, CreateMode, Error, LockOptions, LockPrefix, OwnedLockClient, SessionState};

use super::{Addresses, Lock};

pub(super) struct Zookeeper {
    address: String,
    ttl: Duration,
    client: Client,
    held: Option<OwnedLockClient>,
}

impl Zookeeper {
    /// `ttl` is the session's time-out.
    pub(super) async fn open(addresses: &Addresses, ttl: Duration) -> anyhow::Result<Self> {
        let address = addresses.zookeeper.clone().context("ZooKeeper does not run")?;
        let client = session(&address, ttl).await?;
        Ok(Self { address, ttl, client, held: None })
    }

    async fn queue_up(&self, dir: &str) -> Result<OwnedLockClient, Error> {
        let options = LockOptions::new(Acls::anyone_all())
            .with_ancestor_options(CreateMode::Persistent.with_acls(Acls::anyone_all()))?;
        Ok(self.client.lock(LockPrefix::new_curator(dir, "lock-")?, b"", options).await?.into_owned())
    }
}

async fn session(address: &str, ttl: Duration) -> anyhow::Result<Client> {
    let client = Client::connector().with_session_timeout(ttl).connect(address).await;
    client.context("connecting to ZooKeeper")
}

impl Lock for Zookeeper {
    fn take<'a>(&'a mut self, name: &'a str) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let dir = format!("/{name}");
            self.held = Some(match self.queue_up(&dir).await {
                Ok(lock) => lock,
                // A session that has ended stays ended.
                Err(Error::SessionExpired | Error::ConnectionLoss) => {
                    self.client = session(&self.address, self.ttl).await?;
                    self.queue_up(&dir).await?
                }
                Err(error) => return Err(error.into()),
            });
            Ok(())
        }
        .boxed()
    }

    fn is_held(&self) -> bool {
        self.held.is_some() && matches!(self.client.state(), SessionState::SyncConnected)
    }

    fn token(&mut self) -> BoxFuture<'_, anyhow::Result<i64>> {
        async move {
            let lock = self.held.as_ref().context("no lock is held")?;
            let node = self.client.check_stat(lock.lock_path()).await?;
            Ok(node.context("the lock's node is gone")?.czxid)
        }
        .boxed()
    }

    fn release(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        async move {
            let Some(lock) = self.held.take() else { return Ok(()) };
            let path = lock.lock_path().to_owned();
            let deleted = self.client.delete(&path, None).await;
            // What is dropped deletes its node once more, in the background.
            drop(lock);
            match deleted {
                // The session ended, and its nodes with it.
                Ok(()) | Err(Error::NoNode | Error::SessionExpired | Error::ConnectionLoss) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
        .boxed()
    }
}
