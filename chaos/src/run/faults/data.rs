//! Faults of what lies in Redis: locks, times and entries that somebody else changes.

use std::time::{Duration, Instant};

use ::redis::aio::MultiplexedConnection;
use anyhow::Context;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::run::counted::STOLEN;
use crate::run::fault::Undo;
use crate::run::history::Event;
use crate::run::redis::{Redis, ask, keys};
use crate::run::site::Site;

/// What a stolen lock holds, and for how long: far longer than anybody looks at it.
const THIEF: &str = "stolen";
const STOLEN_MS: &str = "600000";
/// How long stolen locks are watched: as long as the attempt may last whose lock it was.
const WATCHED_FOR: Duration = Duration::from_millis(400);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Every payout is due now, but those that wait for a person. In one step: each may end meanwhile.
const DUE: &str =
    "for _, payout in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(9007199254740991')) do
  redis.call('ZADD', KEYS[1], 'XX', '1', payout)
end";
/// What it counts as that an entry was given to another worker while it was in flight.
const GIVEN: &str = "given to another while in flight";

/// Deletes the locks or takes them over, and makes every payout due, again and again: neither keeps two attempts apart
/// meanwhile. Whoever had a lock that is stolen must leave it to the thief.
pub(super) async fn locks(
    site: &Site,
    redis: &Redis,
    random: &mut ChaCha8Rng,
) -> anyhow::Result<(String, Undo)> {
    let mut link = redis.link().await?;
    let locks = keys(&mut link, "*:lock:*").await?;
    let mut stolen = Vec::new();
    for lock in &locks {
        if random.random_bool(0.5) {
            ask::<()>(&mut link, &["DEL", lock]).await?;
        } else {
            ask::<()>(&mut link, &["SET", lock, THIEF, "PX", STOLEN_MS]).await?;
            stolen.push(lock);
        }
    }
    let begun = Instant::now();
    while begun.elapsed() < WATCHED_FOR {
        tokio::time::sleep(LOOK_EVERY).await;
        for payouts in keys(&mut link, "*:payouts").await? {
            ask::<()>(&mut link, &["EVAL", DUE, "1", &payouts]).await?;
        }
        for lock in &stolen {
            let owner: Option<String> = ask(&mut link, &["GET", lock]).await?;
            if owner.as_deref() != Some(THIEF) {
                site.history.add(Event::LockGivenAway { lock: (*lock).clone() });
            }
        }
        // Whoever has taken another meanwhile is not alone with it either.
        for lock in keys(&mut link, "*:lock:*").await?.iter().filter(|lock| !stolen.contains(lock)) {
            ask::<()>(&mut link, &["DEL", lock]).await?;
        }
    }
    for lock in &stolen {
        ask::<()>(&mut link, &["DEL", lock]).await?;
    }
    site.count(STOLEN, stolen.len() as u64);
    Ok((format!("{} of them, {} stolen", locks.len(), stolen.len()), Undo::Nothing))
}

/// What a step of the server's clock does to everything that ends by itself.
pub(super) async fn move_ttls(redis: &Redis, random: &mut ChaCha8Rng) -> anyhow::Result<(String, Undo)> {
    let mut link = redis.link().await?;
    let mut moved = 0;
    for key in keys(&mut link, "*").await? {
        let left: i64 = ask(&mut link, &["PTTL", &key]).await?;
        if left > 0 {
            let to = if random.random_bool(0.5) { left / 10 + 1 } else { left + 1_000 };
            ask::<i64>(&mut link, &["PEXPIRE", &key, &to.to_string()]).await?;
            moved += 1;
        }
    }
    Ok((format!("{moved} keys"), Undo::Nothing))
}

/// Adds a copy of what waits or is in flight, and gives what is in flight to another worker as well: the same job comes
/// twice, whoever fetched the first.
pub(super) async fn deliver_twice(site: &Site, redis: &Redis) -> anyhow::Result<(String, Undo)> {
    let mut link = redis.link().await?;
    let (mut twice, mut given) = (0, 0);
    for stream in keys(&mut link, "*:queue:*").await? {
        let entries: Vec<(String, Vec<Vec<u8>>)> =
            ask(&mut link, &["XREVRANGE", &stream, "+", "-", "COUNT", "20"]).await?;
        for (_, fields) in entries {
            let mut command = ::redis::Cmd::new();
            command.arg("XADD").arg(&stream).arg("*");
            fields.iter().for_each(|field| _ = command.arg(field));
            command.query_async::<String>(&mut link).await?;
            twice += 1;
        }
        given += give(&mut link, &stream).await?;
    }
    site.count(GIVEN, given);
    Ok((format!("{twice} entries again, {given} to somebody else"), Undo::Nothing))
}

/// Gives rows in flight to a worker other than theirs, some under a token of nobody, and makes them look abandoned: while
/// the first still works on them they are read again by their new owner, or taken over by a third. Nobody has died, so the
/// delivery does not count.
async fn give(link: &mut MultiplexedConnection, stream: &str) -> anyhow::Result<u64> {
    const GIVE: &str = r"
local workers, given = redis.call('HKEYS', KEYS[2]), 0
local rows = redis.call('HGETALL', KEYS[1])
for i = 1, #rows, 2 do
  local token, owner, _, deliveries, rest = string.match(rows[i + 1], '^(%x+)\t([^\t]+)\t(%d+)\t(%d+)(\t.*)$')
  for _, other in ipairs(workers) do
    if owner and other ~= owner then
      if i % 4 == 1 then token = string.reverse(token) end
      deliveries = math.max(0, deliveries - 1)
      redis.call('HSET', KEYS[1], rows[i], table.concat({ token, other, '0', deliveries }, '\t') .. rest)
      given = given + tonumber(string.match(rest, '^\t[^\t]+\t(%d+)') or '0')
      break
    end
  end
end
return given
";
    let (tag, queue) = stream.split_once(":queue:").context("a job stream")?;
    let (rows, workers) = (format!("{tag}:in_flight:{queue}"), format!("{tag}:workers"));
    ask(link, &["EVAL", GIVE, "2", &rows, &workers]).await
}
