//! What stands in for the gateway where every order of calls is tried (feature `explore`).

use std::fmt;
use std::pin::Pin;

/// A question to the payout gateway.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// The idempotency key.
    pub key: String,
    /// The payment as it is sent; `None` asks what became of it.
    pub payment: Option<String>,
}

/// What comes of a question: a status and a body, or no answer.
pub type BankReply = Pin<Box<dyn Future<Output = Option<(u16, String)>> + Send>>;

/// A payout gateway at which questions wait.
pub trait Bank: fmt::Debug + Send + Sync {
    /// Asks. If the future is dropped, the question may have arrived.
    fn ask(&self, question: Question) -> BankReply;
}
