//! A row in flight, and the ids of stream entries.

/// The row in flight that a batch comes from: who shows key and token may settle what lies in it, nobody else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row {
    /// The entry before it: an exclusive lower bound.
    pub key: String,
    /// Of whoever took it last.
    pub token: String,
}

/// Whether `text` is an id as Redis gives them to entries: `<ms>-<seq>`, 64 bits each.
pub fn is_entry(text: &str) -> bool {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u64>().is_ok();
    text.split_once('-').is_some_and(|(ms, seq)| number(ms) && number(seq))
}
