//! Resources (campaigns, accounts; others in files of their own) as they are in Redis now, judged as `settle` judges them.
//!
//! Reading only. What cannot be (a wrong type, a value that is no number, a name in the index without its key)
//! is [`Held::Corrupt`] for that resource alone. A list is read in pages of the index, so it can be as long as
//! it likes; what is created meanwhile may or may not be in it.

use redis::{Pipeline, Value};

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::amount::{Amount, Currency, NUMBER_MAX};
use crate::protocol::codes_name::CodesName;
use crate::protocol::ids::{AccountId, CampaignId, CustomerId};
use crate::protocol::instant::Instant;
use crate::protocol::keys::Keys;
use crate::protocol::quantity::{Limit, Quantity};

/// What is under a resource's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held<T> {
    /// The resource.
    State(T),
    /// No such resource.
    Absent,
    /// What cannot be; in words.
    Corrupt(String),
}

impl<T> Held<T> {
    /// The resource, if it could be read.
    pub fn state(&self) -> Option<&T> {
        match self {
            Self::State(state) => Some(state),
            Self::Absent | Self::Corrupt(_) => None,
        }
    }
}

/// Whether a resource still gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Open,
    /// It was closed, for good.
    Closed,
}

impl Status {
    /// The name in Redis and in `--json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Closed].into_iter().find(|status| status.name() == text)
    }
}

/// A campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignState {
    /// How much it may issue in all.
    pub limit: Limit,
    /// How much it has issued.
    pub issued: u64,
    /// How much was reversed; not among what it has issued.
    pub reversed: u64,
    /// How much one customer may have.
    pub per_customer: Option<Quantity>,
    /// When it begins to issue.
    pub opens_at: Option<Instant>,
    /// When it no longer issues.
    pub closes_at: Option<Instant>,
    /// The codes that it hands out.
    pub codes: Option<CodesName>,
    /// Whether an operator closed it.
    pub status: Status,
    /// The journal line of its last change.
    pub seq: u64,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountState {
    /// What can be spent.
    pub available: Amount,
    /// What is set aside for payouts.
    pub held: Amount,
    /// Its one currency.
    pub currency: Currency,
    /// Whether an operator closed it.
    pub status: Status,
    /// The journal line of its last change.
    pub seq: u64,
}

/// A resource that is kept under a key of its own and listed in the index.
pub trait Listed: Sized {
    /// Its id.
    type Id: std::fmt::Display;
    /// What its members of the index begin with.
    const PREFIX: &'static str;
    /// Its fields in order: of a hash those that [`Listed::read`] wants, of a text all words of it.
    const FIELDS: &'static [&'static str];
    /// Whether it is kept as one text, its fields a space between two, rather than as a hash.
    const IS_TEXT: bool;

    /// The key of one.
    fn key(keys: &Keys, id: &Self::Id) -> String;
    /// The text of an id.
    fn text(id: &Self::Id) -> &str;
    /// The id of a text, if it can be one.
    fn id(text: &str) -> Option<Self::Id>;
    /// Reads the fields.
    ///
    /// # Errors
    /// Names the field that cannot be.
    fn read(fields: &[Option<&str>]) -> Result<Self, &'static str>;
}

impl Listed for CampaignState {
    type Id = CampaignId;
    const PREFIX: &'static str = "campaign:";
    const FIELDS: &'static [&'static str] = &[
        "limit",
        "issued",
        "seq",
        "status",
        "per_customer",
        "opens_at_ms",
        "closes_at_ms",
        "codes",
        "reversed",
    ];
    const IS_TEXT: bool = false;

    fn key(keys: &Keys, id: &CampaignId) -> String {
        keys.campaign(id)
    }

    fn text(id: &CampaignId) -> &str {
        id.as_str()
    }

    fn id(text: &str) -> Option<CampaignId> {
        CampaignId::parse(text).ok()
    }

    fn read(fields: &[Option<&str>]) -> Result<Self, &'static str> {
        let field = |i: usize| fields.get(i).copied().flatten();
        let state = Self {
            limit: number(field(0)).and_then(Limit::new).ok_or("limit")?,
            issued: number(field(1)).ok_or("issued")?,
            reversed: number(field(8)).ok_or("reversed")?,
            seq: number(field(2)).ok_or("seq")?,
            status: field(3).and_then(Status::parse).ok_or("status")?,
            per_customer: optional(field(4), |text| Quantity::new(number(Some(text))?))
                .ok_or("per_customer")?,
            opens_at: optional(field(5), instant).ok_or("opens_at_ms")?,
            closes_at: optional(field(6), instant).ok_or("closes_at_ms")?,
            codes: optional(field(7), CodesName::parse).ok_or("codes")?,
        };
        if state.issued > state.limit.get() { Err("issued") } else { Ok(state) }
    }
}

