//! Records as rows of PostgreSQL.
//!
//! Statements are prepared once, so that each costs one round trip, as in a program that means it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use futures_util::future::{BoxFuture, FutureExt};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, NoTls, Row, Statement};

use super::{Change, Claim, Isolation, Record, Records, State, Tried, Way};

/// What every client relies on; made once.
pub(in crate::race) const SCHEMA: &str = "
    CREATE TABLE records (
        key text PRIMARY KEY, quantity int8 NOT NULL, version int8 NOT NULL DEFAULT 0, fence int8 NOT NULL DEFAULT 0
    );
    CREATE TABLE requests (id text PRIMARY KEY, granted bool);
    CREATE SEQUENCE lock_tokens;";

/// The rows of `$1`, new quantities `$2` and versions `$3`, and what must not have moved since: versions `$4`,
/// or the fence `$4`.
const WRITE: &str = "UPDATE records AS r SET quantity = n.quantity, version = n.version
    FROM unnest($1::text[], $2::int8[], $3::int8[]) AS n (key, quantity, version) WHERE r.key = n.key";
const WRITE_VERSION: &str = "UPDATE records AS r SET quantity = n.quantity, version = n.version
    FROM unnest($1::text[], $2::int8[], $3::int8[], $4::int8[]) AS n (key, quantity, version, seen)
    WHERE r.key = n.key AND r.version = n.seen";
const WRITE_FENCED: &str = "UPDATE records AS r SET quantity = n.quantity, version = n.version
    FROM unnest($1::text[], $2::int8[], $3::int8[]) AS n (key, quantity, version)
    WHERE r.key = n.key AND r.fence = $4";

pub(in crate::race) struct Postgres {
    client: Arc<Client>,
    sql: Statements,
}

struct Statements {
    set_up: Statement,
    read: Statement,
    read_for_update: Statement,
    read_fenced: Statement,
    write: Statement,
    write_version: Statement,
    write_fenced: Statement,
    take: Statement,
    claim: Statement,
    claimed: Statement,
    answer: Statement,
}

/// A session with the server whose socket is in `dir`.
pub(in crate::race) async fn session(dir: &Path) -> Result<Client, Error> {
    let mut config = tokio_postgres::Config::new();
    config.host_path(dir).user("postgres").dbname("postgres");
    let (client, connection) = config.connect(NoTls).await?;
    // It ends with the client; what goes wrong on it, the client's next call says.
    tokio::spawn(connection);
    Ok(client)
}

impl Postgres {
    /// Connects to the server whose socket is in `dir`.
    pub(in crate::race) async fn connect(dir: &Path) -> anyhow::Result<Self> {
        let client = session(dir).await.context("connecting to PostgreSQL")?;
        let prepare = async |sql: &str| client.prepare(sql).await;
        let sql = Statements {
            set_up: prepare("INSERT INTO records (key, quantity) SELECT * FROM unnest($1::text[], $2::int8[])")
                .await?,
            read: prepare("SELECT key, quantity, version FROM records WHERE key = ANY($1)").await?,
            read_for_update: prepare(
                "SELECT key, quantity, version FROM records WHERE key = ANY($1) ORDER BY key FOR UPDATE",
            )
            .await?,
            read_fenced: prepare(
                "UPDATE records SET fence = $2 WHERE key = ANY($1) AND fence < $2 RETURNING key, quantity, version",
            )
            .await?,
            write: prepare(WRITE).await?,
            write_version: prepare(WRITE_VERSION).await?,
            write_fenced: prepare(WRITE_FENCED).await?,
            take: prepare(
                "UPDATE records SET quantity = quantity - $2, version = version + 1
                 WHERE key = $1 AND quantity >= $2",
            )
            .await?,
            claim: prepare("INSERT INTO requests (id) VALUES ($1) ON CONFLICT DO NOTHING").await?,
            claimed: prepare("SELECT granted FROM requests WHERE id = $1").await?,
            answer: prepare("UPDATE requests SET granted = $2 WHERE id = $1").await?,
        };
        Ok(Self { client: Arc::new(client), sql })
    }

    /// The session, for whoever locks in it.
    pub(in crate::race) fn session(&self) -> Arc<Client> {
        self.client.clone()
    }

    async fn begun(&self, way: Way, keys: &[&str]) -> Result<Option<Vec<Row>>, Error> {
        let client = &self.client;
        let rows = match way {
            Way::Plain | Way::Optimistic => client.query(&self.sql.read, &[&keys]).await?,
            Way::Transaction(isolation) => {
                client.batch_execute(begin(isolation)).await?;
                client.query(&self.sql.read, &[&keys]).await?
            }
            Way::RowLock => {
                client.batch_execute("BEGIN").await?;
                client.query(&self.sql.read_for_update, &[&keys]).await?
            }
            Way::Fenced(token) => client.query(&self.sql.read_fenced, &[&keys, &token]).await?,
        };
        // Fewer than asked for: a row has seen a newer token.
        Ok((rows.len() == keys.len()).then_some(rows))
    }

