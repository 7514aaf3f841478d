//! What a gateway's answer proves about one payout. Pure: status and body in, verdict out.
//!
//! The rules are those of a witness: an answer counts as paid only if it names our payout and says nothing against it,
//! as refused only if the gateway itself says so in words that no proxy and no web framework has. Everything else proves
//! nothing, and nothing is concluded from it.

use serde::Deserialize;
use serde_json::Value;

/// Longest text of a gateway that is kept in a note, in characters.
const NOTE_CHARS_MAX: usize = 120;

/// What `status` may be in an answer that proves a payment.
pub(crate) const PAID: [&str; 4] = ["paid", "succeeded", "completed", "settled"];
/// The words of `error` that refuse a payout for good, whatever else the answer says.
pub(crate) const REFUSALS: [&str; 8] = [
    "refused",
    "declined",
    "destination_refused",
    "destination_unknown",
    "destination_closed",
    "account_closed",
    "amount_refused",
    "currency_refused",
];

/// What is asked to be paid; also what an answer must name to count.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Payment {
    /// The idempotency key: sent in a header, or as part of an address.
    #[serde(skip)]
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) account: String,
    /// In minor units.
    pub(crate) amount: u64,
    pub(crate) currency: String,
    pub(crate) destination: String,
}

/// What an answer proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was paid.
    Paid { note: String },
    /// The gateway itself refused, for good.
    Refused { note: String },
    /// Only a person can judge it: the gateway has another payout under our key.
    Review { note: String },
    /// Nothing: it may have been paid or not.
    Unknown { note: String },
    /// Nothing was sent: no connection came about.
    NotSent { note: String },
    /// Nothing about the payout: our address or credentials are wrong.
    Misconfigured { note: String },
    /// Asked about a key that it has never seen.
    NeverSeen,
    /// It cannot be asked about keys.
    CannotBeAsked,
}

/// Which question an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// `POST /payouts`
    Pay,
    /// `GET /payouts/{key}`
    Ask,
}

/// What an answer may hold of what we know.
#[derive(Default, Deserialize)]
struct Answer {
    id: Option<Value>,
    key: Option<Value>,
    idempotency_key: Option<Value>,
    amount: Option<Value>,
    currency: Option<Value>,
    account: Option<Value>,
    destination: Option<Value>,
    status: Option<Value>,
    error: Option<Value>,
    errors: Option<Value>,
}

/// Judges an answer to `question` about `payment`.
pub(crate) fn judge(question: Question, payment: &Payment, status: u16, body: &[u8]) -> Verdict {
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let answer = if is_object { serde_json::from_slice::<Answer>(body).ok() } else { None };
    let error = answer.as_ref().and_then(|answer| answer.error.as_ref()?.as_str());
    let note = match error {
        Some(error) => format!("{status} {}", shorten(error)),
        None => format!("{status}"),
    };
    let is_refusal = |answer: &Answer| error.is_some_and(|error| answer.refuses(error, payment));
    match (status, question) {
        (200 | 201, _) => match answer.as_ref().map(|answer| answer.doubt(payment)) {
            Some(None) => Verdict::Paid { note },
            Some(Some(doubt)) => Verdict::Unknown { note: shorten(&format!("{note}: {doubt}")) },
            None => Verdict::Unknown { note: format!("{note} does not name this payout") },
        },
        (404, Question::Ask) if error == Some("unknown_key") => Verdict::NeverSeen,
        (404 | 405 | 501, Question::Ask) => Verdict::CannotBeAsked,
        (402, _) => Verdict::Refused { note },
        (400 | 403 | 404 | 410, _) if answer.as_ref().is_some_and(is_refusal) => Verdict::Refused { note },
        // An answer to another question than ours.
        (404, _) if error == Some("unknown_key") => Verdict::Unknown { note },
        (401 | 404 | 300..=399, _) => Verdict::Misconfigured { note },
        (422, _) => Verdict::Review { note },
        _ => Verdict::Unknown { note },
    }
}