impl Listed for AccountState {
    type Id = AccountId;
    const PREFIX: &'static str = "account:";
    const FIELDS: &'static [&'static str] = &["available", "held", "currency", "status", "seq"];
    const IS_TEXT: bool = true;

    fn key(keys: &Keys, id: &AccountId) -> String {
        keys.account(id)
    }

    fn text(id: &AccountId) -> &str {
        id.as_str()
    }

    fn id(text: &str) -> Option<AccountId> {
        AccountId::parse(text).ok()
    }

    fn read(fields: &[Option<&str>]) -> Result<Self, &'static str> {
        let field = |i: usize| fields.get(i).copied().flatten();
        Ok(Self {
            available: number(field(0)).and_then(Amount::from_minor).ok_or("available")?,
            held: number(field(1)).and_then(Amount::from_minor).ok_or("held")?,
            currency: field(2).and_then(|code| code.parse().ok()).ok_or("currency")?,
            status: field(3).and_then(Status::parse).ok_or("status")?,
            seq: number(field(4)).ok_or("seq")?,
        })
    }
}

/// A number as `settle` reads one: plain digits, at most 2^53 - 1.
pub(super) fn number(text: Option<&str>) -> Option<u64> {
    let text = text?;
    let plain = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok().filter(|number| *number <= NUMBER_MAX) } else { None }
}

pub(super) fn instant(text: &str) -> Option<Instant> {
    Instant::from_ms(number(Some(text))?)
}

/// A field that is '' where there is no bound; it must be there all the same.
pub(super) fn optional<T>(text: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    match text? {
        "" => Some(None),
        text => read(text).map(Some),
    }
}

/// Reads these resources of one partition, in order.
///
/// # Errors
/// Redis's; damage is part of the answer.
pub async fn read<T: Listed>(link: &mut Link, keys: &Keys, ids: &[T::Id]) -> Result<Vec<Held<T>>, Failure> {
    let mut pipeline = Pipeline::with_capacity(2 * ids.len());
    for id in ids {
        match T::IS_TEXT {
            true => pipeline.cmd("GET").arg(T::key(keys, id)),
            false => pipeline.cmd("HMGET").arg(T::key(keys, id)).arg(T::FIELDS),
        };
        pipeline.cmd("ZSCORE").arg(keys.resources()).arg([T::PREFIX, T::text(id)].concat());
    }
    let mut replies = link.run_pipeline(&pipeline).await?.into_iter();
    let mut resources = Vec::with_capacity(ids.len());
    while let (Some(hash), Some(score)) = (replies.next(), replies.next()) {
        resources.push(judge(hash, score)?);
    }
    Ok(resources)
}