    /// Writes all of it or, if a row is not as it should be, nothing.
    async fn written(&self, way: Way, changes: &[Change<'_>]) -> Result<bool, Error> {
        let client = &self.client;
        let keys: Vec<&str> = changes.iter().map(|change| change.key).collect();
        let quantities: Vec<i64> = changes.iter().map(|change| change.next.quantity).collect();
        let versions: Vec<i64> = changes.iter().map(|change| change.next.version).collect();
        let seen: Vec<i64> = changes.iter().map(|change| change.seen.version).collect();
        let alone = changes.len() == 1;
        if matches!(way, Way::Optimistic | Way::Fenced(_)) && !alone {
            client.batch_execute("BEGIN").await?;
        }
        let rows = match way {
            Way::Plain | Way::Transaction(_) | Way::RowLock => {
                client.execute(&self.sql.write, &[&keys, &quantities, &versions]).await?
            }
            Way::Optimistic => {
                client.execute(&self.sql.write_version, &[&keys, &quantities, &versions, &seen]).await?
            }
            Way::Fenced(token) => {
                client.execute(&self.sql.write_fenced, &[&keys, &quantities, &versions, &token]).await?
            }
        };
        let all = rows == changes.len() as u64;
        if matches!(way, Way::Transaction(_) | Way::RowLock) || way != Way::Plain && !alone {
            client.batch_execute(if all { "COMMIT" } else { "ROLLBACK" }).await?;
        }
        Ok(all)
    }

    async fn taken(&self, wants: &[(&str, i64)]) -> Result<bool, Error> {
        let client = &self.client;
        if let [(key, amount)] = wants {
            return Ok(client.execute(&self.sql.take, &[key, amount]).await? == 1);
        }
        client.batch_execute("BEGIN").await?;
        for (key, amount) in wants {
            if client.execute(&self.sql.take, &[key, amount]).await? == 0 {
                client.batch_execute("ROLLBACK").await?;
                return Ok(false);
            }
        }
        client.batch_execute("COMMIT").await?;
        Ok(true)
    }

    /// Sorts out what means that somebody else was faster; PostgreSQL has undone all of it then.
    async fn tried<T>(&self, result: Result<T, Error>) -> anyhow::Result<Tried<T>> {
        const OVERTAKEN: [SqlState; 2] =
            [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED];
        match result {
            Ok(value) => Ok(Tried::Done(value)),
            Err(error) if error.code().is_some_and(|code| OVERTAKEN.contains(code)) => {
                self.client.batch_execute("ROLLBACK").await?;
                Ok(Tried::Overtaken)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Records for Postgres {
    fn set_up<'a>(&'a mut self, records: &'a [Record]) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let keys: Vec<&str> = records.iter().map(|record| record.key.as_str()).collect();
            let quantities: Vec<i64> = records.iter().map(|record| record.quantity).collect();
            self.client.execute(&self.sql.set_up, &[&keys, &quantities]).await?;
            Ok(())
        }
        .boxed()
    }

    fn read<'a>(
        &'a mut self,
        way: Way,
        keys: &'a [&'a str],
    ) -> BoxFuture<'a, anyhow::Result<Tried<Vec<State>>>> {
        async move {
            Ok(match self.tried(self.begun(way, keys).await).await? {
                Tried::Done(Some(rows)) => Tried::Done(in_order(keys, &rows)?),
                Tried::Done(None) | Tried::Fenced => Tried::Fenced,
                Tried::Overtaken => Tried::Overtaken,
            })
        }
        .boxed()
    }

    fn write<'a>(
        &'a mut self,
        way: Way,
        changes: &'a [Change<'a>],
    ) -> BoxFuture<'a, anyhow::Result<Tried<()>>> {
        async move {
            Ok(match self.tried(self.written(way, changes).await).await? {
                Tried::Done(true) => Tried::Done(()),
                Tried::Done(false) if matches!(way, Way::Fenced(_)) => Tried::Fenced,
                Tried::Done(false) | Tried::Overtaken | Tried::Fenced => Tried::Overtaken,
            })
        }
        .boxed()
    }

    fn leave(&mut self, way: Way) -> BoxFuture<'_, anyhow::Result<()>> {
        async move {
            if matches!(way, Way::Transaction(_) | Way::RowLock) {
                self.client.batch_execute("ROLLBACK").await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn take<'a>(&'a mut self, wants: &'a [(&'a str, i64)]) -> BoxFuture<'a, anyhow::Result<Tried<bool>>> {
        async move { self.tried(self.taken(wants).await).await }.boxed()
    }

    fn claim<'a>(&'a mut self, id: &'a str) -> BoxFuture<'a, anyhow::Result<Claim>> {
        async move {
            if self.client.execute(&self.sql.claim, &[&id]).await? == 1 {
                return Ok(Claim::Ours);
            }
            let granted: Option<bool> = self.client.query_one(&self.sql.claimed, &[&id]).await?.try_get(0)?;
            Ok(granted.map_or(Claim::Underway, |granted| Claim::Answered { granted }))
        }
        .boxed()
    }

    fn answer<'a>(&'a mut self, id: &'a str, granted: bool) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            self.client.execute(&self.sql.answer, &[&id, &granted]).await?;
            Ok(())
        }
        .boxed()
    }
}

fn begin(isolation: Isolation) -> &'static str {
    match isolation {
        // PostgreSQL's default.
        Isolation::ReadCommitted | Isolation::Multi => "BEGIN ISOLATION LEVEL READ COMMITTED",
        Isolation::RepeatableRead => "BEGIN ISOLATION LEVEL REPEATABLE READ",
        Isolation::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
    }
}

fn in_order(keys: &[&str], rows: &[Row]) -> anyhow::Result<Vec<State>> {
    let mut found: HashMap<String, State> = HashMap::new();
    for row in rows {
        found.insert(row.try_get(0)?, State { quantity: row.try_get(1)?, version: row.try_get(2)? });
    }
    keys.iter().map(|key| found.get(*key).copied().with_context(|| format!("no row {key}"))).collect()
}
