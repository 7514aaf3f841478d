//! A journal line as JSON: what `journal export` prints, one object a line.
//!
//! A contract (`docs/cli-json.md`): fields are only ever added. Amounts are integers in minor units.

use serde::Serialize;

use super::Line;
use crate::job::{CampaignTerms, PayoutStep, Request};
use crate::partition::Partition;

/// One decided job. A field that its kind does not have is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // the fields are those of the request, and of `Line`
pub struct ExportLine<'a> {
    pub partition: u16,
    pub seq: u64,
    pub at_ms: u64,
    /// Who asked for it; absent for what a worker settled.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub by: &'a str,
    pub id: &'a str,
    pub kind: &'static str,
    pub class: &'static str,
    pub code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<&'static str>,
    /// What a campaign may issue, of a line that asks to set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_customer: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<&'a str>,
    /// The number of a payout's attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u64>,
    /// The fence of a payout's attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence: Option<u64>,
    /// The name of the gateway that a payout's attempt goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<&'a str>,
    /// Under which key it goes there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<&'a str>,
    /// Who made a payout's step: `gateway`, `operator` or `expiry`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'a str>,
    /// The gateway's words, or the operator's reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'a str>,
    /// What the account has available after the decision; absent if there is no such account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<u64>,
    /// What the campaign has issued after the decision; absent if there is no such campaign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued: Option<u64>,
}

impl<'a> ExportLine<'a> {
    /// The JSON form of `line`, which was decided in `partition`.
    pub fn of(partition: Partition, line: &'a Line) -> Self {
        let mut export = Self {
            partition: partition.number(),
            seq: line.seq,
            at_ms: line.at_ms,
            by: &line.by,
            id: line.id.as_str(),
            kind: line.request.kind().name(),
            class: line.code.class_of_decision().name(),
            code: line.code.name(),
            campaign: None,
            account: None,
            customer: None,
            quantity: None,
            amount: None,
            currency: None,
            limit: None,
            per_customer: None,
            destination: None,
            attempt: None,
            fence: None,
            gateway: None,
            idempotency_key: None,
            source: None,
            note: None,
            available: None,
            issued: None,
        };
        match &line.request {
            Request::Redeem { campaign, customer, quantity } => {
                export.campaign = Some(campaign.as_str());
                export.customer = Some(customer.as_str());
                export.quantity = Some(quantity.get());
            }
            Request::Withdraw { account, amount, currency }
            | Request::Deposit { account, amount, currency }
            // The opening balance is the amount that came in.
            | Request::AccountOpen { account, balance: amount, currency } => {
                export.account = Some(account.as_str());
                export.amount = Some(amount.minor());
                export.currency = Some(currency.code());
            }
            Request::Payout { account, amount, currency, destination } => {
                export.account = Some(account.as_str());
                export.amount = Some(amount.minor());
                export.currency = Some(currency.code());
                export.destination = Some(destination.as_str());
            }
            Request::PayoutStep { account, step } => {
                export.account = Some(account.as_str());
                export.payout_step(step);
            }
            Request::AccountClose { account } => export.account = Some(account.as_str()),
            Request::CampaignClose { campaign } => export.campaign = Some(campaign.as_str()),
            Request::CampaignCreate(CampaignTerms { campaign, limit, per_customer, .. }) => {
                export.campaign = Some(campaign.as_str());
                export.limit = Some(limit.get());
                export.per_customer = per_customer.map(|most| most.get());
            }
            Request::CampaignSetLimit { campaign, limit, .. } => {
                export.campaign = Some(campaign.as_str());
                export.limit = Some(limit.get());
            }
        }
        match export.campaign {
            Some(_) => export.issued = line.after,
            None => export.available = line.after,
        }
        export
    }

    fn payout_step(&mut self, step: &'a PayoutStep) {
        match step {
            PayoutStep::Begin { attempt, fence, gateway, idempotency_key } => {
                self.attempt = Some(*attempt);
                self.fence = Some(*fence);
                self.gateway = Some(gateway);
                self.idempotency_key = Some(idempotency_key);
            }
            PayoutStep::Refuse { fence, note }
            | PayoutStep::Review { fence, note }
            | PayoutStep::NotSent { fence, note } => {
                self.fence = Some(*fence);
                self.note = Some(note);
            }
            PayoutStep::Post { source, note } | PayoutStep::Void { source, note } => {
                self.source = Some(source);
                self.note = Some(note);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::Partitions;

    #[test]
    fn a_line_has_the_fields_of_its_kind() {
        let first = Partitions::ONE.iter().next().unwrap();
        for (text, json) in [
            (
                "r1\tredeem\tredeemed\tsummer\tc42\t1\t57",
                r#"{"partition":0,"seq":9,"at_ms":17,"id":"r1","kind":"redeem","class":"applied","code":"redeemed","campaign":"summer","customer":"c42","quantity":1,"issued":57}"#,
            ),
            (
                "w1\twithdraw\taccount_not_found\ta1\t1250\tUSD\t",
                r#"{"partition":0,"seq":9,"at_ms":17,"id":"w1","kind":"withdraw","class":"refused","code":"account_not_found","account":"a1","amount":1250,"currency":"USD"}"#,
            ),
            (
                "create/account/a1\taccount_open\taccount_opened\ta1\t5\tUSD\t5",
                r#"{"partition":0,"seq":9,"at_ms":17,"by":"ann","id":"create/account/a1","kind":"account_open","class":"applied","code":"account_opened","account":"a1","amount":5,"currency":"USD","available":5}"#,
            ),
        ] {
            let by = if text.starts_with("create/") { "ann" } else { "" };
            let line = super::super::read_line(text, 9, 17, by).unwrap();
            assert_eq!(serde_json::to_string(&ExportLine::of(first, &line)).unwrap(), json);
        }
    }
}
