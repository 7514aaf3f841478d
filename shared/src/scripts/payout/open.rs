//! Open payouts, as `payouts` lists them and their holds say.
//!
//! Somebody may have damaged one of them: that one is told by its name, and the others go on.

use redis::{Pipeline, Value};

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::code::Code;
use crate::protocol::ids::{AccountId, JobId};
use crate::protocol::keys::Keys;
use crate::scripts::error::{ScriptError, status};
use crate::scripts::script::{keywords, parts, script};

script!(
    PAYOUTS_DUE,
    "payouts_due",
    [parts::NUMBERS, parts::CLOCK],
    keys [payouts],
    args [nonce from limit],
    status Status,
    refusals [corrupt_partition]
);

keywords!(
    enum Status {
        Due = "due",
    }
);

/// An open payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The job's id.
    pub id: JobId,
    /// Whose money is held.
    pub account: AccountId,
    /// How much, in minor units.
    pub amount: u64,
    /// In which currency.
    pub currency: String,
    /// Where it goes.
    pub destination: String,
    /// `Held`, `Paying` or `NeedsReview`.
    pub state: Code,
    /// How many attempts have begun.
    pub attempts: u64,
    /// How many of them the gateway refused.
    pub refused: u64,
    /// The fence of the latest.
    pub fence: u64,
    /// The caller's key of the latest.
    pub begin_key: String,
    /// Until when its lease runs, by server time in milliseconds since the Unix epoch.
    pub lease_until_ms: u64,
    /// When the state was entered, likewise.
    pub since_ms: u64,
    /// Why it needs review.
    pub reason: String,
    /// The name of the gateway that its attempts went to; empty before the first.
    pub gateway: String,
    /// Under which key; likewise.
    pub idempotency_key: String,
}

/// The fields of a hold's row that a [`Hold`] shows.
const HOLD_FIELDS: [&str; 14] = [
    "account",
    "amount",
    "currency",
    "destination",
    "state",
    "attempts",
    "refused",
    "fence",
    "begin_key",
    "lease_until_ms",
    "since_ms",
    "reason",
    "gateway",
    "idempotency_key",
];

/// One member of `payouts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// An open payout.
    Open(Hold),
    /// One that nobody can go on with until it is repaired.
    Damaged(Damaged),
}

/// A payout that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// Whose money is held; `None` if not even that can be told.
    pub account: Option<AccountId>,
    /// The job's id, or all that is there of it.
    pub id: String,
    /// What is wrong with which key.
    pub what: String,
}

/// Reads one open payout; `None` if there is none of this id.
///
/// # Errors
/// [`ScriptError::CorruptPartition`] if its row cannot be read.
pub async fn hold(link: &mut Link, keys: &Keys, id: &JobId) -> Result<Option<Hold>, ScriptError> {
    let mut command = redis::cmd("HMGET");
    command.arg(keys.hold(id)).arg(&HOLD_FIELDS);
    let row = match link.run(&command).await {
        Ok(row) => row,
        Err(failure) if failure.is_wrong_type() => {
            return Err(ScriptError::CorruptPartition(format!("{} is no hash", keys.hold(id))));
        }
        Err(failure) => return Err(failure.into()),
    };
    read_hold(keys, id, row).map_err(ScriptError::CorruptPartition)
}

/// `Ok(None)` if there is no row; the error says what is wrong with it.
fn read_hold(keys: &Keys, id: &JobId, row: Value) -> Result<Option<Hold>, String> {
    let damage = |field: &str| format!("{}: {field} cannot be read", keys.hold(id));
    let row: Vec<Option<String>> = redis::from_redis_value(row).map_err(|_| damage("a field"))?;
    if row.iter().all(Option::is_none) {
        return Ok(None);
    }
    let text = |at: usize| row.get(at).cloned().flatten().ok_or_else(|| damage(HOLD_FIELDS[at]));
    let number = |at: usize| text(at)?.parse().map_err(|_| damage(HOLD_FIELDS[at]));
    let state = Code::from_name(&text(4)?)
        .filter(|state| matches!(state, Code::Held | Code::Paying | Code::NeedsReview))
        .ok_or_else(|| damage("state"))?;
    Ok(Some(Hold {
        id: id.clone(),
        account: AccountId::parse(text(0)?).map_err(|_| damage("account"))?,
        amount: number(1)?,
        currency: text(2)?,
        destination: text(3)?,
        state,
        attempts: number(5)?,
        refused: number(6)?,
        fence: number(7)?,
        begin_key: text(8)?,
        lease_until_ms: number(9)?,
        since_ms: number(10)?,
        reason: text(11)?,
        gateway: text(12)?,
        idempotency_key: text(13)?,
    }))
}

