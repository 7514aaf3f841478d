//! What came of the payouts: our journal and the audit, against the bank's own file.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;

use super::bank::Bank;
use super::options::Args;
use crate::stage::{Stage, print, thousands};

/// One line of `journal export`.
#[derive(Deserialize)]
struct Decision {
    id: String,
    kind: String,
    code: String,
}

#[derive(Deserialize)]
struct Violation {
    check: String,
    what: String,
}

/// What `audit --bank-ledger` says of the bank.
#[derive(Deserialize)]
struct Reconciled {
    paid_by_bank: u64,
    open: u64,
    paid_again: u64,
    sums: Vec<Sums>,
}

/// Both books in one currency; there is one here.
#[derive(Deserialize)]
struct Sums {
    paid_by_bank: u64,
}

#[derive(Deserialize)]
struct Audit {
    verdict: String,
    violations: Vec<Violation>,
    violations_unlisted: u64,
    bank: Reconciled,
}

/// What happened to the fleet.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Faults {
    pub(super) kills: usize,
    pub(super) stops: usize,
}

pub(super) struct Report {
    /// The last code of each payout, counted.
    ended: HashMap<String, u64>,
    /// Attempts that began, and of how many payouts.
    attempts: u64,
    begun: u64,
    replayed: u64,
    audit: Audit,
    faults: Faults,
    took: Duration,
}

/// The violations that a bank which forgets its keys makes unavoidable.
const PAID_AGAIN: [&str; 2] = ["the bank paid it more than once", "the two books differ in sum"];

impl Report {
    pub(super) async fn read(
        stage: &Stage,
        bank: &Bank,
        faults: Faults,
        took: Duration,
    ) -> anyhow::Result<Self> {
        let (mut last, mut attempts): (HashMap<String, String>, HashMap<String, u64>) = Default::default();
        for line in stage.producer(&["journal", "export"]).await?.lines() {
            let decision: Decision = serde_json::from_str(line)?;
            if !decision.kind.starts_with("payout") {
                continue;
            }
            if decision.kind == "payout_begin" && decision.code == "paying" {
                *attempts.entry(decision.id.clone()).or_default() += 1;
            }
            last.insert(decision.id, decision.code);
        }
        let mut ended: HashMap<String, u64> = HashMap::new();
        last.into_values().for_each(|code| *ended.entry(code).or_default() += 1);
        let ledger = bank.ledger().display().to_string();
        Ok(Self {
            ended,
            attempts: attempts.values().sum(),
            begun: attempts.len() as u64,
            replayed: stage.stats().await?.replayed,
            audit: stage.audit(&["--bank-ledger", &ledger]).await?,
            faults,
            took,
        })
    }

    fn count(&self, code: &str) -> u64 {
        self.ended.get(code).copied().unwrap_or(0)
    }

    pub(super) fn print(&self, args: &Args) -> ExitCode {
        let row = |what: &str, words: String| print(format_args!("  {what:<12}{words}"));
        let Self { faults, attempts, begun, audit, .. } = self;
        row("faults", format!("{} workers killed, {} stopped past its lease", faults.kills, faults.stops));
        row(
            "payouts",
            format!(
                "{} paid, {} refused by the bank, {} need review, {} found too little on the account",
                thousands(self.count("paid")),
                thousands(self.count("payout_refused")),
                thousands(self.count("needs_review")),
                thousands(self.count("insufficient_funds")),
            ),
        );
        row("attempts", format!("{} for {} payouts", thousands(*attempts), thousands(*begun)));
        row(
            "replayed",
            format!("{} sent or delivered again, answered from a receipt", thousands(self.replayed)),
        );
        let Reconciled { paid_by_bank, open, paid_again, ref sums } = audit.bank;
        let sum_paid_by_bank: u64 = sums.iter().map(|sums| sums.paid_by_bank).sum();
        row(
            "bank",
            format!(
                "{} paid, {}.{:02} USD; {} of them need review with us; {} payments too many",
                thousands(paid_by_bank),
                thousands(sum_paid_by_bank / 100),
                sum_paid_by_bank % 100,
                thousands(open),
                thousands(paid_again)
            ),
        );
        let rate = self.count("paid") as f64 / self.took.as_secs_f64();
        row("throughput", format!("{rate:.0} paid/s, in {:.1} s", self.took.as_secs_f64()));
        row("audit", format!("{}, against the bank's own file as well", audit.verdict));
        if args.forget_keys {
            self.explain(args);
        }
        self.verdict(args)
    }

    /// What is left of the promise where the bank does not keep its part.
    fn explain(&self, args: &Args) {
        let again = self.audit.bank.paid_again;
        print(match args.retry.as_str() {
            "never" => format!(
                "\n  This bank forgets keys. With one attempt ever, {again} were paid twice; {} wait for a person.",
                self.count("needs_review")
            ),
            _ => format!(
                "\n  This bank forgets keys, so trying again paid {again} times too often, and the audit names each.\n  \
                 Still guaranteed: no account overdrawn, nothing given back that was paid, every payment known.\n  \
                 `--payout-retry never` is for such a bank."
            ),
        });
    }

    fn verdict(&self, args: &Args) -> ExitCode {
        let unended = self.count("held") + self.count("paying");
        let mut wrong = Vec::new();
        if unended > 0 {
            wrong.push(format!("{unended} payouts did not end"));
        }
        let unavoidable = args.forget_keys && args.retry == "same-key";
        let serious = self
            .audit
            .violations
            .iter()
            .filter(|found| !(unavoidable && PAID_AGAIN.iter().any(|what| found.what.starts_with(what))));
        wrong.extend(serious.take(5).map(|found| format!("{}: {}", found.check, found.what)));
        if self.audit.violations_unlisted > 0 && !unavoidable {
            wrong.push(format!("{} more violations", self.audit.violations_unlisted));
        }
        if !wrong.is_empty() {
            print(format_args!("\nFAIL: {}", wrong.join("; ")));
            return ExitCode::FAILURE;
        }
        // A run in which nothing happened shows nothing.
        let unknown = self.attempts > self.begun || self.count("needs_review") > 0;
        if self.faults.kills == 0 || self.replayed == 0 || !unknown {
            print("\nINVALID: too little went wrong to show anything");
            return ExitCode::FAILURE;
        }
        print("\nPASS");
        ExitCode::SUCCESS
    }
}
