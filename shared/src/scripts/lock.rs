//! `lock_extend`, `lock_release`, `lock_line` and `lock_look`: what the owner of a lock and those who wait for it may do
//! on one node, and who they are; and the plain command that takes it. Must not be called but by [`crate::lock`], which counts the nodes.

use std::time::Duration;

use redis::Value;

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::scripts::script::{Reply, keywords, millis, script};

use super::error::{ScriptError, status};

script!(LOCK_EXTEND, "lock_extend", [], keys [lock], args [nonce token ttl_ms], status ExtendStatus);
script!(LOCK_RELEASE, "lock_release", [], keys [lock next], args [nonce token], status ReleaseStatus);
script!(LOCK_LINE, "lock_line", [], keys [lock next], args [nonce token ttl_ms waiter kept_ms], status LineStatus);
script!(LOCK_LOOK, "lock_look", [], keys [lock], args [nonce], status LookStatus);

keywords! {
    enum ExtendStatus {
        Extended = "extended",
        Gone = "gone",
        Taken = "taken",
    }
}

keywords! {
    enum ReleaseStatus {
        Released = "released",
        Gone = "gone",
        Taken = "taken",
    }
}

keywords! {
    enum LineStatus {
        Granted = "granted",
        Next = "next",
        Taken = "taken",
    }
}

keywords! {
    enum LookStatus {
        Free = "free",
        Held = "held",
    }
}

/// What one node said to the owner of `token`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NodeReply {
    /// It is ours; after a release, it was until now.
    Ours,
    /// Nobody has it.
    Gone,
    /// The owner of this other token has it; empty if the key is of another type, and no lock.
    Taken(String),
}

/// The keys of a lock on each node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LockKeys<'a> {
    /// Whose it is.
    pub(crate) lock: &'a str,
    /// Who is next in line for it.
    pub(crate) next: &'a str,
}

/// Who is in line, and for how long a place is kept for whoever is next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiter<'a> {
    pub(crate) id: &'a str,
    pub(crate) kept: Duration,
}

/// What one node said to somebody who waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LineReply {
    /// Whether it is ours.
    NodeReply(NodeReply),
    /// The owner of this token has it, and we are next.
    Next(String),
}

/// Who has a lock on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nobody.
    Free,
    /// The owner of this token (empty: no lock), for so long; `None`: for ever.
    Held(String, Option<Duration>),
}

/// Takes the lock if nobody has it. `Ours` is also the answer to a second call with the same token.
///
/// One command and no script: with GET it says whose it is, and a token is used for one attempt only, so a
/// repeat cannot take anything that this attempt had not taken. If the process dies right after, the TTL ends it.
pub(crate) async fn take(
    link: &mut Link,
    key: &str,
    token: &str,
    ttl: Duration,
) -> Result<NodeReply, Failure> {
    let mut command = redis::cmd("SET");
    command.arg(key).arg(token).arg("NX").arg("GET").arg("PX").arg(millis(ttl));
    match link.run(&command).await {
        Ok(Value::Nil) => Ok(NodeReply::Ours),
        Ok(Value::BulkString(owner)) if owner == token.as_bytes() => Ok(NodeReply::Ours),
        Ok(Value::BulkString(owner)) => Ok(NodeReply::Taken(String::from_utf8_lossy(&owner).into_owned())),
        // The server is well, and the name is occupied by something that is no lock.
        Err(Failure::Server { code, .. }) if code == "WRONGTYPE" => Ok(NodeReply::Taken(String::new())),
        Err(failure) => Err(failure),
        Ok(other) => {
            link.poison();
            Err(Failure::unknown(format!("a reply with {other:?} where an owner should be")))
        }
    }
}

/// Lets the lock live for `ttl` from now, if it is ours. Never takes it again.
pub(crate) async fn extend(
    link: &mut Link,
    key: &str,
    token: &str,
    ttl: Duration,
) -> Result<NodeReply, ScriptError> {
    let call = LOCK_EXTEND.call().key(key.to_owned()).arg(token).arg(millis(ttl));
    let mut reply = call.run(link).await?;
    Ok(match status(&mut reply)? {
        ExtendStatus::Extended => NodeReply::Ours,
        ExtendStatus::Gone => NodeReply::Gone,
        ExtendStatus::Taken => NodeReply::Taken(owner(&mut reply)?),
    })
}

/// Gives the lock back, if it is ours; then also whether somebody is next in line for it.
pub(crate) async fn release(
    link: &mut Link,
    keys: LockKeys<'_>,
    token: &str,
) -> Result<(NodeReply, bool), ScriptError> {
    let call = LOCK_RELEASE.call().key(keys.lock.to_owned()).key(keys.next.to_owned()).arg(token);
    let mut reply = call.run(link).await?;
    Ok(match status(&mut reply)? {
        ReleaseStatus::Released => (NodeReply::Ours, reply.text("whether another is next")? == "1"),
        ReleaseStatus::Gone => (NodeReply::Gone, false),
        ReleaseStatus::Taken => (NodeReply::Taken(owner(&mut reply)?), false),
    })
}

/// Takes the lock if nobody has it and nobody else is next; gets in line where nobody is.
pub(crate) async fn line(
    link: &mut Link,
    keys: LockKeys<'_>,
    (token, ttl): (&str, Duration),
    waiter: Waiter<'_>,
) -> Result<LineReply, ScriptError> {
    let call = LOCK_LINE.call().key(keys.lock.to_owned()).key(keys.next.to_owned());
    let call = call.arg(token).arg(millis(ttl)).arg(waiter.id).arg(millis(waiter.kept));
    let mut reply = call.run(link).await?;
    Ok(match status(&mut reply)? {
        LineStatus::Granted => LineReply::NodeReply(NodeReply::Ours),
        LineStatus::Next => LineReply::Next(owner(&mut reply)?),
        LineStatus::Taken => LineReply::NodeReply(NodeReply::Taken(owner(&mut reply)?)),
    })
}

/// Leaves the place in line, if it is ours: the same as giving a lock back, of another key.
pub(crate) async fn leave(link: &mut Link, keys: LockKeys<'_>, waiter: &str) -> Result<(), ScriptError> {
    let place = LockKeys { lock: keys.next, next: keys.next };
    release(link, place, waiter).await.map(drop)
}

/// Who has the lock, and for how long.
pub(crate) async fn look(link: &mut Link, key: &str) -> Result<Seen, ScriptError> {
    let mut reply = LOCK_LOOK.call().key(key.to_owned()).run(link).await?;
    match status(&mut reply)? {
        LookStatus::Free => Ok(Seen::Free),
        LookStatus::Held => {
            let owner = String::from_utf8_lossy(&reply.bytes("owner")?).into_owned();
            // Negative: the key never expires.
            let left = reply.text("time left")?.parse().ok().map(Duration::from_millis);
            Ok(Seen::Held(owner, left))
        }
    }
}

fn owner(reply: &mut Reply) -> Result<String, ScriptError> {
    Ok(String::from_utf8_lossy(&reply.bytes("owner")?).into_owned())
}
