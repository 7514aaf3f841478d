//! The audit: replays every partition's journal against a model, and compares with it everything that Redis holds.
//!
//! Memory is that of the campaigns and accounts, not of the jobs or customers. Works while workers run, without
//! stopping them: every resource carries the seq of its last change, so what is newer than the replay is kept and
//! compared when the replay arrives at that seq (`state`); what is read in several steps is judged only if its
//! seq did not move meanwhile. Damage is what the audit is for: whatever it finds in a key is a violation, never a
//! failure of its own. Reads only; relies on nothing but the keys' documented form, in particular on no script
//! that writes. [`repair`] alone writes: what the model proves, by the library's script for it.
//!
//! What it cannot see: a receipt that was deleted below the receipts floor (there it may rightly be gone);
//! `replayed`, `mismatched` and `expired` in the head (counts of answers, which leave no line); whoever recomputes
//! the whole chain, unless an earlier position is given as [`Position`].

mod bank;
mod codes;
mod context;
mod head;
mod holders;
mod keyspace;
mod model;
mod parked;
mod proof;
mod read;
mod receipts;
pub mod repair;
mod replay;
mod report;
mod rules;
mod state;

pub use bank::{ReconcileError, reconcile};
pub use context::Progress;
pub use report::{Asked, Check, Checked, LISTED_MAX, Position, Reconciled, Report, Sums, Verdict, Violation};

use tollgate::Tollgate;
use tollgate::failure::Failure;

use context::Room;
use replay::Replay;
use report::Findings;

/// Audits the whole namespace. `expect` holds positions that earlier audits printed: the history must still go
/// through them. `progress` is called after each page of the journal.
///
/// # Errors
/// Only if Redis does not answer, or refuses to let this user read: damage is in the report.
///
/// # Cancel safety
/// Reads only; may be dropped at any time.
pub async fn audit(
    tollgate: &Tollgate,
    expect: &[Position],
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Report, Failure> {
    let mut link = tollgate.server().link().await?;
    let mut findings = Findings::default();
    let mut replays = Vec::with_capacity(usize::from(tollgate.partitions().count()));
    for partition in tollgate.partitions().iter() {
        findings.enter(partition.number());
        let mut room = Room {
            tollgate,
            partition,
            keys: tollgate.keys(partition),
            link: &mut link,
            findings: &mut findings,
            progress,
        };
        let expect: Vec<_> = expect.iter().filter(|at| at.partition == partition.number()).cloned().collect();
        replays.push(audit_partition(&mut room, expect).await?);
    }
    for stray in expect.iter().filter(|at| at.partition >= tollgate.partitions().count()) {
        findings.enter(stray.partition);
        let expected = format!("seq {} with hash {}", stray.seq, stray.hash);
        let what = "timeline_regressed: the namespace has no such partition";
        findings.violation(Check::G13, "journal", &[stray.seq], expected, "nothing", what);
    }
    keyspace::check(tollgate, &mut link, &replays, &mut findings, progress).await?;
    Ok(findings.report())
}

/// The steps of one partition; each one's reasons are in its module.
async fn audit_partition(room: &mut Room<'_>, expect: Vec<Position>) -> Result<Replay, Failure> {
    room.findings.checked.partitions += 1;
    let began = head::read(room).await?;
    let mut replay = Replay::new(expect, began.as_ref());
    // Up to a first head, then everything that the journal names is read …
    let seq = began.as_ref().map_or(u64::MAX, |head| head.seq);
    replay.run_to(room, seq).await?;
    let mut claims = state::read_all(room, &replay.model).await?;
    holders::read_all(room, &replay.model, &replay.weigher, &mut claims).await?;
    let strays = state::index_strays(room, &replay.model).await?;
    // … and what was newer than the replay is compared on the way to a second head, at which the receipts
    // were counted.
    let tail = head::journal_tail(room).await?;
    let counted = head::journal_counted(room).await?;
    let sizes = receipts::sizes(room, &replay.receipts).await?;
    head::judge_counted(room, counted, tail, sizes.head.as_ref());
    replay.claims = claims;
    replay.run_to(room, sizes.seq.max(tail)).await?;
    replay.open_payouts(room).await?;
    replay.finish(room, sizes.head.as_ref());
    receipts::compare_sizes(room, &replay.receipts, &sizes).await?;
    state::judge_strays(room, &replay.model, replay.seq, strays).await?;
    holders::name_differences(room, std::mem::take(&mut replay.claims.differing)).await?;
    codes::check(room, &replay.model).await?;
    head::conservation(room).await?;
    parked::check(room).await?;
    Ok(replay)
}
