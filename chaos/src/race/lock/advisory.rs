//! PostgreSQL's advisory lock: it belongs to a session and ends with it.
//!
//! Where the records are in PostgreSQL too it is taken in the session that writes them: whoever loses the lock has
//! lost the connection to write with. Where they are elsewhere, that no longer helps; then its token does, a number
//! of a sequence.

use std::sync::Arc;

use anyhow::Context;
use futures_util::future::{BoxFuture, FutureExt};
use tokio_postgres::{Client, Statement};

use super::Lock;
use crate::race::store::postgres::Postgres;

pub(super) struct Advisory {
    session: Arc<Client>,
    lock: Statement,
    unlock: Statement,
    token: Statement,
    held: Option<String>,
}

impl Advisory {
    pub(super) async fn open(postgres: Option<&Postgres>) -> anyhow::Result<Self> {
        let session = postgres.context("PostgreSQL is not connected")?.session();
        Ok(Self {
            lock: session.prepare("SELECT pg_advisory_lock(hashtextextended($1, 0))").await?,
            unlock: session.prepare("SELECT pg_advisory_unlock(hashtextextended($1, 0))").await?,
            token: session.prepare("SELECT nextval('lock_tokens')").await?,
            session,
            held: None,
        })
    }
}

impl Lock for Advisory {
    fn take<'a>(&'a mut self, name: &'a str) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            self.session.execute(&self.lock, &[&name]).await?;
            self.held = Some(name.to_owned());
            Ok(())
        }
        .boxed()
    }

    fn is_held(&self) -> bool {
        self.held.is_some() && !self.session.is_closed()
    }

    fn token(&mut self) -> BoxFuture<'_, anyhow::Result<i64>> {
        async move { Ok(self.session.query_one(&self.token, &[]).await?.try_get(0)?) }.boxed()
    }

    fn release(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        async move {
            if let Some(name) = self.held.take() {
                self.session.execute(&self.unlock, &[&name]).await?;
            }
            Ok(())
        }
        .boxed()
    }
}
