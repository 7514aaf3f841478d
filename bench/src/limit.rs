//! The limit: what this Redis and this client library can do with the same entries when a job is worth nothing.
//!
//! A reader takes entries by XREADGROUP and answers each batch with one script that does no more than keep each id
//! from counting twice, take from a counter, append to a list and acknowledge. No receipt that outlives a day, no
//! limit, no journal, no trimming. Ids and accounts are cut out of the envelope at fixed places, not parsed.

#![allow(clippy::disallowed_methods, reason = "what is measured here is Redis itself, beside Tollgate")]

use std::time::Instant;

use anyhow::{Context, Result};
use redis::{Cmd, Connection};

use crate::cost::Cost;
use crate::fixture::Workload;
use crate::private::Private;
use crate::process;

/// Entries of one XREADGROUP, as the limit is defined.
pub(crate) const BATCH: usize = 100;
const STREAM: &str = "stream";
const GROUP: &str = "workers";
const LOAD_CHUNK: u64 = 1_000;

/// Where the id and the account are in an envelope of the bench: `{"v":1,"id":"<36>","kind":"withdraw","account":"<8>"`.
const ID: std::ops::Range<usize> = 13..49;
const ACCOUNT: std::ops::Range<usize> = 80..88;

/// KEYS stream counter list; ARGV group, then entry and id in turn.
const REDEEM: &str = "
local fresh, entries = {}, {}
for i = 2, #ARGV, 2 do
  entries[#entries + 1] = ARGV[i]
  if redis.call('SET', ARGV[i + 1], 1, 'NX', 'EX', 86400) then fresh[#fresh + 1] = ARGV[i + 1] end
end
redis.call('DECRBY', KEYS[2], #fresh)
redis.call('RPUSH', KEYS[3], unpack(fresh))
redis.call('XACK', KEYS[1], ARGV[1], unpack(entries))
return #fresh";

/// KEYS stream list; ARGV group, then entry, id and account in turn.
const WITHDRAW: &str = "
local fresh, entries = {}, {}
for i = 2, #ARGV, 3 do
  entries[#entries + 1] = ARGV[i]
  if redis.call('SET', ARGV[i + 1], 1, 'NX', 'EX', 86400) then
    fresh[#fresh + 1] = ARGV[i + 1]
    if tonumber(redis.call('GET', ARGV[i + 2])) >= 125 then redis.call('DECRBY', ARGV[i + 2], 125) end
  end
end
redis.call('RPUSH', KEYS[2], unpack(fresh))
redis.call('XACK', KEYS[1], ARGV[1], unpack(entries))
return #fresh";

/// Loads `jobs` entries into a fresh server and drains them over this many connections, a thread each.
pub(crate) fn drain(workload: Workload, jobs: u64, connections: usize, batch: usize) -> Result<Cost> {
    let mut private = Private::start()?;
    load(&mut private, workload, jobs)?;
    let links = (0..connections).map(|_| private.connect()).collect::<Result<Vec<_>>>()?;
    let (redis_before, client_before, begun) = (private.cpu()?, process::own_cpu()?, Instant::now());
    let drained: u64 = std::thread::scope(|scope| {
        let readers: Vec<_> = links
            .into_iter()
            .enumerate()
            .map(|(n, link)| scope.spawn(move || read_all(link, &format!("reader-{n}"), workload, batch)))
            .collect();
        readers.into_iter().map(|reader| reader.join().expect("a reader does not panic")).sum::<Result<u64>>()
    })?;
    let wall = begun.elapsed();
    anyhow::ensure!(drained == jobs, "drained {drained} of {jobs}");
    Ok(Cost {
        jobs,
        wall,
        redis_cpu: (private.cpu()? - redis_before) / jobs as f64,
        client_cpu: (process::own_cpu()? - client_before) / jobs as f64,
    })
}

pub(crate) fn load(private: &mut Private, workload: Workload, jobs: u64) -> Result<()> {
    let mut connection = private.connect()?;
    redis::cmd("XGROUP").arg(&["CREATE", STREAM, GROUP, "0", "MKSTREAM"]).exec(&mut connection)?;
    for first in (0..jobs).step_by(LOAD_CHUNK as usize) {
        let mut pipeline = redis::pipe();
        for n in first..jobs.min(first + LOAD_CHUNK) {
            pipeline.cmd("XADD").arg(STREAM).arg("*").arg("job").arg(workload.job(n)?.encode()).ignore();
        }
        pipeline.exec(&mut connection)?;
    }
    if let Workload::Withdraw { accounts } = workload {
        let mut pipeline = redis::pipe();
        (0..accounts)
            .for_each(|n| _ = pipeline.cmd("SET").arg(format!("a{n:07}")).arg(1_000_000_000).ignore());
        pipeline.exec(&mut connection)?;
    }
    Ok(())
}

pub(crate) fn read_all(
    mut link: Connection,
    consumer: &str,
    workload: Workload,
    batch: usize,
) -> Result<u64> {
    let (script, keys) = match workload {
        Workload::Redeem | Workload::Purchase { .. } => (REDEEM, vec![STREAM, "counter", "list"]),
        Workload::Withdraw { .. } => (WITHDRAW, vec![STREAM, "list"]),
    };
    let sha: String = redis::cmd("SCRIPT").arg("LOAD").arg(script).query(&mut link)?;
    let mut drained = 0;
    loop {
        let entries = read(&mut link, STREAM, consumer, batch)?;
        if entries.is_empty() {
            return Ok(drained);
        }
        let mut call = Cmd::new();
        call.arg("EVALSHA").arg(&sha).arg(keys.len()).arg(&keys).arg(GROUP);
        for (entry, body) in &entries {
            call.arg(entry).arg(body.get(ID).context("an envelope without its id")?);
            if matches!(workload, Workload::Withdraw { .. }) {
                call.arg(body.get(ACCOUNT).context("an envelope without its account")?);
            }
        }
        drained += call.query::<u64>(&mut link)?;
    }
}

/// An XREADGROUP of new entries: each one's id and its `job`.
pub(crate) fn read(
    link: &mut Connection,
    stream: &str,
    consumer: &str,
    batch: usize,
) -> Result<Vec<(String, Vec<u8>)>> {
    type Entries = Vec<(String, (String, Vec<u8>))>;
    let reply: Option<Vec<(String, Entries)>> = redis::cmd("XREADGROUP")
        .arg(&["GROUP", GROUP, consumer, "COUNT", &batch.to_string(), "STREAMS", stream, ">"])
        .query(link)?;
    let entries = reply.into_iter().flatten().flat_map(|(_, entries)| entries);
    Ok(entries.map(|(entry, (_, body))| (entry, body)).collect())
}
