//! The audit: replays every partition's journal against a model, and compares with it everything that Redis holds.
//!
//! Memory is that of the campaigns, accounts and items, not of the jobs, orders or customers. Works while workers run, without
//! stopping them, and on several partitions at a time: every resource carries the seq of its last change, so what is newer than the replay is kept and
//! compared when the replay arrives at that seq (`state`); what is read in several steps is judged only if its
//! seq did not move meanwhile. Damage is what the audit is for: whatever it finds in a key is a violation, never a
//! failure of its own. Reads only; relies on nothing but the keys' documented form, in particular on no script
//! that writes. [`repair`] alone writes: what the model proves, by the library's script for it.
//!
//! What it cannot see: a receipt that was deleted below the receipts floor (there it may rightly be gone);
//! `replayed`, `mismatched` and `expired` in the head (counts of answers, which leave no line); whoever recomputes
//! the whole chain, unless an earlier position is given as [`Position`].

mod bank;
mod by_item;
mod case;
mod codes;
mod context;
mod given_back;
mod head;
mod holders;
mod index;
mod inventory;
mod keyspace;
mod model;
mod order;
mod parked;
mod proof;
mod read;
mod receipt_text;
mod receipts;
pub mod repair;
mod replay;
mod report;
mod reservations;
mod rules;
mod sales;
mod state;
mod stock;
mod sums;
mod weight;

pub use bank::{ReconcileError, check_ledger, reconcile};
pub use context::Progress;
pub use report::{
    Asked, Check, Checked, LISTED_MAX, Position, Reconciled, Report, Sums, Unread, Verdict, Violation,
};

use std::pin::pin;

use futures_util::StreamExt;
use tollgate::failure::{Failure, Refusal};
use tollgate::preflight::Tier;
use tollgate::{Tollgate, abreast};

use context::AuditContext;
use replay::Replay;
use report::Findings;

/// Audits the whole namespace. `expect` holds positions that earlier audits printed: the history must still go
/// through them. `progress` is called after each page of the journal.
///
/// # Errors
/// Only if Redis does not answer, or refuses to let this user read: damage is in the report, and so are partitions of a
/// cluster whose node is not there.
///
/// # Cancel safety
/// Reads only; may be dropped at any time.
pub async fn audit(
    tollgate: &Tollgate,
    expect: &[Position],
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Report, Failure> {
    let mut findings = Findings::default();
    let mut replays = Vec::with_capacity(usize::from(tollgate.partitions().count()));
    let mut audits = pin!(abreast(tollgate.partitions().iter(), |partition| async move {
        let mut findings = Findings::default();
        findings.enter(partition.number());
        let replay = match tollgate.server().link().await {
            Ok(mut link) => {
                let (keys, link, findings) = (tollgate.keys(partition), &mut link, &mut findings);
                let mut context = AuditContext { tollgate, partition, keys, link, findings, progress };
                let expect = expect.iter().filter(|at| at.partition == partition.number());
                audit_partition(&mut context, expect.cloned().collect()).await
            }
            Err(failure) => Err(failure),
        };
        (findings, replay)
    }));
    while let Some((partition, (of_partition, replay))) = audits.next().await {
        findings.join(of_partition);
        replays.push(match replay {
            Ok(replay) => Some(replay),
            // The others are no worse for it.
            Err(failure) if failure.node().is_some() => {
                let error = failure.to_string();
                findings.unread.push(Unread { partition: partition.number(), error });
                None
            }
            Err(failure) => return Err(failure),
        });
    }
    any_read(tollgate, &findings)?;
    for stray in expect.iter().filter(|at| at.partition >= tollgate.partitions().count()) {
        findings.enter(stray.partition);
        let expected = format!("seq {} with hash {}", stray.seq, stray.hash);
        let what = "timeline_regressed: the namespace has no such partition";
        findings.violation(Check::G13, "journal", &[stray.seq], expected, "nothing", what);
    }
    let mut link = tollgate.server().link().await?;
    keyspace::check(tollgate, &mut link, &replays, &mut findings, progress).await?;
    any_read(tollgate, &findings)?;
    let mut report = findings.report();
    if let Some(found) = &*tollgate.server().found().borrow() {
        let accepted = found.report(Tier::Memory).accepted();
        report.accepted = accepted.map(|finding| finding.reason.clone()).collect();
    }
    Ok(report)
}

/// An audit that could read nothing is none.
fn any_read(tollgate: &Tollgate, findings: &Findings) -> Result<(), Failure> {
    match findings.unread.first() {
        Some(Unread { error, .. }) if findings.unread.len() == usize::from(tollgate.partitions().count()) => {
            Err(Failure::not_applied(Refusal::Unreachable, format!("no partition can be read: {error}")))
        }
        _ => Ok(()),
    }
}

/// The steps of one partition; each one's reasons are in its module.
async fn audit_partition(context: &mut AuditContext<'_>, expect: Vec<Position>) -> Result<Replay, Failure> {
    context.findings.checked.partitions += 1;
    let began = head::read(context).await?;
    let mut replay = Replay::new(expect, began.as_ref());
    // Up to a first head, then everything that the journal names is read …
    let seq = began.as_ref().map_or(u64::MAX, |head| head.seq);
    replay.run_to(context, seq).await?;
    let mut observed = state::read_all(context, &replay.model).await?;
    holders::read_all(context, &replay.model, &replay.multiset, &mut observed).await?;
    sales::read_all(context, &replay.model, &replay.multiset, &mut observed).await?;
    let reservations = reservations::read(context, &replay.model).await?;
    let unknown = index::unknown(context, &replay.model).await?;
    // … and what was newer than the replay is compared on the way to a second head, at which the receipts
    // were counted.
    let tail = head::journal_tail(context).await?;
    let counted = head::journal_counted(context).await?;
    let sizes = receipts::sizes(context, &replay.receipts).await?;
    head::judge_counted(context, counted, tail, sizes.head.as_ref());
    replay.observed = observed;
    replay.run_to(context, sizes.seq.max(tail)).await?;
    replay.open_payouts(context).await?;
    replay.finish(context, sizes.head.as_ref());
    receipts::compare_sizes(context, &replay.receipts, &sizes).await?;
    index::judge_unknown(context, &replay.model, replay.seq, unknown).await?;
    reservations::judge(context, &replay.model, reservations).await?;
    holders::name_differences(context, std::mem::take(&mut replay.observed.differing)).await?;
    codes::check(context, &replay.model).await?;
    head::conservation(context).await?;
    parked::check(context).await?;
    Ok(replay)
}
