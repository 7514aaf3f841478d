//! No two files of a crate import one another, by whatever way round: every crate reads from the top down.

#![allow(clippy::unwrap_used, reason = "tests")]

mod circles;
mod modules;

use std::fs;
use std::path::Path;

use modules::Modules;

/// Reads every crate of the workspace.
fn workspace(root: &Path) -> Modules {
    let mut modules = Modules::default();
    for folder in fs::read_dir(root).unwrap() {
        for start in ["src/lib.rs", "src/main.rs"] {
            let file = folder.as_ref().unwrap().path().join(start);
            if file.is_file() {
                modules.read_crate(root, &file);
            }
        }
    }
    modules
}

#[test]
fn no_files_import_one_another_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let modules = workspace(root);
    assert!(modules.files().len() > 300, "only {} files were read", modules.files().len());

    let found: Vec<String> = circles::of(&modules.imports()).iter().map(ToString::to_string).collect();
    assert!(
        found.is_empty(),
        "files import one another in a circle. What both need gets a file of its own, below both:\n{}",
        found.join("\n")
    );
}

/// Each way to name something of another file, where two files of a crate use one another, and ways that are none.
#[test]
fn a_circle_is_seen_by_every_way_to_write_it() {
    for (text, is_circle) in [
        ("use crate::above::Above; pub struct Below(Above);", true),
        ("use super::{super::other::{Other}, Above}; pub struct Below;", true),
        ("use super::*; pub struct Below;", true),
        ("use crate as top; pub struct Below(top::above::Above);", true),
        ("pub struct Below(crate::above::Above);", true),
        ("pub struct Below; fn f() { use super::Above; }", true),
        ("pub struct Below; fn f() { println!(\"{}\", super::above()); }", true),
        ("#[derive(Above)] #[arg(value_parser = crate::above::above)] pub struct Below;", true),
        ("use crate::AboveOfRoot; pub struct Below;", true),
        ("use super::Other; pub struct Below;", true),
        ("use crate::OtherOfRoot; pub struct Below;", false),
        ("pub struct Below; #[cfg(test)] mod tests { use crate::above::Above; }", false),
        ("pub struct Below; #[cfg(test)] fn f() { crate::above::above() }", false),
        ("use crate::other::Other; use std::fmt::{self, Debug}; pub struct Below;", false),
        ("/// [`crate::above::Above`]\npub struct Below;", false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("above")).unwrap();
        let root =
            "mod above; mod other; pub use above::Above as AboveOfRoot; pub use other::Other as OtherOfRoot;";
        let above =
            "mod below; use below::Below; use crate::other::Other; pub struct Above(Below); fn above() {}";
        for (file, text) in [
            ("lib.rs", root),
            ("above.rs", above),
            ("above/below.rs", text),
            ("other.rs", "pub struct Other;"),
        ] {
            fs::write(dir.path().join(file), text).unwrap();
        }
        let mut modules = Modules::default();
        modules.read_crate(dir.path(), &dir.path().join("lib.rs"));
        let found = circles::of(&modules.imports());
        let is_found = found.iter().any(|circle| circle.files().any(|file| file == "above/below.rs"));
        assert_eq!(is_found, is_circle, "{text}");
    }
}
