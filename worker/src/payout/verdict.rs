//! What a gateway's answer proves about one payout. Pure: status and body in, verdict out.
//!
//! The rules are those of a witness: an answer counts as paid only if it names our payout, as refused only if the
//! gateway itself says so in its own words. Everything else proves nothing, and nothing is concluded from it.

use serde::Deserialize;

/// Longest text of a gateway that is kept in a note, in characters.
const NOTE_CHARS_MAX: usize = 120;

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

#[derive(Deserialize)]
struct Named {
    id: String,
    amount: u64,
    currency: Option<String>,
    account: Option<String>,
    destination: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// Judges an answer to `question` about `payment`.
pub(crate) fn judge(question: Question, payment: &Payment, status: u16, body: &[u8]) -> Verdict {
    let refusal = serde_json::from_slice::<Refusal>(body).ok().map(|refusal| shorten(&refusal.error));
    let note = match &refusal {
        Some(error) => format!("{status} {error}"),
        None => format!("{status}"),
    };
    match (status, refusal) {
        (200 | 201, _) => match serde_json::from_slice::<Named>(body) {
            Ok(named) if names(&named, payment) => Verdict::Paid { note },
            _ => Verdict::Unknown { note: format!("{note} does not name this payout") },
        },
        (404, Some(error)) if error == "unknown_key" => match question {
            Question::Ask => Verdict::NeverSeen,
            // An answer to another question than ours.
            Question::Pay => Verdict::Unknown { note },
        },
        (404 | 405 | 501, None) if question == Question::Ask => Verdict::CannotBeAsked,
        (402, _) | (400 | 403 | 404 | 410, Some(_)) => Verdict::Refused { note },
        (401 | 300..=399, _) | (404, None) => Verdict::Misconfigured { note },
        (422, _) => Verdict::Review { note },
        _ => Verdict::Unknown { note },
    }
}

fn names(named: &Named, payment: &Payment) -> bool {
    let agrees = |named: &Option<String>, ours: &str| named.as_ref().is_none_or(|named| named == ours);
    named.id == payment.id
        && named.amount == payment.amount
        && agrees(&named.currency, &payment.currency)
        && agrees(&named.account, &payment.account)
        && agrees(&named.destination, &payment.destination)
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

    /// The first word of the verdict's name.
    fn verdict(question: Question, status: u16, body: &str) -> String {
        let verdict = format!("{:?}", judge(question, &payment(), status, body.as_bytes()));
        verdict.split(' ').next().unwrap().to_owned()
    }

    const OURS: &str = r#"{"id":"p1","amount":1250,"currency":"USD","status":"paid"}"#;
    const ERROR: &str = r#"{"error":"closed_account"}"#;

    #[test]
    fn every_answer_to_a_payment() {
        for (status, body, expected) in [
            (200, OURS, "Paid"),
            (201, OURS, "Paid"),
            (201, r#"{"id":"p1","amount":1250}"#, "Paid"),
            (201, r#"{"id":"p2","amount":1250}"#, "Unknown"),
            (201, r#"{"id":"p1","amount":1251}"#, "Unknown"),
            (201, r#"{"id":"p1","amount":1250,"currency":"EUR"}"#, "Unknown"),
            (201, r#"{"id":"p1","amount":1250,"account":"a1","destination":"iban"}"#, "Paid"),
            (201, r#"{"id":"p1","amount":1250,"account":"a2"}"#, "Unknown"),
            (201, r#"{"id":"p1","amount":1250,"destination":"other"}"#, "Unknown"),
            (201, r#"{"id":"p1","amount":1250,"destination":{"iban":"other"}}"#, "Unknown"),
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
            (405, "", "CannotBeAsked"),
            (402, ERROR, "Refused"),
            (401, "", "Misconfigured"),
            (500, "", "Unknown"),
        ] {
            assert_eq!(verdict(Question::Ask, status, body), expected, "{status} {body}");
        }
    }
}
