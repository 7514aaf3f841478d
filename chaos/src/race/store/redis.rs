//! Records as hashes of Redis.
//!
//! Each client has a connection of its own: WATCH belongs to the connection.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::{BoxFuture, FutureExt};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Pipeline, Script};

use super::{Change, Claim, Isolation, Record, Records, State, Tried, Way};

/// How long an answer may take: longer than any pause of a busy machine.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// What is stored under a key while somebody executes its request.
const UNDERWAY: &str = "underway";

/// KEYS the records; ARGV what is wanted of each. All of it or nothing; answers 1 or 0.
const TAKE: &str = r"
for i, key in ipairs(KEYS) do
  if tonumber(redis.call('HGET', key, 'quantity')) < tonumber(ARGV[i]) then return 0 end
end
for i, key in ipairs(KEYS) do
  redis.call('HINCRBY', key, 'quantity', -tonumber(ARGV[i]))
  redis.call('HINCRBY', key, 'version', 1)
end
return 1";

/// KEYS the records; ARGV a token. Shows it to all of them and answers quantity and version of each; answers
/// nothing if one has seen a token that is as new.
const READ_FENCED: &str = r"
for _, key in ipairs(KEYS) do
  if tonumber(redis.call('HGET', key, 'fence') or 0) >= tonumber(ARGV[1]) then return {} end
end
local seen = {}
for _, key in ipairs(KEYS) do
  redis.call('HSET', key, 'fence', ARGV[1])
  local state = redis.call('HMGET', key, 'quantity', 'version')
  seen[#seen + 1] = state[1]
  seen[#seen + 1] = state[2]
end
return seen";

/// KEYS the records; ARGV a token, then quantity and version of each. Writes them if all have seen no other token
/// since; answers 1 or 0.
const WRITE_FENCED: &str = r"
for _, key in ipairs(KEYS) do
  if redis.call('HGET', key, 'fence') ~= ARGV[1] then return 0 end
end
for i, key in ipairs(KEYS) do
  redis.call('HSET', key, 'quantity', ARGV[2 * i], 'version', ARGV[2 * i + 1])
end
return 1";

pub(in crate::race) struct Redis {
    link: MultiplexedConnection,
    take: Script,
    read_fenced: Script,
    write_fenced: Script,
}

impl Redis {
    /// Connects to the server behind a unix socket.
    pub(in crate::race) async fn connect(socket: &Path) -> anyhow::Result<Self> {
        let client = Client::open(format!("unix://{}", socket.display()))?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE_TIMEOUT));
        let link = client.get_multiplexed_async_connection_with_config(&config).await;
        let [take, read_fenced, write_fenced] = [TAKE, READ_FENCED, WRITE_FENCED].map(Script::new);
        Ok(Self { link: link.context("connecting to Redis")?, take, read_fenced, write_fenced })
    }

    async fn hashes(&mut self, keys: &[&str]) -> anyhow::Result<Vec<State>> {
        let mut pipeline = Pipeline::with_capacity(keys.len());
        for key in keys {
            pipeline.cmd("HMGET").arg(key).arg(&["quantity", "version"]);
        }
        let rows: Vec<(i64, i64)> = pipeline.query_async(&mut self.link).await?;
        Ok(rows.into_iter().map(|(quantity, version)| State { quantity, version }).collect())
    }
}

fn write(pipeline: &mut Pipeline, changes: &[Change<'_>]) {
    for Change { key, next, .. } in changes {
        pipeline.cmd("HSET").arg(key).arg("quantity").arg(next.quantity).arg("version").arg(next.version);
    }
}

impl Records for Redis {
    fn set_up<'a>(&'a mut self, records: &'a [Record]) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let mut pipeline = Pipeline::with_capacity(records.len());
            for Record { key, quantity, .. } in records {
                pipeline.cmd("HSET").arg(key).arg("quantity").arg(quantity).arg("version").arg(0);
            }
            Ok(pipeline.exec_async(&mut self.link).await?)
        }
        .boxed()
    }

    fn read<'a>(
        &'a mut self,
        way: Way,
        keys: &'a [&'a str],
    ) -> BoxFuture<'a, anyhow::Result<Tried<Vec<State>>>> {
        async move {
            match way {
                Way::Fenced(token) => {
                    let mut call = self.read_fenced.arg(token);
                    keys.iter().for_each(|key| _ = call.key(*key));
                    let numbers: Vec<i64> = call.invoke_async(&mut self.link).await?;
                    let seen: Vec<State> = numbers
                        .chunks_exact(2)
                        .map(|pair| State { quantity: pair[0], version: pair[1] })
                        .collect();
                    return Ok(if seen.len() == keys.len() { Tried::Done(seen) } else { Tried::Fenced });
                }
                Way::Optimistic => redis::cmd("WATCH").arg(keys).exec_async(&mut self.link).await?,
                Way::Plain | Way::Transaction(Isolation::Multi) => {}
                Way::Transaction(_) | Way::RowLock => anyhow::bail!("Redis has no such thing"),
            }
            Ok(Tried::Done(self.hashes(keys).await?))
        }
        .boxed()
    }

    fn write<'a>(
        &'a mut self,
        way: Way,
        changes: &'a [Change<'a>],
    ) -> BoxFuture<'a, anyhow::Result<Tried<()>>> {
        async move {
            if let Way::Fenced(token) = way {
                let mut call = self.write_fenced.arg(token);
                for Change { key, next, .. } in changes {
                    call.key(*key).arg(next.quantity).arg(next.version);
                }
                let written: bool = call.invoke_async(&mut self.link).await?;
                return Ok(if written { Tried::Done(()) } else { Tried::Fenced });
            }
            let mut pipeline = Pipeline::with_capacity(changes.len());
            write(&mut pipeline, changes);
            if way == Way::Plain {
                pipeline.exec_async(&mut self.link).await?;
                return Ok(Tried::Done(()));
            }
            // EXEC answers nothing if a key under WATCH has changed.
            let done: Option<Vec<i64>> = pipeline.atomic().query_async(&mut self.link).await?;
            Ok(if done.is_some() { Tried::Done(()) } else { Tried::Overtaken })
        }
        .boxed()
    }

    fn leave(&mut self, way: Way) -> BoxFuture<'_, anyhow::Result<()>> {
        async move {
            if way == Way::Optimistic {
                redis::cmd("UNWATCH").exec_async(&mut self.link).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn take<'a>(&'a mut self, wants: &'a [(&'a str, i64)]) -> BoxFuture<'a, anyhow::Result<Tried<bool>>> {
        async move {
            let mut call = self.take.prepare_invoke();
            wants.iter().for_each(|(key, amount)| _ = call.key(*key).arg(*amount));
            Ok(Tried::Done(call.invoke_async(&mut self.link).await?))
        }
        .boxed()
    }

    fn claim<'a>(&'a mut self, id: &'a str) -> BoxFuture<'a, anyhow::Result<Claim>> {
        async move {
            let mut command = redis::cmd("SET");
            command.arg(id).arg(UNDERWAY).arg("NX").arg("GET");
            let known: Option<String> = command.query_async(&mut self.link).await?;
            Ok(match known.as_deref() {
                None => Claim::Ours,
                Some(UNDERWAY) => Claim::Underway,
                Some(answer) => Claim::Answered { granted: answer == "granted" },
            })
        }
        .boxed()
    }

    fn answer<'a>(&'a mut self, id: &'a str, granted: bool) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let answer = if granted { "granted" } else { "refused" };
            Ok(redis::cmd("SET").arg(id).arg(answer).exec_async(&mut self.link).await?)
        }
        .boxed()
    }
}
