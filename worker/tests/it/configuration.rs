//! The table of flags in docs/configuration.md is what `--help` says: the same flags, the same defaults.

use std::collections::BTreeSet;
use std::process::Command;

const PAGE: &str = include_str!("../../../docs/configuration.md");
/// The ones that both programs have; the page speaks of them as variables.
const COMMON: [&str; 8] = [
    "--help",
    "--version",
    "--redis-url",
    "--redis-ca",
    "--redis-cert",
    "--redis-key",
    "--namespace",
    "--allow-unsafe-redis",
];

fn long_flag(text: &str) -> Option<&str> {
    let at = text.find("--")?;
    let end = text[at..].find(|c: char| c != '-' && !c.is_ascii_lowercase());
    Some(&text[at..end.map_or(text.len(), |end| at + end)])
}

#[test]
fn the_page_lists_every_flag_with_its_default() {
    let help = Command::new(env!("CARGO_BIN_EXE_tollgate-worker")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let flags = help.lines().filter(|line| line.trim_start().starts_with('-')).filter_map(long_flag);
    let flags: BTreeSet<&str> = flags.filter(|flag| !COMMON.contains(flag)).collect();
    assert!(flags.contains("--claim-idle"), "{help}");

    let table = PAGE.lines().skip_while(|line| !line.starts_with("| flag |")).skip(2);
    let rows: Vec<Vec<&str>> =
        table.take_while(|line| line.starts_with('|')).map(|line| line.split('|').collect()).collect();
    let listed: BTreeSet<&str> = rows.iter().filter_map(|row| long_flag(row[1])).collect();
    assert_eq!(listed, flags);

    for row in rows {
        let (flag, default) = (long_flag(row[1]).unwrap(), row[3].trim());
        let mut lines = help.lines().map(str::trim_start);
        let own = lines.find(|line| line.starts_with('-') && long_flag(line) == Some(flag)).unwrap();
        // A value of a list begins with '- '.
        let part = std::iter::once(own)
            .chain(lines.take_while(|line| !line.starts_with('-') || line.starts_with("- ")));
        // Long lines are wrapped, also within a default.
        let part = part.collect::<Vec<_>>().join(" ");
        match part.split("[default: ").nth(1).and_then(|rest| rest.split(']').next()) {
            Some(said) => assert_eq!(default, said, "{flag}"),
            None => assert!(
                ["off", "every queue, all alike", "a hash of its address"].contains(&default),
                "{flag}: {default}"
            ),
        }
    }
}
