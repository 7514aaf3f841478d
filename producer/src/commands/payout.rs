//! `payout ls|show|post|void`: payouts on their way, and what an operator does with those that need review.
//!
//! An operator's word goes into the journal with who and why. It is refused while an attempt's lease runs: that
//! attempt may still be paying. Said again after its answer was lost, it is answered by the job's receipt.

use serde::Serialize;
use tollgate::Tollgate;
use tollgate::code::{Class, Code};
use tollgate::ids::{AccountId, JobId};
use tollgate::instant::Instant;
use tollgate::job::Request;
use tollgate::journal;
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::scripts::payout::{self, Hold, NOTE_BYTES_MAX, Step};
use tollgate::scripts::settle::Answer;

use crate::arguments;
use crate::context::Context;
use crate::each::each_partition;
use crate::exit::Exit;
use crate::output::hint;
use crate::table::{Table, age};

/// Open payouts read at a time.
const PAGE: usize = 500;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List payouts that have not ended
    Ls {
        /// Only those that wait for an operator
        #[arg(long)]
        needs_review: bool,
    },
    /// Show one
    Show {
        /// The id of its job
        #[arg(value_name = "ID", value_parser = arguments::stored_id)]
        id: JobId,
    },
    /// Say that it was paid: the held money leaves the account
    Post(Word),
    /// Say that it was not paid and will not be: the held money goes back
    Void(Word),
}

/// An operator's word.
#[derive(Debug, clap::Args)]
struct Word {
    /// The id of its job
    #[arg(value_name = "ID", value_parser = arguments::stored_id)]
    id: JobId,
    /// Why; the journal keeps it for ever
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > NOTE_BYTES_MAX / 2 || text.chars().any(char::is_control) {
        return Err(format!("must be 1 to {} bytes without control characters", NOTE_BYTES_MAX / 2));
    }
    Ok(text.to_owned())
}

/// An open payout as `--json` shows it; amounts in minor units, instants in milliseconds since the Unix epoch.
#[derive(Serialize)]
pub(super) struct View<'a> {
    id: &'a str,
    partition: u16,
    account: &'a str,
    amount: u64,
    currency: &'a str,
    destination: &'a str,
    state: &'static str,
    attempts: u64,
    refused: u64,
    fence: u64,
    lease_until_ms: u64,
    since_ms: u64,
    reason: &'a str,
    gateway: &'a str,
    idempotency_key: &'a str,
}

impl<'a> View<'a> {
    pub(super) fn of(partition: Partition, hold: &'a Hold) -> Self {
        Self {
            id: hold.id.as_str(),
            partition: partition.number(),
            account: hold.account.as_str(),
            amount: hold.amount,
            currency: &hold.currency,
            destination: &hold.destination,
            state: hold.state.name(),
            attempts: hold.attempts,
            refused: hold.refused,
            fence: hold.fence,
            lease_until_ms: hold.lease_until_ms,
            since_ms: hold.since_ms,
            reason: &hold.reason,
            gateway: &hold.gateway,
            idempotency_key: &hold.idempotency_key,
        }
    }

    fn cells(&self) -> [String; 8] {
        [
            self.id.to_owned(),
            self.account.to_owned(),
            self.amount.to_string(),
            self.currency.to_owned(),
            self.state.to_owned(),
            self.attempts.to_string(),
            age(Some(Instant::now().ms().saturating_sub(self.since_ms))),
            self.reason.to_owned(),
        ]
    }
}

const COLUMNS: [&str; 8] = ["id", "account", ">amount", "currency", "state", ">attempts", ">since", "reason"];

