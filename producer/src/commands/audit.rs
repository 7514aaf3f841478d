//! `audit`: replays the journal and compares everything with it. What is checked and how is
//! [`tollgate_audit`]'s; this asks, shows how far it is, and prints what came out.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tollgate::amount::money;
use tollgate_audit::{
    Asked, Position, ReconcileError, Reconciled, Report, Sums, Unread, Verdict, audit, check_ledger,
    reconcile,
};

use tollgate::{OpenError, Tollgate};

use crate::arguments::wrong;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{complain, hint, is_watched};
use crate::report;
use crate::table::{count, counted};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A position that an earlier audit printed: partition, seq and hash; may be repeated
    #[arg(long, value_name = "P:SEQ:HASH")]
    expect: Vec<Position>,
    /// The payout gateway's own list, one JSON object a line: compares every payout with it
    #[arg(long, value_name = "FILE")]
    bank_ledger: Option<PathBuf>,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    if let Some(path) = &args.bank_ledger {
        check_ledger(path).await.map_err(|error| of_ledger(path, error))?;
    }
    let server = context.server().await?;
    let tollgate = match Tollgate::open_unchecked(server, context.namespace().clone()).await {
        Err(error @ OpenError::Empty(_)) if !args.expect.is_empty() => {
            complain(&error);
            complain("timeline_regressed: all that --expect names is lost");
            return Ok(Exit::Violation);
        }
        opened => opened?,
    };
    let bar = bar();
    // Several partitions are replayed at a time: all that were begun together.
    let begun: Mutex<BTreeMap<u16, (u64, u64)>> = Mutex::default();
    let report = audit(&tollgate, &args.expect, &|progress| {
        let mut begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.insert(progress.partition, (progress.seq, progress.of.max(progress.seq)));
        bar.set_prefix(counted(begun.len() as u64, "partition", "partitions"));
        bar.set_length(begun.values().map(|(_, of)| of).sum());
        bar.set_position(begun.values().map(|(seq, _)| seq).sum());
    })
    .await;
    bar.finish_and_clear();
    let mut report = report?;
    let mut exit = Exit::Done;
    if let Some(path) = &args.bank_ledger
        && let Err(error) = reconcile(&tollgate, path, &mut report).await
    {
        let error = of_ledger(path, error);
        // Without the comparison only a violation is certain.
        if report.verdict != Verdict::Fail {
            return Err(error);
        }
        exit = report::report(&error);
    }
    // The verdict is the exit code, also where nobody could read the report.
    if let Err(error) = context.output().data(&report, || words(&report)) {
        exit = exit.combine(report::report(&error.into()));
    }
    Ok(exit.combine(judged(&report)))
}

/// What is wrong with the gateway's list, or with Redis.
fn of_ledger(path: &Path, error: ReconcileError) -> anyhow::Error {
    match error {
        ReconcileError::Failure(failure) => failure.into(),
        error => {
            let allowed = format!("the gateway's own list, one JSON object a line ({error})");
            wrong("--bank-ledger", &path.display().to_string(), &allowed).into()
        }
    }
}

/// Says on stderr what there is to do; how an audit with this report ends.
fn judged(report: &Report) -> Exit {
    for Unread { partition, error } in &report.unread {
        complain(format_args!("partition {partition} could not be read: {error}"));
    }
    match report.verdict {
        Verdict::Pass => return Exit::Done,
        Verdict::Incomplete => return Exit::Unreachable,
        Verdict::Fail => {}
    }
    for queue in report.violations.iter().filter_map(|found| found.resource.strip_prefix("queue:")) {
        hint(format_args!("see `tollgate-producer repair queue {queue}`"));
    }
    hint(
        "the first violation of a resource is mostly the cause of its others; docs/operating.md says how to repair",
    );
    Exit::Violation
}

fn bar() -> ProgressBar {
    let target = if is_watched() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(0), target);
    // A template that is a constant either parses or does not; the default shows the same numbers.
    match ProgressStyle::with_template("{prefix} {bar:30} {human_pos}/{human_len} lines {per_sec}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The report for people: the verdict, what was looked at, the violations, and what to keep for next time.
fn words(report: &Report) -> String {
    let checked = &report.checked;
    let found = report.violations.len() as u64 + report.violations_unlisted;
    let mut text = match report.verdict {
        Verdict::Pass => "audit: pass".to_owned(),
        Verdict::Fail => format!("audit: FAIL, {}", counted(found, "violation", "violations")),
        Verdict::Incomplete => {
            let unread = counted(report.unread.len() as u64, "partition", "partitions");
            format!("audit: incomplete, {unread} could not be read; nothing is wrong in the rest")
        }
    };
    let _ = write!(
        text,
        "\nchecked {}, {}, {}, {}, {}, {}, {}, {}, {} parked, in {}",
        counted(checked.lines, "line", "lines"),
        counted(checked.campaigns, "campaign", "campaigns"),
        counted(checked.accounts, "account", "accounts"),
        counted(checked.inventories, "inventory", "inventories"),
        counted(checked.cases, "case", "cases"),
        counted(checked.receipts, "receipt", "receipts"),
        counted(checked.holders, "holder", "holders"),
        counted(checked.codes, "code", "codes"),
        count(checked.parked),
        counted(checked.partitions, "partition", "partitions"),
    );
    if let Some(bank) = &report.bank {
        text += &words_of_bank(bank);
    }
    if !report.by.is_empty() {
        let by = report.by.iter().map(|Asked { by, lines }| format!("{by} {lines}"));
        let _ = write!(text, "\nlines by who asked: {}", by.collect::<Vec<_>>().join(", "));
    }
    if checked.streams_unlisted > 0 {
        let count = checked.streams_unlisted;
        let _ = write!(
            text,
            "\n{count} streams of jobs are in no list of queues yet: a worker finds them within ten minutes"
        );
    }
    if checked.in_progress > 0 {
        let _ = write!(text, "\n{} were in motion all the time and could not be judged", checked.in_progress);
    }
    for violation in &report.violations {
        let _ = write!(text, "\n{violation}");
    }
    if report.violations_unlisted > 0 {
        let _ = write!(text, "\nand {} more", counted(report.violations_unlisted, "violation", "violations"));
    }
    for reason in &report.accepted {
        let _ = write!(text, "\naccepted: {reason}");
    }
    for position in &report.head {
        let _ = write!(text, "\nhead {position}");
    }
    text
}

/// Of the bank's file, against our books.
fn words_of_bank(bank: &Reconciled) -> String {
    let mut text = format!(
        "\nthe bank paid {}, {} of them still open with us, {} of them again",
        counted(bank.paid_by_bank, "payout", "payouts"),
        bank.open,
        bank.paid_again
    );
    for Sums { currency, paid_by_bank, posted, open } in &bank.sums {
        let _ = write!(
            text,
            "\n{} paid by the bank, {} posted, {} still open with us",
            money(*paid_by_bank, currency),
            money(*posted, currency),
            money(*open, currency)
        );
    }
    if bank.others > 0 {
        let _ = write!(text, "\n{} lines of the bank are of other namespaces or prefixes", bank.others);
    }
    text
}
