//! What came of it: read from the journal, the resources and the audit, each by its own command.

use std::collections::{BTreeSet, HashSet};
use std::process::ExitCode;

use serde::Deserialize;

use super::burst::{ACCOUNTS, BALANCE, Burst, COUPONS};
use super::concert::{BUYERS, Concert};
use crate::stage::{Stage, Stats, print, thousands};

/// One line of `journal export`.
#[derive(Deserialize)]
struct Decision {
    id: String,
    kind: String,
    class: String,
    code: String,
    amount: Option<u64>,
}

#[derive(Deserialize)]
struct Campaign {
    issued: u64,
}

#[derive(Deserialize)]
struct Account {
    available: u64,
    held: u64,
}

#[derive(Deserialize)]
struct Audit {
    verdict: String,
    checked: Checked,
    violations: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Checked {
    lines: u64,
    receipts: u64,
    accounts: u64,
    campaigns: u64,
    inventories: u64,
    holders: u64,
}

#[derive(Default)]
struct Kind {
    asked: u64,
    applied: u64,
    refused: u64,
    /// Why it was refused.
    codes: BTreeSet<String>,
}

pub(crate) struct Report {
    decided: Decided,
    concert: Concert,
    replayed: u64,
    audit: Audit,
    /// What is wrong; nothing if this is empty.
    faults: Vec<String>,
    /// What did not happen, without which nothing was shown.
    missing: Vec<&'static str>,
    issued: u64,
    on_accounts: u64,
}

/// What the journal says.
#[derive(Default)]
struct Decided {
    redemptions: Kind,
    withdrawals: Kind,
    reservations: Kind,
    withdrawn: u64,
    /// Of all kinds.
    lines: u64,
    /// Ids that were decided twice.
    twice: Vec<String>,
}

impl Decided {
    fn read(journal: &str) -> anyhow::Result<Self> {
        let (mut decided, mut ids) = (Self::default(), HashSet::new());
        for line in journal.lines() {
            let Decision { id, kind, class, code, amount } = serde_json::from_str(line)?;
            decided.lines += 1;
            let of_kind = match kind.as_str() {
                "redeem" => &mut decided.redemptions,
                "withdraw" => &mut decided.withdrawals,
                "reserve" => &mut decided.reservations,
                _ => continue,
            };
            of_kind.asked += 1;
            match class.as_str() {
                "applied" => of_kind.applied += 1,
                _ => {
                    of_kind.refused += 1;
                    of_kind.codes.insert(code);
                }
            }
            if kind == "withdraw" && class == "applied" {
                decided.withdrawn += amount.unwrap_or(0);
            }
            decided.twice.extend(ids.replace(id));
        }
        Ok(decided)
    }

    fn count(&self) -> u64 {
        self.redemptions.asked + self.withdrawals.asked + self.reservations.asked
    }
}

impl Report {
    pub(crate) async fn read(
        stage: &Stage,
        burst: &Burst,
        mut concert: Concert,
        stats: &Stats,
        in_hand: u64,
    ) -> anyhow::Result<Self> {
        let journal = stage.producer(&["journal", "export"]).await?;
        let decided = Decided::read(&journal)?;
        concert.judge(stage, &journal).await?;
        let campaign: Campaign = stage.json(&["campaign", "show", "first-100"]).await?;
        let accounts: Vec<Account> = stage.json(&["account", "ls"]).await?;
        let on_accounts = accounts.iter().map(|account| account.available + account.held).sum();
        let mut report = Self {
            audit: stage.audit(&[]).await?,
            decided,
            concert,
            replayed: stats.replayed,
            issued: campaign.issued,
            on_accounts,
            faults: Vec::new(),
            missing: Vec::new(),
        };
        report.faults = report.faults_found(burst, stats);
        if in_hand == 0 {
            report.missing.push("the killed worker had no job in flight, so nothing was taken over");
        }
        if stats.replayed == 0 {
            report.missing.push("nothing was replayed");
        }
        report.missing.extend(report.concert.missing());
        Ok(report)
    }

