//! `settle`: decides a batch of jobs of one partition. The one script that changes coupons and money.

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::code::{Code, Stored};
use crate::protocol::fingerprint::Fingerprint;
use crate::protocol::ids::{JobId, QueueName};
use crate::protocol::instant::Instant;
use crate::protocol::keys::Keys;
use crate::protocol::kinds::{Settle, every_kind};
use crate::protocol::row::is_entry;
use crate::scripts::script::{Call, File, Part, Reply, file, parts, script};

use super::error::{ScriptError, status};

mod assembly;
mod packed;
mod policy;
pub(super) use assembly::Assembly;
#[cfg(feature = "explore")]
pub use packed::texts as packed_texts;
pub use policy::{Missing, Policy, Source};

/// Beside the two that most batches have, which stand before it.
macro_rules! rare_kinds {
    ($($group:ident { $($type:ident $name:literal $entrance:ident,)* })*) => {
        &[
            file!("settle/hold.lua"),
            file!("settle/original.lua"),
            $($(file!(concat!("settle/", $name, ".lua")),)*)*
            file!("settle/cancel.lua"),
        ]
    };
}

const RARE_KINDS: &[File] = every_kind!(rare_kinds);

/// What a sale needs, and no payout: they stand before the others.
const INVENTORY_KINDS: &[File] = &[
    file!("settle/tickets.lua"),
    file!("settle/inventory.lua"),
    file!("settle/item_limits.lua"),
    file!("settle/reservation.lua"),
    file!("settle/purchase.lua"),
    file!("settle/reserve.lua"),
    file!("settle/commit.lua"),
    file!("settle/release.lua"),
    file!("settle/extend.lua"),
    file!("settle/return.lua"),
    file!("settle/exchange.lua"),
    file!("settle/expire.lua"),
    file!("settle/inventory_create.lua"),
    file!("settle/inventory_load.lua"),
    file!("settle/inventory_restock.lua"),
    file!("settle/inventory_set_quantity.lua"),
    file!("settle/inventory_close.lua"),
    file!("settle/inventory_cancel.lua"),
    file!("settle/inventory_archive.lua"),
];

/// What a case needs, and nothing else does.
const CASE_KINDS: &[File] = &[
    file!("settle/case.lua"),
    file!("settle/case_open.lua"),
    file!("settle/case_amend.lua"),
    file!("settle/decide.lua"),
];

script!(
    SETTLE,
    "settle",
    "settle/main.lua",
    [
        parts::NUMBERS, parts::COUNTED, parts::CLOCK, parts::FORMAT, parts::CHECKS, parts::PARKED_ROW, parts::DEAD_COUNT,
        parts::RECEIPT, parts::QUEUE_FIELDS, parts::IN_FLIGHT, parts::ROW, parts::ROWS,
        Part::File(file!("settle/call.lua")),
        Part::File(file!("settle/head.lua")),
        Part::File(file!("settle/receipts.lua")),
        Part::File(file!("settle/resources.lua")),
        Part::File(file!("settle/kinds.lua")),
        Part::File(file!("settle/redeem.lua")),
        Part::File(file!("settle/withdraw.lua")),
        Part::Function("inventory_kinds()", INVENTORY_KINDS),
        Part::Function("case_kinds()", CASE_KINDS),
        Part::Function("rare_kinds()", RARE_KINDS),
        Part::File(file!("settle/row.lua")),
        Part::File(file!("settle/runs.lua")),
        Part::File(file!("settle/write.lua")),
    ],
    keys [head queue in_flight journal parked scheduled dead kept resources; key],
    args [nonce queue_name by how row token entries left names jobs],
    status Status,
    refusals [uninitialised partition_frozen corrupt_partition]
);

crate::connection::reply::keywords!(
    pub(super) enum Status {
        Settled = "settled",
    }
);

/// Most jobs in one call: what Lua's stack takes, and 5 ms of Redis's time.
pub const BATCH_MAX: usize = 1_000;

/// One job of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// The stream entry that leaves its row when the job is settled; `None` for what is settled directly.
    pub entry: Option<&'a str>,
    /// The job's id.
    pub id: &'a JobId,
    /// What is asked for.
    pub request: &'a dyn Settle,
    /// Of `request`.
    pub fingerprint: Fingerprint,
}

/// What a call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Server time of the decision.
    pub at: Instant,
    /// The partition's seq before the call.
    pub seq_before: u64,
    /// One for each item, in order.
    pub answers: Vec<Answer>,
}