impl Answer {
    /// Why this is no proof that `payment` was made; `None` if it is.
    fn doubt(&self, payment: &Payment) -> Option<String> {
        let is_empty = |value: &Value| match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            _ => false,
        };
        if [&self.error, &self.errors].into_iter().flatten().any(|error| !is_empty(error)) {
            return Some("it names an error".to_owned());
        }
        match &self.status {
            None | Some(Value::Null) => {}
            Some(Value::String(status)) if PAID.iter().any(|paid| status.eq_ignore_ascii_case(paid)) => {}
            Some(status) => return Some(format!("status {status}")),
        }
        let agrees = |named: &Option<Value>, ours: &str| match named {
            None | Some(Value::Null) => true,
            Some(named) => named == ours,
        };
        let names = self.id.as_ref().is_some_and(|id| id == &payment.id)
            && self.amount.as_ref().is_some_and(|amount| amount.as_u64() == Some(payment.amount))
            && agrees(&self.key, &payment.key)
            && agrees(&self.idempotency_key, &payment.key)
            && agrees(&self.currency, &payment.currency)
            && agrees(&self.account, &payment.account)
            && agrees(&self.destination, &payment.destination);
        (!names).then(|| "it does not name this payout".to_owned())
    }

    /// Whether these are the words of a gateway about this payout, rather than those of whoever stands before it.
    fn refuses(&self, error: &str, payment: &Payment) -> bool {
        let names = |named: &Option<Value>, ours: &str| named.as_ref().is_some_and(|named| named == ours);
        REFUSALS.contains(&error)
            || names(&self.id, &payment.id)
            || names(&self.key, &payment.key)
            || names(&self.idempotency_key, &payment.key)
    }
}