    /// What must hold, and does not.
    fn faults_found(&self, burst: &Burst, stats: &Stats) -> Vec<String> {
        let Self { decided, audit, concert, issued, on_accounts, .. } = self;
        let sent = burst.sent + concert.sent;
        let (count, money) = (decided.count(), on_accounts + decided.withdrawn);
        let twice = decided.twice.iter().map(|id| (false, format!("{id} was decided twice")));
        let checks = [
            (
                count == burst.sent - burst.duplicates,
                format!("{count} jobs decided, not {}", burst.sent - burst.duplicates),
            ),
            (
                stats.entries_settled() == sent,
                format!("{} jobs settled, not {sent}", stats.entries_settled()),
            ),
            (
                decided.reservations.asked == BUYERS,
                format!("{} reservations decided, not {BUYERS}", decided.reservations.asked),
            ),
            (stats.decided == decided.lines, format!("{} lines in the journal", stats.decided)),
            (stats.dead == 0, format!("{} jobs are dead", stats.dead)),
            (stats.conserved(), "the conservation law is broken".to_owned()),
            (
                *issued == COUPONS && decided.redemptions.applied == COUPONS,
                format!("{issued} coupons issued, {} redemptions applied", decided.redemptions.applied),
            ),
            (
                money == ACCOUNTS * BALANCE,
                format!("{} cents are missing or too many", (ACCOUNTS * BALANCE).abs_diff(money)),
            ),
            (audit.verdict == "pass", format!("the audit found {} violations", audit.violations.len())),
        ];
        let seats = concert.faults.iter().map(|fault| (false, fault.clone()));
        twice.chain(seats).chain(checks).filter(|(holds, _)| !holds).map(|(_, fault)| fault).collect()
    }

    /// Prints it; answers the exit code.
    pub(crate) fn print(&self) -> ExitCode {
        print(format_args!("\n  {:<12}{:>9}{:>9}{:>9}", "", "asked", "issued", "refused"));
        let Decided { redemptions, withdrawals, reservations, withdrawn, .. } = &self.decided;
        let kinds =
            [("redemptions", redemptions), ("withdrawals", withdrawals), ("reservations", reservations)];
        for (name, kind) in kinds {
            let [asked, applied, refused] = [kind.asked, kind.applied, kind.refused].map(thousands);
            let codes: Vec<&str> = kind.codes.iter().map(String::as_str).collect();
            print(format_args!("  {name:<13}{asked:>8}{applied:>9}{refused:>9}  {}", codes.join(", ")));
        }
        let replayed = thousands(self.replayed);
        print(format_args!(
            "  {:<12}{replayed:>9}  came twice, and got the first answer again\n",
            "replayed"
        ));
        print(format_args!("  {:<12}{} of {COUPONS} issued", "coupons", self.issued));
        print(format_args!(
            "  {:<12}{} on accounts + {} withdrawn = {} USD paid in",
            "money",
            dollars(self.on_accounts),
            dollars(*withdrawn),
            dollars(ACCOUNTS * BALANCE)
        ));
        print(format_args!("  {:<12}{}", "concert", self.concert.words()));
        let Checked { lines, receipts, accounts, campaigns, inventories, holders } = &self.audit.checked;
        let [lines, receipts, held] = [*lines, *receipts, *holders].map(thousands);
        print(format_args!(
            "  {:<12}{}: {lines} journal lines replayed against {receipts} receipts, {accounts} accounts, {campaigns} campaign, {inventories} inventory, {held} holders",
            "audit", self.audit.verdict
        ));
        for violation in &self.audit.violations {
            print(format_args!("              {violation}"));
        }
        print("");
        if !self.faults.is_empty() {
            print(format_args!("FAIL: {}", self.faults.join("; ")));
        } else if !self.missing.is_empty() {
            print(format_args!("INVALID: {}", self.missing.join("; ")));
        } else {
            print(format_args!("PASS: nothing was issued, sold or spent twice, and nothing was lost"));
            return ExitCode::SUCCESS;
        }
        ExitCode::FAILURE
    }
}

fn dollars(cents: u64) -> String {
    format!("{}.{:02}", thousands(cents / 100), cents % 100)
}