/// Reads up to `count` members of `payouts`, those due first, from the `from`-th on; `None` is the end. While payouts
/// begin and end, a page may repeat or miss one.
///
/// # Errors
/// [`ScriptError::CorruptPartition`] if `payouts` is no sorted set.
pub async fn listed(
    link: &mut Link,
    keys: &Keys,
    from: usize,
    count: usize,
) -> Result<Option<Vec<Listed>>, ScriptError> {
    let mut command = redis::cmd("ZRANGE");
    command.arg(keys.payouts()).arg(from).arg(from + count - 1);
    let members: Vec<Vec<u8>> = match link.query(&command).await {
        Ok(members) => members,
        Err(failure) if failure.is_wrong_type() => {
            return Err(ScriptError::CorruptPartition(format!("{} is no sorted set", keys.payouts())));
        }
        Err(failure) => return Err(failure.into()),
    };
    if members.is_empty() {
        return Ok(None);
    }
    read_members(link, keys, &members).await.map(Some)
}

/// Reads the holds that these members name; one that has ended since is left out.
pub(super) async fn read_members(
    link: &mut Link,
    keys: &Keys,
    members: &[Vec<u8>],
) -> Result<Vec<Listed>, ScriptError> {
    let names: Vec<Result<(AccountId, JobId), Damaged>> =
        members.iter().map(|member| read_member(keys, member)).collect();
    let mut pipeline = Pipeline::new();
    for (_, id) in names.iter().flatten() {
        pipeline.cmd("HMGET").arg(keys.hold(id)).arg(&HOLD_FIELDS);
    }
    let mut rows = match pipeline.is_empty() {
        true => Vec::new().into_iter(),
        false => link.run_pipeline(&pipeline).await?.into_iter(),
    };
    let mut all = Vec::with_capacity(names.len());
    for name in names {
        let (account, id) = match name {
            Ok(name) => name,
            Err(damaged) => {
                all.push(Listed::Damaged(damaged));
                continue;
            }
        };
        let read = match rows.next() {
            Some(Ok(row)) => read_hold(keys, &id, row),
            Some(Err(failure)) if failure.is_wrong_type() => Err(format!("{} is no hash", keys.hold(&id))),
            Some(Err(failure)) => return Err(failure.into()),
            None => return Err(Failure::unknown("a reply is missing").into()),
        };
        let what = match read {
            Ok(Some(hold)) if hold.account == account => {
                all.push(Listed::Open(hold));
                continue;
            }
            Ok(Some(hold)) => format!("{} is of account {}", keys.hold(&id), hold.account),
            Ok(None) if !is_listed(link, keys, &account, &id).await? => continue,
            Ok(None) => format!("{} is gone", keys.hold(&id)),
            Err(what) => what,
        };
        all.push(Listed::Damaged(Damaged { account: Some(account), id: id.to_string(), what }));
    }
    Ok(all)
}

/// Whether `payouts` has this one: then it is open, or damaged.
///
/// # Errors
/// Redis's.
pub async fn is_listed(
    link: &mut Link,
    keys: &Keys,
    account: &AccountId,
    id: &JobId,
) -> Result<bool, ScriptError> {
    let mut command = redis::cmd("ZSCORE");
    command.arg(keys.payouts()).arg(format!("{account}\t{id}"));
    Ok(link.run(&command).await? != Value::Nil)
}