pub(crate) fn shorten(text: &str) -> String {
    text.chars().take(NOTE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment() -> Payment {
        Payment {
            key: "n:a1:p1".to_owned(),
            id: "p1".to_owned(),
            account: "a1".to_owned(),
            amount: 1250,
            currency: "USD".to_owned(),
            destination: "iban".to_owned(),
        }
    }

    #[test]
    fn the_documented_words_are_all_there_are() {
        let doc = include_str!("../../../docs/payouts.md");
        let line = doc.lines().find(|line| line.starts_with("The words that refuse: ")).unwrap();
        let words: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        assert_eq!(words, REFUSALS);
        assert!(doc.contains("this is `paid`, `succeeded`, `completed` or `settled`"));
        assert_eq!(PAID, ["paid", "succeeded", "completed", "settled"]);
    }

    /// The first word of the verdict's name.
    fn verdict(question: Question, status: u16, body: &str) -> String {
        let verdict = format!("{:?}", judge(question, &payment(), status, body.as_bytes()));
        verdict.split(' ').next().unwrap().to_owned()
    }

    const OURS: &str = r#"{"id":"p1","amount":1250,"currency":"USD","status":"paid"}"#;
    const ERROR: &str = r#"{"error":"account_closed"}"#;

    #[test]
    fn every_answer_to_a_payment() {
        for (status, body, expected) in [
            (200, OURS, "Paid"),
            (201, OURS, "Paid"),
            (201, r#"{"id":"p1","amount":1250}"#, "Paid"),
            (201, r#"{"id":"p2","amount":1250}"#, "Unknown"),
            (201, r#"["p1",null,null,1250]"#, "Unknown"),
            (201, r#"{"id":"p1","amount":1251}"#, "Unknown"),
            (201, r#"{"id":"p1","amount":1250,"currency":"EUR"}"#, "Unknown"),
            (201, r#"{"id":"p1","amount":1250,"account":"a1","destination":"iban"}"#, "Paid"),
            (201, r#"{"id":"p1","amount":1250,"account":"a2"}"#, "Unknown"),
            (201, r#"{"id":"p1","amount":1250,"destination":"other"}"#, "Unknown"),
            (201, r#"{"id":"p1","amount":1250,"destination":{"iban":"other"}}"#, "Unknown"),
            (201, r#"{"id":"p1","amount":1250,"idempotency_key":"n:a1:p1","key":"n:a1:p1"}"#, "Paid"),
            (201, r#"{"id":"p1","amount":1250,"idempotency_key":"n:a2:p1"}"#, "Unknown"),
            (200, r#"{"id":"p1","amount":1250,"status":"succeeded"}"#, "Paid"),
            (200, r#"{"id":"p1","amount":1250,"status":"COMPLETED"}"#, "Paid"),
            (200, r#"{"id":"p1","amount":1250,"status":"settled","error":null,"errors":[]}"#, "Paid"),
            (200, r#"{"id":"p1","amount":1250,"status":"failed"}"#, "Unknown"),
            (200, r#"{"id":"p1","amount":1250,"status":"pending"}"#, "Unknown"),
            (200, r#"{"id":"p1","amount":1250,"status":"refunded"}"#, "Unknown"),
            (200, r#"{"id":"p1","amount":1250,"status":true}"#, "Unknown"),
            (200, r#"{"id":"p1","amount":1250,"status":"paid","error":"insufficient balance"}"#, "Unknown"),
            (200, r#"{"id":"p1","amount":1250,"error":{"code":7}}"#, "Unknown"),
            (200, r#"{"id":"p1","amount":1250,"errors":["closed"]}"#, "Unknown"),
            (200, r#"{"id":"p1","id":"p1","amount":1250}"#, "Unknown"),
            (200, r#"{"id":"p1","amount":1250.0}"#, "Unknown"),
            (200, "", "Unknown"),
            (200, "<html>welcome to the hotel's wifi</html>", "Unknown"),
            (202, OURS, "Unknown"),
            (204, "", "Unknown"),
            (402, "", "Refused"),
            (402, ERROR, "Refused"),
            (400, ERROR, "Refused"),
            (403, ERROR, "Refused"),
            (404, ERROR, "Refused"),
            (410, ERROR, "Refused"),
            (400, r#"{"error":"Bad Request"}"#, "Unknown"),
            (403, r#"{"error":"Forbidden"}"#, "Unknown"),
            (404, r#"{"error":"Not Found"}"#, "Misconfigured"),
            (410, r#"{"error":"Gone"}"#, "Unknown"),
            (400, r#"{"error":"bad iban","id":"p1"}"#, "Refused"),
            (404, r#"{"error":"no such iban","idempotency_key":"n:a1:p1"}"#, "Refused"),
            (404, r#"{"error":"no such iban","id":"p2"}"#, "Misconfigured"),
            (404, r#"{"error":"unknown_key"}"#, "Unknown"),
            (400, "bad gateway configuration", "Unknown"),
            (403, "<html>forbidden by the proxy</html>", "Unknown"),
            (410, r#"{"error":{"code":1}}"#, "Unknown"),
            (404, "", "Misconfigured"),
            (404, "<html>not found</html>", "Misconfigured"),
            (401, ERROR, "Misconfigured"),
            (301, "", "Misconfigured"),
            (422, ERROR, "Review"),
            (409, ERROR, "Unknown"),
            (429, ERROR, "Unknown"),
            (500, ERROR, "Unknown"),
            (503, "", "Unknown"),
        ] {
            assert_eq!(verdict(Question::Pay, status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn every_answer_to_a_question_about_a_key() {
        for (status, body, expected) in [
            (200, OURS, "Paid"),
            (200, r#"{"id":"p2","amount":1250}"#, "Unknown"),
            (202, OURS, "Unknown"),
            (404, r#"{"error":"unknown_key"}"#, "NeverSeen"),
            (404, "", "CannotBeAsked"),
            (404, r#"{"error":"Not Found"}"#, "CannotBeAsked"),
            (200, r#"{"id":"p1","amount":1250,"status":"failed"}"#, "Unknown"),
            (405, "", "CannotBeAsked"),
            (402, ERROR, "Refused"),
            (401, "", "Misconfigured"),
            (500, "", "Unknown"),
        ] {
            assert_eq!(verdict(Question::Ask, status, body), expected, "{status} {body}");
        }
    }
}
