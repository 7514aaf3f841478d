//! `payout ls|show|post|void`: payouts on their way, and what an operator does with those that need review.
//!
//! An operator's word goes into the journal with who and why. It is refused while an attempt's lease runs: that
//! attempt may still be paying. Said again after its answer was lost, it is answered by the job's receipt.

mod account_lock;
pub(super) mod view;

use std::ops::ControlFlow;

use futures_util::StreamExt;
use serde::Serialize;
use tollgate::amount::money;
use tollgate::code::{Class, Code};
use tollgate::ids::{AccountId, JobId};
use tollgate::input::InputError;
use tollgate::journal;
use tollgate::keys::Keys;
use tollgate::kinds::{Event, Fields};
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::resource::Resource;
use tollgate::scripts::ScriptError;
use tollgate::scripts::payout::{self, Damaged, Hold, Listed, NOTE_BYTES_MAX, Step};
use tollgate::{Tollgate, abreast};

use crate::arguments;
use crate::context::Context;
use crate::each::{each_partition, in_each};
use crate::exit::Exit;
use crate::output::hint;
use crate::table::Table;

use account_lock::LockView;
use view::{COLUMNS, View, hint_at_damage, table};

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
        /// Of this account, where the id is used for several
        #[arg(long, value_name = "ID")]
        account: Option<AccountId>,
    },
    /// Record that it was paid: the held money leaves the account
    Post(Word),
    /// Record that it was not paid and will not be: the held money goes back
    Void(Word),
}

/// An operator's word.
#[derive(Debug, clap::Args)]
struct Word {
    /// The id of its job
    #[arg(value_name = "ID", value_parser = arguments::stored_id)]
    id: JobId,
    /// Of this account, where the id is used for several
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
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

/// One payout as `show --json` shows it.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    payout: &'a View<'a>,
    /// `None` if nobody can say of which account it is.
    lock: Option<LockView>,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    let mut link = tollgate.server().link().await?;
    match args.verb {
        Verb::Ls { needs_review } => ls(context, &tollgate, needs_review).await,
        Verb::Show { id, account } => show(context, &tollgate, &id, account.as_ref()).await,
        Verb::Post(word) => say(context, &context.acting(tollgate).await?, &mut link, word, Say::Post).await,
        Verb::Void(word) => say(context, &context.acting(tollgate).await?, &mut link, word, Say::Void).await,
    }
}