/// What became of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Decided by this call: journaled at `seq`, with a receipt, acknowledged.
    Decided {
        /// Applied or refused.
        code: Code,
        /// Its place in the journal.
        seq: u64,
    },
    /// Decided before, by the same request; acknowledged.
    Replayed {
        /// What was decided then.
        code: Code,
        /// Its place in the journal.
        seq: u64,
    },
    /// The id was used for another request; acknowledged.
    Mismatch {
        /// Where that request is in the journal; 0 if it is parked, undecided.
        seq: u64,
    },
    /// The id is below the receipts floor; acknowledged.
    Expired,
    /// Not decided, and nothing written: its entry does not lie in the caller's row any more, and nothing is known of
    /// its id. Somebody else has it, or an operator gave it up.
    NotOwner,
    /// Not decided, nothing written: its entry stays in the row, and belongs in dead.
    Undecided(Code),
}

impl Answer {
    /// The code to tell: of a replay, the stored one; `None` if nothing is known of the job.
    pub fn code(self) -> Option<Code> {
        match self {
            Self::Decided { code, .. } | Self::Replayed { code, .. } | Self::Undecided(code) => Some(code),
            Self::Mismatch { .. } => Some(Code::IdMismatch),
            Self::Expired => Some(Code::IdExpired),
            Self::NotOwner => None,
        }
    }

    /// Its place in the journal, if it is decided, and whether it had been before.
    pub fn decided(self) -> (Option<u64>, bool) {
        match self {
            Self::Decided { seq, .. } => (Some(seq), false),
            Self::Replayed { seq, .. } => (Some(seq), true),
            Self::Mismatch { .. } | Self::Expired | Self::NotOwner | Self::Undecided(_) => (None, false),
        }
    }

    /// The code of what was settled directly: it comes from no row, so it is never another worker's.
    pub fn direct_code(self) -> Code {
        self.code().unwrap_or(Code::CorruptPartition)
    }

    /// Reads `replayed:<code>:<seq>`, `id_mismatch:<seq>` or `id_expired`: what a receipt makes a script say.
    pub(super) fn from_receipt(text: &str) -> Option<Self> {
        let mut words = text.split(':');
        match (words.next()?, words.next(), words.next()) {
            ("replayed", Some(code), Some(seq)) => {
                Some(Self::Replayed { code: Code::from_name(code)?, seq: seq.parse().ok()? })
            }
            ("id_mismatch", Some(seq), None) => Some(Self::Mismatch { seq: seq.parse().ok()? }),
            ("id_expired", None, None) => Some(Self::Expired),
            _ => None,
        }
    }
}

