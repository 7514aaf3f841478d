//! The payout gateway of an explored fleet: honours its keys, and remembers what it paid.

use std::collections::BTreeMap;

use tollgate_worker::explore::Question;

#[derive(Debug, Default, Clone, Hash)]
pub(super) struct Bank {
    /// What was paid, by idempotency key.
    pub(super) paid: BTreeMap<String, String>,
    /// Requests to pay that arrived.
    pub(super) asked: u32,
}

impl Bank {
    /// As the sandbox bank answers: 201 paid, 200 paid before, 422 another payment's key, 404 never seen.
    pub(super) fn answer(&mut self, question: &Question) -> (u16, String) {
        let before = self.paid.get(&question.key).cloned();
        let Some(payment) = &question.payment else {
            return match before {
                Some(payment) => (200, payment),
                None => (404, r#"{"error":"unknown_key"}"#.to_owned()),
            };
        };
        self.asked += 1;
        match before {
            Some(before) if before == *payment => (200, before),
            Some(_) => (422, r#"{"error":"key_reused"}"#.to_owned()),
            None => {
                self.paid.insert(question.key.clone(), payment.clone());
                (201, payment.clone())
            }
        }
    }
}