async fn ls(context: &Context, tollgate: &Tollgate, needs_review: bool) -> anyhow::Result<Exit> {
    let mut list = context.output().list();
    let (mut table, mut any_damaged) = (Table::new(&COLUMNS), false);
    let is_wanted = |listed: &&Listed| {
        !needs_review || !matches!(listed, Listed::Open(hold) if hold.state != Code::NeedsReview)
    };
    let first = async |_, keys: &Keys, link: &mut Link| Ok(payout::listed(link, keys, 0, PAGE).await?);
    let exit = each_partition(tollgate, first, async |partition, link, first| {
        let (mut next, mut from) = (first, 0);
        while let Some(page) = next {
            from += PAGE;
            for listed in page.iter().filter(is_wanted) {
                let view = View::of(partition, listed);
                any_damaged |= view.is_damaged();
                if context.output().is_json() {
                    list.item(&view, String::new)?;
                } else {
                    table.row(view.cells());
                }
            }
            next = payout::listed(link, tollgate.keys(partition), from, PAGE).await?;
        }
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    if context.output().is_json() {
        list.end()?;
    } else {
        context.output().line(table)?;
    }
    hint_at_damage(any_damaged);
    Ok(exit)
}

async fn show(
    context: &Context,
    tollgate: &Tollgate,
    id: &JobId,
    account: Option<&AccountId>,
) -> anyhow::Result<Exit> {
    let (read, failed) = in_each(tollgate, async |_, keys, link| match payout::hold(link, keys, id).await {
        Ok(hold) => Ok(hold.map(Listed::Open)),
        Err(ScriptError::CorruptPartition(what)) => {
            Ok(Some(Listed::Damaged(Damaged { account: None, id: id.to_string(), what })))
        }
        Err(error) => Err(error.into()),
    })
    .await?;
    let unread = failed.complain();
    let mut found = Vec::new();
    for (partition, listed) in read {
        let Some(listed) = listed else { continue };
        let owner = match &listed {
            Listed::Open(hold) => Some(&hold.account),
            Listed::Damaged(_) => None,
        };
        if account.is_none() || owner.is_none() || owner == account {
            found.push((partition, listed));
        }
    }
    let views: Vec<View<'_>> = found.iter().map(|(partition, listed)| View::of(*partition, listed)).collect();
    let view = match views.as_slice() {
        // It may be open where nobody could look.
        [] if !failed.is_empty() => return Ok(unread),
        [] => return not_open(context, id),
        [view] => view,
        several => {
            let accounts = several.iter().map(|view| view.account.unwrap_or("?").to_owned());
            return Err(ambiguous(id, accounts.collect()).into());
        }
    };
    let account = match found.as_slice() {
        [(_, Listed::Open(hold))] => Some(&hold.account),
        _ => account,
    };
    let lock = match account {
        Some(account) => Some(account_lock::look(context, account).await?),
        None => None,
    };
    let text = |lock: &Option<LockView>| {
        let lock = lock.as_ref().map_or_else(String::new, |lock| format!("\n{lock}"));
        format!("{}{}{lock}", table(std::slice::from_ref(view)), view.details())
    };
    let shown = Shown { payout: view, lock };
    context.output().data(&shown, || text(&shown.lock))?;
    hint_at_damage(view.is_damaged());
    Ok(if view.is_damaged() { Exit::Refused } else { unread })
}

/// One id may belong to payouts of several accounts: nobody guesses which is meant.
fn ambiguous(id: &JobId, mut accounts: Vec<String>) -> InputError {
    accounts.sort();
    let rule = format!(
        "a payout of one account; there is one of each of {}: say which by --account",
        accounts.join(", ")
    );
    InputError::new(Code::IdMalformed, "id", id.as_str(), &rule)
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
    let mut found = candidates(tollgate, link, &word.id).await?;
    found.retain(|payout| word.account.as_ref().is_none_or(|account| *account == payout.account));
    if found.len() > 1 {
        let accounts = found.iter().map(|payout| payout.account.to_string());
        return Err(ambiguous(&word.id, accounts.collect()).into());
    }
    let Some(Candidate { partition, account, hold }) = found.pop() else {
        return not_open(context, &word.id);
    };
    let step = match say {
        Say::Post => Step::PostByHand { note: &word.reason },
        Say::Void => Step::VoidByHand { note: &word.reason },
    };
    let keys = tollgate.keys(partition);
    let answer = payout::step_by(link, keys, &account, &word.id, &step, tollgate.by()).await?;
    let (seq, replayed) = answer.decided();
    let code = answer.direct_code();
    let said = Said { id: word.id.as_str(), class: code.class().name(), code: code.name(), seq, replayed };
    let again = if replayed { " (replayed: decided before)" } else { "" };
    let terms = hold.map_or_else(String::new, |hold| {
        let amount = money(u128::from(hold.amount), &hold.currency);
        format!(" ({amount} from {account} to {})", hold.destination)
    });
    let told = context.output().answer(&said, format!("{code}: {}{terms}{again}", code.meaning()));
    // Both words are done when they are in the journal, whatever class their code has for the sender.
    Ok(if seq.is_some() { Exit::Done } else { Exit::Refused }.combine(told))
}

/// A payout of the id that somebody speaks of.
struct Candidate {
    partition: Partition,
    account: AccountId,
    /// `None` if it has ended.
    hold: Option<Hold>,
}

/// The payouts of this id, open ones and those that have ended, wherever they are: a word that is said again belongs
/// to the one that it ended, and to no other account's.
async fn candidates(tollgate: &Tollgate, link: &mut Link, id: &JobId) -> anyhow::Result<Vec<Candidate>> {
    let mut found = Vec::new();
    // Who decides has to know all of them: one that cannot be asked may have another of this id.
    let held = abreast(tollgate.partitions().iter(), |partition| async move {
        payout::hold(&mut tollgate.server().link().await?, tollgate.keys(partition), id).await
    });
    for (partition, hold) in held.collect::<Vec<_>>().await {
        if let Some(hold) = hold? {
            found.push(Candidate { partition, account: hold.account.clone(), hold: Some(hold) });
        }
    }
    for outcome in tollgate.lookup(std::slice::from_ref(id)).await?.into_iter().flatten() {
        let (Some(partition), Some(seq)) = (outcome.partition, outcome.seq) else { continue };
        if found.iter().any(|payout| payout.partition == partition) {
            continue;
        }
        let line = journal::line_at(link, tollgate.keys(partition), seq).await??;
        let Some(event) = line.map(|line| line.event).filter(Event::is_of_payout) else { continue };
        if let Resource::Account(account) = event.resource() {
            found.push(Candidate { partition, account: account.clone(), hold: None });
        }
    }
    Ok(found)
}

fn not_open(context: &Context, id: &JobId) -> anyhow::Result<Exit> {
    let code = Code::PayoutNotOpen;
    debug_assert_eq!(code.class(), Class::Refused);
    let said =
        Said { id: id.as_str(), class: code.class().name(), code: code.name(), seq: None, replayed: false };
    context.output().data(&said, || format!("{code}: {}", code.meaning()))?;
    hint(format_args!("`lookup {id}` says what became of it, if anything did"));
    Ok(Exit::Refused)
}
