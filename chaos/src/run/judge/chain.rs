//! Check 24: the hash chain of each journal, from its stored bytes, by the rule of ARCHITECTURE.md: each entry's hash is
//! the SHA-1 of the hash before it, its seq, its time, who asked, the SHA-1 of its lines, and what it overtook, each on
//! a line of its own; of an operator's note, `note` and the SHA-1 of its text instead of the last two.

use std::collections::HashMap;

use sha1::{Digest, Sha1};

use super::finding::{Finding, Found};
use super::record::{Link, Record};

pub(super) fn check(record: &Record) -> Vec<Finding> {
    let mut found = Found::new(24, "G9 the journal is tamper-evident");
    let mut chains: HashMap<&str, String> = HashMap::new();
    for link in &record.chains {
        let before = chains.entry(&link.journal).or_default();
        let said = link.fields.get("hash").and_then(Option::as_deref).unwrap_or_default();
        let place = || vec![format!("{} {}", link.journal, link.id)];
        if link.id == "end" {
            if said != before.as_str() {
                found.add("the partition says another end of its chain than the journal has", place());
            }
            continue;
        }
        if said != hash(before, link) {
            found.add("a hash that does not follow from the entry and the one before", place());
        }
        said.clone_into(before);
    }
    found.done()
}

fn hash(before: &str, link: &Link) -> String {
    let field = |name: &str| link.fields.get(name).and_then(Option::as_deref).unwrap_or_default();
    let seq = link.id.split('-').next().unwrap_or_default();
    let (at_ms, by) = (field("at_ms"), field("by"));
    let rest = match link.fields.get("note") {
        Some(Some(note)) => format!("note\n{}", sha1(note)),
        _ => format!("{}\n{}", sha1(field("lines")), field("overtaken")),
    };
    sha1(&format!("{before}\n{seq}\n{at_ms}\n{by}\n{rest}"))
}

fn sha1(text: &str) -> String {
    Sha1::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