/// Open payouts for people.
pub(super) fn table(payouts: &[View<'_>]) -> Table {
    let mut table = Table::new(&COLUMNS);
    payouts.iter().for_each(|payout| table.row(payout.cells()));
    table
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    let mut link = tollgate.server().link().await?;
    match args.verb {
        Verb::Ls { needs_review } => ls(context, &tollgate, &mut link, needs_review).await,
        Verb::Show { id } => match find(&tollgate, &mut link, &id).await? {
            Some((partition, hold)) => {
                let view = View::of(partition, &hold);
                context.output().data(&view, || {
                    let table = table(std::slice::from_ref(&view));
                    format!(
                        "{table}\nto {}, fence {}, {} refused",
                        hold.destination, hold.fence, hold.refused
                    )
                })?;
                Ok(Exit::Done)
            }
            None => not_open(context, &id),
        },
        Verb::Post(word) => say(context, &context.acting(tollgate).await?, &mut link, word, Say::Post).await,
        Verb::Void(word) => say(context, &context.acting(tollgate).await?, &mut link, word, Say::Void).await,
    }
}

async fn ls(
    context: &Context,
    tollgate: &Tollgate,
    link: &mut Link,
    needs_review: bool,
) -> anyhow::Result<Exit> {
    let mut list = context.output().list();
    let mut table = Table::new(&COLUMNS);
    let exit = each_partition(tollgate, async |partition, keys| {
        let mut from = 0;
        loop {
            let holds = payout::open(link, keys, from, PAGE).await?;
            from += PAGE;
            let is_last = holds.is_empty();
            for hold in holds.iter().filter(|hold| !needs_review || hold.state == Code::NeedsReview) {
                let view = View::of(partition, hold);
                if context.output().is_json() {
                    list.item(&view, String::new)?;
                } else {
                    table.row(view.cells());
                }
            }
            if is_last {
                return Ok(());
            }
        }
    })
    .await?;
    if context.output().is_json() {
        list.end()?;
    } else {
        context.output().line(table)?;
    }
    Ok(exit)
}

/// The open payout of this id, wherever it is.
async fn find(tollgate: &Tollgate, link: &mut Link, id: &JobId) -> anyhow::Result<Option<(Partition, Hold)>> {
    for partition in tollgate.partitions().iter() {
        if let Some(hold) = payout::hold(link, tollgate.keys(partition), id).await? {
            return Ok(Some((partition, hold)));
        }
    }
    Ok(None)
}

#[derive(Debug, Clone, Copy)]
enum Say {
    Post,
    Void,
}

/// What came of an operator's word, as JSON.
#[derive(Serialize)]
struct Said<'a> {
    id: &'a str,
    class: &'static str,
    code: &'static str,
    seq: Option<u64>,
    replayed: bool,
}

async fn say(
    context: &Context,
    tollgate: &Tollgate,
    link: &mut Link,
    word: Word,
    say: Say,
) -> anyhow::Result<Exit> {
    crate::output::say(format_args!("id {}", word.id));
    let found = match find(tollgate, link, &word.id).await? {
        Some((partition, hold)) => Some((partition, hold.account)),
        None => ended(tollgate, link, &word.id).await?,
    };
    let Some((partition, account)) = found else {
        return not_open(context, &word.id);
    };
    let step = match say {
        Say::Post => Step::PostByHand { note: &word.reason },
        Say::Void => Step::VoidByHand { note: &word.reason },
    };
    let keys = tollgate.keys(partition);
    let answer = payout::step_by(link, keys, &account, &word.id, &step, tollgate.by()).await?;
    let (seq, replayed) = match answer {
        Answer::Decided { seq, .. } => (Some(seq), false),
        Answer::Replayed { seq, .. } => (Some(seq), true),
        _ => (None, false),
    };
    let code = answer.code();
    let said = Said { id: word.id.as_str(), class: code.class().name(), code: code.name(), seq, replayed };
    let again = if replayed { " (replayed: decided before)" } else { "" };
    let told = context.output().answer(&said, format!("{code}: {}{again}", code.meaning()));
    // Both words are done when they are in the journal, whatever class their code has for the sender.
    Ok(if seq.is_some() { Exit::Done } else { Exit::Refused }.combine(told))
}

/// Where a payout was that has ended, by the journal line of its receipt.
async fn ended(
    tollgate: &Tollgate,
    link: &mut Link,
    id: &JobId,
) -> anyhow::Result<Option<(Partition, AccountId)>> {
    for outcome in tollgate.lookup(link, std::slice::from_ref(id)).await?.into_iter().flatten() {
        let (Some(partition), Some(seq)) = (outcome.partition, outcome.seq) else { continue };
        let line = journal::line_at(link, tollgate.keys(partition), seq).await??;
        let request = line.map(|line| line.request);
        if let Some(Request::Payout { account, .. } | Request::PayoutStep { account, .. }) = request {
            return Ok(Some((partition, account)));
        }
    }
    Ok(None)
}

fn not_open(context: &Context, id: &JobId) -> anyhow::Result<Exit> {
    let code = Code::PayoutNotOpen;
    debug_assert_eq!(code.class(), Class::Refused);
    let said =
        Said { id: id.as_str(), class: code.class().name(), code: code.name(), seq: None, replayed: false };
    context.output().data(&said, || format!("{code}: {}", code.meaning()))?;
    hint("`lookup` says how it ended");
    Ok(Exit::Refused)
}