fn judge<T: Listed>(
    found: Result<Value, Failure>,
    score: Result<Value, Failure>,
) -> Result<Held<T>, Failure> {
    let fields = match found {
        Ok(Value::Array(values)) => values.into_iter().map(text_of).collect(),
        Ok(Value::Nil) => Vec::new(),
        Ok(text @ Value::BulkString(_)) => words_of(text_of(text), T::FIELDS.len()),
        Err(Failure::Server { code, .. }) if code == "WRONGTYPE" => {
            return Ok(Held::Corrupt("its key holds another type".to_owned()));
        }
        Err(failure) => return Err(failure),
        Ok(other) => {
            return Err(Failure::unknown(format!("a reply with {other:?} where a resource should be")));
        }
    };
    if fields.iter().all(Option::is_none) {
        return match score? {
            Value::Nil => Ok(Held::Absent),
            _ => Ok(Held::Corrupt("it is in the index, but its key is gone".to_owned())),
        };
    }
    let fields: Vec<Option<&str>> = fields.iter().map(Option::as_deref).collect();
    Ok(match T::read(&fields) {
        Ok(state) => Held::State(state),
        Err(field) => {
            let at = T::FIELDS.iter().position(|name| *name == field);
            let value = at.and_then(|at| fields.get(at).copied().flatten()).unwrap_or_default();
            Held::Corrupt(format!("its {field} is {value:?}"))
        }
    })
}

fn text_of(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        _ => None,
    }
}

/// The words of a text, a space between two; what is behind the last stays with it, where nothing takes it for a value.
fn words_of(text: Option<String>, count: usize) -> Vec<Option<String>> {
    text.iter().flat_map(|text| text.splitn(count, ' ')).map(|word| Some(word.to_owned())).collect()
}

/// Some of a partition's resources, in the order of their ids.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The ids and what is under them. A name that cannot be an id is damage like any other.
    pub resources: Vec<(String, Held<T>)>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
}

/// A place in the index: after this member, byte for byte.
#[derive(Debug, Clone)]
pub struct Cursor(Vec<u8>);

/// Reads up to `count` resources from `cursor` on, or from the beginning.
///
/// # Errors
/// As [`read`].
pub async fn page<T: Listed>(
    link: &mut Link,
    keys: &Keys,
    cursor: Option<Cursor>,
    count: usize,
) -> Result<Page<T>, Failure> {
    // The prefix ends in ':', and ';' is the byte after it.
    let past = format!("({};", T::PREFIX.trim_end_matches(':'));
    let from = match cursor {
        Some(Cursor(member)) => [b"(", member.as_slice()].concat(),
        None => format!("[{}", T::PREFIX).into_bytes(),
    };
    let mut command = redis::cmd("ZRANGE");
    command.arg(keys.resources()).arg(from).arg(past).arg("BYLEX").arg("LIMIT").arg(0).arg(count);
    let mut members: Vec<Vec<u8>> = link.query(&command).await?;
    let names: Vec<String> = members
        .iter()
        .map(|member| String::from_utf8_lossy(member.get(T::PREFIX.len()..).unwrap_or_default()).into_owned())
        .collect();
    let ids: Vec<T::Id> = names.iter().filter_map(|name| T::id(name)).collect();
    let mut states = read(link, keys, &ids).await?.into_iter();
    let held = |name: String| match T::id(&name) {
        Some(_) => (name, states.next().unwrap_or(Held::Absent)),
        None => (name, Held::Corrupt("no id that Tollgate could have written".to_owned())),
    };
    let resources = names.into_iter().map(held).collect();
    let next = if members.len() < count { None } else { members.pop().map(Cursor) };
    Ok(Page { resources, next })
}
/// Some customers of a campaign with how much each has redeemed, and where to read on; `None` at the end. A customer who
/// redeems meanwhile may come twice.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn holders(
    link: &mut Link,
    keys: &Keys,
    campaign: &CampaignId,
    cursor: u64,
    count: usize,
) -> Result<(Option<u64>, Vec<(String, u64)>), Failure> {
    let mut command = redis::cmd("HSCAN");
    command.arg(keys.holders(campaign)).arg(cursor).arg("COUNT").arg(count);
    let (next, holders): (u64, Vec<(String, u64)>) = link.query(&command).await?;
    Ok(((next > 0).then_some(next), holders))
}

/// How much one customer has redeemed of a campaign.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn held_by(
    link: &mut Link,
    keys: &Keys,
    campaign: &CampaignId,
    customer: &CustomerId,
) -> Result<u64, Failure> {
    let held: Option<u64> =
        link.query(redis::cmd("HGET").arg(keys.holders(campaign)).arg(customer.as_str())).await?;
    Ok(held.unwrap_or_default())
}