/// Settles `items` directly; they all belong to the partition of `keys`. Jobs of a queue: [`settle_with`], with their
/// [`Source`].
///
/// At most [`BATCH_MAX`] items; more is a bug of the caller and answered as such. An empty list asks nothing.
///
/// # Errors
/// [`ScriptError::Failure`] with [`Failure::Unknown`]: the call may have happened; the same call again is safe
/// and answers `Replayed` for what it decided. Every other error: nothing was written.
///
/// # Cancel safety
/// If the future is dropped the call may or may not have happened; calling again is safe.
pub async fn settle(
    link: &mut Link,
    keys: &Keys,
    queue: &QueueName,
    items: &[Item<'_>],
) -> Result<Settlement, ScriptError> {
    settle_with(link, keys, queue, items, Policy::default()).await
}

/// [`settle`], with a [`Policy`].
///
/// # Errors
/// As [`settle`].
///
/// # Cancel safety
/// As [`settle`].
pub async fn settle_with(
    link: &mut Link,
    keys: &Keys,
    queue: &QueueName,
    items: &[Item<'_>],
    policy: Policy<'_>,
) -> Result<Settlement, ScriptError> {
    let refused = |detail: String| {
        Err(Failure::not_applied(crate::connection::failure::Refusal::Client, detail).into())
    };
    if items.len() > BATCH_MAX {
        let detail = format!("a batch of {} jobs; at most {BATCH_MAX}", items.len());
        return refused(detail);
    }
    if items.iter().any(|item| item.entry.is_some() != policy.source.is_some()) {
        return refused("jobs of a row name their entries, and no others do".to_owned());
    }
    let left = policy.source.iter().flat_map(|source| source.left.iter().copied());
    if let Some(entry) = items.iter().filter_map(|item| item.entry).chain(left).find(|entry| !is_entry(entry))
    {
        return refused(format!("{entry:?} is no stream entry"));
    }
    let mut reply = assembled(keys, queue, items, policy).run(link).await?;
    let Status::Settled = status(&mut reply)?;
    read(&mut reply, items.len(), policy.missing).inspect_err(|_| link.poison()).map_err(ScriptError::from)
}

fn assembled(keys: &Keys, queue: &QueueName, items: &[Item<'_>], policy: Policy<'_>) -> Call {
    let entries: Vec<&str> = items.iter().filter_map(|item| item.entry).collect();
    let mut assembly = Assembly::new(SETTLE.call(), keys, queue, policy, &entries.join(" "));
    for Item { id, request, fingerprint, .. } in items {
        assembly.push_job(request.kind(), id, &fingerprint.to_string());
        assembly.push_request(id, *request, policy);
    }
    assembly.finish()
}

pub(super) fn read(reply: &mut Reply, count: usize, missing: Missing) -> Result<Settlement, Failure> {
    let at = reply.number("at_ms")?;
    let at = Instant::from_ms(at).ok_or_else(|| Failure::unknown(format!("a server time of {at} ms")))?;
    let seq_before = reply.number("seq")?;
    let mut seq = seq_before;
    let words = reply.text("answers")?;
    let mut answers = Vec::with_capacity(count);
    for text in words.split_ascii_whitespace() {
        let answer = match Code::from_name(text) {
            Some(code)
                if code.stored() == Stored::Yes
                    || (code.stored() == Stored::PastBound && missing == Missing::Refused) =>
            {
                seq += 1;
                Answer::Decided { code, seq }
            }
            Some(Code::IdExpired) => Answer::Expired,
            None if text == "not_owner" => Answer::NotOwner,
            Some(code) => Answer::Undecided(code),
            None => Answer::from_receipt(text).ok_or_else(|| {
                Failure::unknown(format!("an answer that this release does not know: {text}"))
            })?,
        };
        answers.push(answer);
    }
    if answers.len() != count {
        return Err(Failure::unknown(format!("{} answers to {count} jobs", answers.len())));
    }
    Ok(Settlement { at, seq_before, answers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::kinds::{Argument, Entrance, Field, Json, Kind};

    /// The words after `label` in a file's header, up to the next label; what stands in parentheses is left out.
    fn header(text: &str, label: &str) -> Vec<String> {
        let lines = text
            .trim_start()
            .lines()
            .take_while(|line| line.starts_with("--"))
            .map(|line| line.trim_start_matches('-'));
        let words = lines.collect::<Vec<_>>().join(" ");
        let words = words.split('(').map(|part| part.split_once(')').map_or(part, |(_, rest)| rest));
        let words = words.collect::<String>();
        let after = words.split_whitespace().skip_while(|word| *word != label).skip(1);
        after.take_while(|word| !["fields", "journal", "."].contains(word)).map(str::to_owned).collect()
    }

    /// A field's name for those who get its text.
    fn name(field: &Field) -> String {
        let unit = if field.json == Json::Time { "_ms" } else { "" };
        format!("{}{unit}", field.name)
    }

    #[test]
    fn each_kind_is_sent_and_journaled_as_its_file_says() {
        let steps = crate::scripts::payout::tests::all();
        for &kind in Kind::ALL {
            let file = SETTLE.files().find(|file| file.name == format!("settle/{kind}.lua"));
            let text = file.unwrap_or_else(|| panic!("no file of {kind}")).text;
            let Some((resource, others)) = kind.spec().fields.split_first() else { panic!("{kind}") };
            let is_of_payout = resource.name == "account";
            let holds = kind.spec().holds || (kind.entrance() == Entrance::Journal && is_of_payout);
            let keys = holds.then_some(["hold", "payouts"]).into_iter().flatten().map(str::to_owned);
            let ttl = kind.spec().holds.then(|| "hold_ttl_ms".to_owned());
            let has_lines = others.iter().any(|field| matches!(field.argument, Argument::Lines));
            let parts = has_lines.then(|| "parts".to_owned());
            let names = |field: &Field| {
                let receipts = matches!(field.argument, Argument::Receipt).then(|| "receipts".to_owned());
                receipts.into_iter().chain([name(field)])
            };
            let own = others.iter().flat_map(names).chain(ttl).chain(parts).collect();
            let sent = match kind.entrance() {
                Entrance::Journal if is_of_payout => {
                    let of_kind = steps.iter().filter(|(of, _)| *of == kind).map(|(_, names)| names);
                    of_kind
                        .map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
                        .collect()
                }
                _ => vec![own],
            };
            assert!(!sent.is_empty(), "{kind}");
            for own in sent {
                let all: Vec<String> =
                    std::iter::once(name(resource)).chain(keys.clone()).chain(own).collect();
                assert_eq!(header(text, "fields"), all, "{kind}");
                assert!(text.contains(&format!("fields = {},", all.len())), "{kind}: fields = {}", all.len());
            }
            let was = kind.spec().was.map(str::to_owned);
            let after = kind.spec().after.iter().map(|name| (*name).to_owned());
            let said = kind.spec().told.iter().map(|name| (*name).to_owned());
            let fields = kind.spec().fields.iter().map(name);
            let journal: Vec<String> = fields.chain(was).chain(after).chain(said).collect();
            let told = header(text, "journal");
            assert_eq!(told.get(..journal.len()), Some(&journal[..]), "{kind}: {told:?}");
        }
    }
}
