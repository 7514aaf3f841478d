//! `docs/codes.md` lists the codes as the enum has them: no more, no fewer, in the same order.

use std::fmt::Write as _;

use tollgate::code::{Code, Stored};

use crate::tables::assert_written;

const DOC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/codes.md");

fn table() -> String {
    let mut table = String::from("| # | code | class | stored | meaning |\n|---|---|---|---|---|\n");
    for (place, code) in Code::ALL.iter().enumerate() {
        let stored = match code.stored() {
            Stored::Yes => "yes",
            Stored::No => "no",
            Stored::PastBound => "past the bound",
        };
        let (class, meaning) = (code.class(), code.meaning());
        writeln!(table, "| {} | `{code}` | {class} | {stored} | {meaning} |", place + 1).unwrap();
    }
    table
}

#[test]
fn codes_doc_is_the_enum() {
    assert_written("docs/codes.md", "codes", &table());
}

#[test]
fn codes_doc_explains_every_class() {
    let doc = std::fs::read_to_string(DOC).unwrap();
    for code in Code::ALL {
        let row = format!("\n| `{}` | ", code.class());
        assert!(doc.contains(&row), "no row for class {}", code.class());
    }
}
