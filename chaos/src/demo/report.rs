//! What came of it: read from the journal, the resources and the audit, each by its own command.

use std::collections::{BTreeSet, HashSet};
use std::process::ExitCode;

use serde::Deserialize;

use super::burst::{ACCOUNTS, BALANCE, Burst, COUPONS};
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
    redemptions: Kind,
    withdrawals: Kind,
    replayed: u64,
    audit: Audit,
    /// What is wrong; nothing if this is empty.
    faults: Vec<String>,
    /// What did not happen, without which nothing was shown.
    missing: Vec<&'static str>,
    issued: u64,
    on_accounts: u64,
    withdrawn: u64,
}

impl Report {
    pub(crate) async fn read(
        stage: &Stage,
        burst: &Burst,
        stats: &Stats,
        in_hand: u64,
    ) -> anyhow::Result<Self> {
        let (mut redemptions, mut withdrawals) = (Kind::default(), Kind::default());
        let (mut withdrawn, mut ids) = (0, HashSet::new());
        let mut faults = Vec::new();
        for line in stage.producer(&["journal", "export"]).await?.lines() {
            let decision: Decision = serde_json::from_str(line)?;
            let kind = match decision.kind.as_str() {
                "redeem" => &mut redemptions,
                "withdraw" => &mut withdrawals,
                _ => continue,
            };
            kind.asked += 1;
            match decision.class.as_str() {
                "applied" => kind.applied += 1,
                _ => {
                    kind.refused += 1;
                    kind.codes.insert(decision.code);
                }
            }
            if decision.kind == "withdraw" && decision.class == "applied" {
                withdrawn += decision.amount.unwrap_or(0);
            }
            if let Some(id) = ids.replace(decision.id) {
                faults.push(format!("{id} was decided twice"));
            }
        }
        let campaign: Campaign = stage.json(&["campaign", "show", "first-100"]).await?;
        let accounts: Vec<Account> = stage.json(&["account", "ls"]).await?;
        let on_accounts = accounts.iter().map(|account| account.available + account.held).sum();
        let audit: Audit = stage.audit(&[]).await?;

        let mut check = |holds: bool, fault: String| {
            if !holds {
                faults.push(fault)
            }
        };
        let decided = redemptions.asked + withdrawals.asked;
        check(
            decided == burst.sent - burst.duplicates,
            format!("{decided} jobs decided, not {}", burst.sent - burst.duplicates),
        );
        check(
            stats.entries_settled() == burst.sent,
            format!("{} jobs settled, not {}", stats.entries_settled(), burst.sent),
        );
        check(stats.decided == decided + ACCOUNTS + 1, format!("{} lines in the journal", stats.decided));
        check(stats.dead == 0, format!("{} jobs are dead", stats.dead));
        check(stats.conserved(), "the conservation law is broken".to_owned());
        check(
            campaign.issued == COUPONS && redemptions.applied == COUPONS,
            format!("{} coupons issued, {} redemptions applied", campaign.issued, redemptions.applied),
        );
        check(
            on_accounts + withdrawn == ACCOUNTS * BALANCE,
            format!(
                "{} cents are missing or too many",
                (ACCOUNTS * BALANCE).abs_diff(on_accounts + withdrawn)
            ),
        );
        check(audit.verdict == "pass", format!("the audit found {} violations", audit.violations.len()));

        let mut missing = Vec::new();
        if in_hand == 0 {
            missing.push("the killed worker had no job in its hands, so nothing was reclaimed");
        }
        if stats.replayed == 0 {
            missing.push("nothing was replayed");
        }
        Ok(Self {
            redemptions,
            withdrawals,
            replayed: stats.replayed,
            audit,
            faults,
            missing,
            issued: campaign.issued,
            on_accounts,
            withdrawn,
        })
    }

    /// Prints it; answers the exit code.
    pub(crate) fn print(&self) -> ExitCode {
        print(format_args!("\n  {:<12}{:>9}{:>9}{:>9}", "", "asked", "issued", "refused"));
        for (name, kind) in [("redemptions", &self.redemptions), ("withdrawals", &self.withdrawals)] {
            let [asked, applied, refused] = [kind.asked, kind.applied, kind.refused].map(thousands);
            let codes: Vec<&str> = kind.codes.iter().map(String::as_str).collect();
            print(format_args!("  {name:<12}{asked:>9}{applied:>9}{refused:>9}  {}", codes.join(", ")));
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
            dollars(self.withdrawn),
            dollars(ACCOUNTS * BALANCE)
        ));
        let Checked { lines, receipts, accounts, campaigns, holders } = &self.audit.checked;
        let [lines, receipts, held] = [*lines, *receipts, *holders].map(thousands);
        print(format_args!(
            "  {:<12}{}: {lines} journal lines replayed against {receipts} receipts, {accounts} accounts, {campaigns} campaign, {held} holders",
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
            print(format_args!("PASS: nothing was issued or spent twice, and nothing was lost"));
            return ExitCode::SUCCESS;
        }
        ExitCode::FAILURE
    }
}

fn dollars(cents: u64) -> String {
    format!("{}.{:02}", thousands(cents / 100), cents % 100)
}
