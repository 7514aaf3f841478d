//! `lookup ID…`: what became of jobs, one line for each id in the order asked.
//!
//! An id is asked of all partitions. The rare one that was used in several has a line for each.

use serde::Serialize;
use tollgate::Tollgate;
use tollgate::amount::money;
use tollgate::code::Code;
use tollgate::coupon;
use tollgate::failure::Failure;
use tollgate::ids::JobId;
use tollgate::instant::Instant;
use tollgate::journal;
use tollgate::kinds::fields_of;
use tollgate::link::Link;
use tollgate::outcome::{Looked, Outcome, OutcomeClass, is_known};
use tollgate::scripts::ScriptError;
use tollgate::scripts::payout::{self, Hold};
use tollgate::tickets::{self, Ticket};

use crate::arguments;
use crate::context::Context;
use crate::each::Failed;
use crate::exit::Exit;
use crate::expired::warn_if_young;
use crate::output::{complain, hint, warn};
use crate::table::{Table, age};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Job ids
    #[arg(required = true, value_name = "ID", value_parser = arguments::stored_id)]
    ids: Vec<JobId>,
}

/// An outcome and, of a redemption from a campaign with codes, the code that it owns; of an order of an inventory with codes,
/// its tickets.
#[derive(Debug, Serialize)]
struct Found {
    #[serde(flatten)]
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    coupon: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tickets: Vec<Ticket>,
    /// Of a payout that has not ended: how far it is.
    #[serde(flatten)]
    payout: Option<Underway>,
    /// Of a withdrawal, what of it was refunded, for people.
    #[serde(skip)]
    refunded: Option<String>,
}

/// How far a payout is that has not ended.
#[derive(Debug, Serialize)]
struct Underway {
    /// Attempts that have begun.
    attempt: u64,
    /// When it came to this state, in milliseconds since the Unix epoch.
    since_ms: u64,
    /// Why it needs review.
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

/// Reads how far a payout is; nothing if it ended meanwhile, or if this user may not read it.
async fn underway(
    tollgate: &Tollgate,
    link: &mut Link,
    outcome: &Outcome,
) -> anyhow::Result<Option<Underway>> {
    let code = outcome.code.and_then(Code::from_name);
    let (Some(partition), Some(Code::Held | Code::Paying | Code::NeedsReview)) = (outcome.partition, code)
    else {
        return Ok(None);
    };
    match payout::hold(link, tollgate.keys(partition), &outcome.id).await {
        Ok(hold) => Ok(hold.map(|Hold { attempts: attempt, since_ms, reason, .. }| Underway {
            attempt,
            since_ms,
            reason,
        })),
        Err(ScriptError::Failure(failure)) if failure.is_denied() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    let mut link = tollgate.server().link().await?;
    let mut coupons = Coupons::Asked;
    let mut table = Table::new(&["id", ">partition", "class", "code", ">seq", "coupon"]);
    let mut exit = Exit::Done;
    let Looked { found, unread } = tollgate.look_up(&args.ids).await?;
    // What cannot be said: one of these partitions may know it.
    let (known, open): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|outcomes| unread.is_empty() || is_known(outcomes));
    let is_any_known = !known.is_empty();
    for outcome in known.into_iter().flatten() {
        exit = exit.combine(Exit::of_outcome(outcome.class));
        if outcome.class == OutcomeClass::Expired {
            warn_if_young(&tollgate, &mut link, &outcome.id).await;
        }
        let coupon = coupons.of(&tollgate, &mut link, &outcome).await?;
        let (tickets, of_tickets) = coupons.tickets_of(&tollgate, &mut link, &outcome).await?;
        exit = exit.combine(of_tickets);
        let payout = underway(&tollgate, &mut link, &outcome).await?;
        let refunded = refunded(&tollgate, &mut link, &outcome).await;
        let found = Found { outcome, coupon, tickets, payout, refunded };
        if context.output().is_json() {
            context.output().data(&found, String::new)?;
        } else {
            table.row(cells(found));
        }
    }
    if !context.output().is_json() && is_any_known {
        context.output().line(&table)?;
    }
    if open.is_empty() {
        return Ok(exit);
    }
    let ids: Vec<&str> = open.iter().flatten().map(|outcome| outcome.id.as_str()).collect();
    complain(format_args!("no partition that could be read knows {}", ids.join(", ")));
    let mut failed = Failed::default();
    for (partition, error) in unread {
        failed.note(partition, Err(error.into()))?;
    }
    Ok(exit.combine(failed.complain()))
}

/// What was refunded of a withdrawal, in its currency, which the journal line of its decision names; `None` where this user
/// may not read that.
async fn refunded(tollgate: &Tollgate, link: &mut Link, outcome: &Outcome) -> Option<String> {
    let minor = outcome.given_back.filter(|_| outcome.code != Some(Code::Redeemed.name()))?;
    let (partition, seq) = (outcome.partition?, outcome.seq?);
    let line = journal::line_at(link, tollgate.keys(partition), seq).await.ok()?.ok()??;
    let (_, currency) = fields_of(&line.event).into_iter().find(|(field, _)| field.name == "currency")?;
    Some(money(u128::from(minor), &currency))
}

fn cells(Found { outcome, coupon, tickets, payout, refunded }: Found) -> [String; 6] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        outcome.id.to_string(),
        or_dash(outcome.partition.map(|partition| partition.to_string())),
        outcome.class.to_string(),
        or_dash(outcome.code.map(|code| match &payout {
            Some(Underway { attempt, since_ms, .. }) if *attempt > 0 => {
                let since = age(Some(Instant::now().ms().saturating_sub(*since_ms)));
                format!("{code} (attempt {attempt}, since {since})")
            }
            _ => match (code, outcome.given_back) {
                ("reserved", None) => match outcome.reservation {
                    Some(state) => format!("{code} ({state})"),
                    None => code.to_owned(),
                },
                ("redeemed", Some(_)) => format!("{code} (reversed)"),
                (code, None) => code.to_owned(),
                (code, Some(minor)) => {
                    let refunded = refunded.unwrap_or_else(|| format!("{minor} minor units"));
                    format!("{code} ({refunded} refunded)")
                }
            },
        })),
        or_dash(outcome.seq.map(|seq| seq.to_string())),
        or_dash(coupon.or_else(|| in_words(&tickets))),
    ]
}

