//! The rule of `payout`.

use tollgate::code::Code;
use tollgate::fingerprint::Fingerprint;
use tollgate::journal::Line;
use tollgate::kinds::Payout;

use super::rule::{Decision, Rule, Weight};
use crate::model::{Hold, Model};

impl Rule for Payout {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        let Some(account) = model.known_account(&self.account)? else {
            return Some(Decision::new(Code::AccountNotFound, None));
        };
        Some(account.spend(self.amount, self.currency, Code::Held))
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code != Code::Held {
            return;
        }
        let hold = Hold {
            account: self.account.clone(),
            amount: self.amount.minor(),
            currency: self.currency.code(),
            destination: self.destination.clone(),
            fingerprint: Fingerprint::of(self),
            state: Code::Held,
            attempts: 0,
            refused: 0,
            fence: 0,
            first_begin_at_ms: None,
            gateway: String::new(),
            idempotency_key: String::new(),
            taken_back: false,
            since_ms: line.at_ms,
            seq: line.seq,
        };
        model.holds.insert(line.id.clone(), hold);
        let account = model.changed_account(&self.account, line);
        account.held = account.held.saturating_add(self.amount.minor());
    }
}