/// Reads the open payouts of one account, `count` at most, in no order.
///
/// Goes over all open payouts of the partition, a page at a time: for people, not for programs.
///
/// # Errors
/// As [`listed`].
pub async fn of_account(
    link: &mut Link,
    keys: &Keys,
    account: &AccountId,
    count: usize,
) -> Result<Vec<Listed>, ScriptError> {
    /// How many members one page goes over.
    const PAGE: usize = 1_000;
    // What MATCH takes for a pattern is taken literally.
    let literal =
        |c: char| if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^') { vec!['\\', c] } else { vec![c] };
    let pattern: String = account.as_str().chars().flat_map(literal).chain(['\t', '*']).collect();
    let (mut cursor, mut seen, mut all) = ("0".to_owned(), std::collections::HashSet::new(), Vec::new());
    loop {
        let mut command = redis::cmd("ZSCAN");
        command.arg(keys.payouts()).arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(PAGE);
        let (next, page): (String, Vec<(Vec<u8>, String)>) = link.query(&command).await?;
        // A scan may name a member twice.
        let mut members: Vec<Vec<u8>> = page.into_iter().map(|(member, _)| member).collect();
        members.retain(|member| seen.insert(member.clone()));
        members.truncate(count - all.len());
        all.extend(read_members(link, keys, &members).await?);
        if next == "0" || all.len() >= count {
            return Ok(all);
        }
        cursor = next;
    }
}

/// Reads `<account> TAB <id>`.
fn read_member(keys: &Keys, member: &[u8]) -> Result<(AccountId, JobId), Damaged> {
    let member = String::from_utf8_lossy(member);
    let read = || {
        let (account, id) = member.split_once('\t')?;
        Some((AccountId::parse(account).ok()?, JobId::stored(id).ok()?))
    };
    read().ok_or_else(|| Damaged {
        account: None,
        id: member.to_string(),
        what: format!("{} holds what is no account and id", keys.payouts()),
    })
}

/// Payouts that are due for a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Server time, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How many are due in all.
    pub count: usize,
    /// Whose they are and their ids, the longest due first.
    pub payouts: Vec<(AccountId, JobId)>,
    /// Members that name no payout.
    pub damaged: Vec<Damaged>,
    /// When the next one is due, likewise.
    pub next_due_ms: Option<u64>,
}

/// Reads up to `limit` payouts that are due by server time, the longest due first.
///
/// # Errors
/// As [`settle`](crate::scripts::settle::settle); it only reads.
pub async fn due(link: &mut Link, keys: &Keys, limit: usize) -> Result<Due, ScriptError> {
    due_from(link, keys, 0, limit).await
}

/// The same, from the `from`-th on: whoever cannot go on with the first ones looks past them.
///
/// # Errors
/// As [`due`].
pub async fn due_from(link: &mut Link, keys: &Keys, from: usize, limit: usize) -> Result<Due, ScriptError> {
    let mut reply = PAYOUTS_DUE.call().key(keys.payouts()).arg(from).arg(limit).run(link).await?;
    let Status::Due = status(&mut reply)?;
    let at_ms = reply.number("at_ms")?;
    let next_due_ms = reply.text("next due")?.parse::<f64>().ok().map(|due_ms| due_ms as u64);
    let count = usize::try_from(reply.number("count")?).unwrap_or(usize::MAX);
    let (mut payouts, mut damaged) = (Vec::new(), Vec::new());
    while !reply.is_empty() {
        match read_member(keys, &reply.bytes("payout")?) {
            Ok(payout) => payouts.push(payout),
            Err(broken) => damaged.push(broken),
        }
    }
    Ok(Due { at_ms, count, payouts, damaged, next_due_ms })
}

/// Which of these payouts no attempt has begun for although their time is over. What cannot be read is none of them.
///
/// # Errors
/// Redis's.
pub async fn expired(
    link: &mut Link,
    keys: &Keys,
    due: &Due,
) -> Result<Vec<(AccountId, JobId)>, ScriptError> {
    let mut pipeline = Pipeline::new();
    for (_, id) in &due.payouts {
        pipeline.cmd("HMGET").arg(keys.hold(id)).arg("attempts").arg("expires_at_ms");
    }
    if pipeline.is_empty() {
        return Ok(Vec::new());
    }
    let mut expired = Vec::new();
    for (payout, row) in due.payouts.iter().zip(link.run_pipeline(&pipeline).await?) {
        let row: Option<[String; 2]> = row.ok().and_then(|row| redis::from_redis_value(row).ok());
        let is_over = |[attempts, expires]: [String; 2]| {
            attempts == "0" && expires.parse().is_ok_and(|at_ms: u64| at_ms <= due.at_ms)
        };
        if row.is_some_and(is_over) {
            expired.push(payout.clone());
        }
    }
    Ok(expired)
}