/// The codes, those that are void behind them; where nobody knows any more which are, that is said.
pub(super) fn in_words(tickets: &[Ticket]) -> Option<String> {
    let code = |ticket: &Ticket| ticket.code.clone().unwrap_or_else(|| ticket.number.to_string());
    let (void, held): (Vec<_>, Vec<_>) = tickets.iter().partition(|ticket| ticket.void == Some(true));
    let codes: Vec<String> = held
        .into_iter()
        .map(code)
        .chain(void.into_iter().map(|ticket| format!("{} (void)", code(ticket))))
        .collect();
    let is_archived = tickets.iter().any(|ticket| ticket.void.is_none());
    let archived = if is_archived { " (handed out; archived since)" } else { "" };
    (!codes.is_empty()).then(|| codes.join(", ") + archived)
}

/// Whether this user may read coupons: that needs the journal and the codes, which an outcome does not.
pub(super) enum Coupons {
    Asked,
    Denied,
}

impl Coupons {
    pub(super) async fn of(
        &mut self,
        tollgate: &Tollgate,
        link: &mut Link,
        outcome: &Outcome,
    ) -> anyhow::Result<Option<String>> {
        let (Some(partition), Some(seq), Self::Asked) = (outcome.partition, outcome.seq, &self) else {
            return Ok(None);
        };
        if outcome.code != Some(Code::Redeemed.name()) {
            return Ok(None);
        }
        let read = coupon::at(link, tollgate.keys(partition), seq).await;
        Ok(self.unless_denied(read)?.transpose()?.flatten())
    }

    /// The tickets, and what it means for the exit code: what was to tell them may be damaged, which is said.
    pub(super) async fn tickets_of(
        &mut self,
        tollgate: &Tollgate,
        link: &mut Link,
        outcome: &Outcome,
    ) -> anyhow::Result<(Vec<Ticket>, Exit)> {
        let none = (Vec::new(), Exit::Done);
        let (Some(partition), Some(seq), Self::Asked) = (outcome.partition, outcome.seq, &self) else {
            return Ok(none);
        };
        let hands_out = [Code::Purchased, Code::Reserved, Code::Committed, Code::Exchanged];
        if !hands_out.iter().any(|code| outcome.code == Some(code.name())) {
            return Ok(none);
        }
        let read = tickets::at(link, tollgate.keys(partition), seq).await;
        match self.unless_denied(read)? {
            None => Ok(none),
            Some(Ok(tickets)) => Ok((tickets, Exit::Done)),
            Some(Err(damage)) => {
                complain(&damage);
                Ok((Vec::new(), Exit::of_error(&damage.into())))
            }
        }
    }

    /// What was read; `None` if this user may not, which is told once.
    fn unless_denied<T>(&mut self, read: Result<T, Failure>) -> Result<Option<T>, Failure> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(failure) if failure.is_denied() => {
                warn("this user may not read coupons");
                hint("grant it the journal, campaigns, inventories, orders and codes (docs/operating.md)");
                *self = Self::Denied;
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }
}
