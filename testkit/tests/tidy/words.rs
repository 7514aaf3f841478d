//! One word, one meaning: names that were given up do not come back.

use crate::source::{read, tree};

/// Types that had names of our own making, and what they are called.
const GIVEN_UP: [(&str, &str); 17] = [
    ("Lane", "PartitionState"),
    ("Desk", "StageContext, RequestContext"),
    ("Parcel", "EntryIdentity"),
    ("Hand", "InFlight"),
    ("Suspicion", "Redelivery"),
    ("Patience", "Backoff, RetryLoop"),
    ("Trouble", "Incident"),
    ("Stuck", "Blocked"),
    ("Room", "AuditContext"),
    ("Weigher", "MultisetHash"),
    ("Duty", "ReceiptRule"),
    ("Strays", "UnknownKeys"),
    ("Claims", "Observed"),
    ("Town", "Fixture"),
    ("Seat", "NodeAttempt"),
    ("Standing", "QuorumResult"),
    ("Signpost", "NamespaceMeta"),
];

#[test]
fn no_type_has_a_name_that_was_given_up() {
    let tree = tree();
    let sources = tree.iter().filter(|path| path.ends_with(".rs") && path.contains("/src/"));
    let mut found = Vec::new();
    for path in sources {
        for line in read(path).lines() {
            let name = ["struct ", "enum ", "type ", "trait "].iter().find_map(|kind| {
                let (before, after) = line.split_once(kind)?;
                let is_item = before.trim().is_empty() || before.trim().starts_with("pub");
                is_item.then(|| {
                    after.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
                })
            });
            let now = GIVEN_UP.iter().find(|(word, _)| Some(*word) == name).map(|(_, now)| now);
            found.extend(now.map(|now| format!("{path}: {}: call it {now}", line.trim())));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
