//! `docs/prometheus/`: every rule and every panel asks for figures that exist, every row of the alert table has a rule, and
//! promtool, where it is installed, finds the rules right and runs their tests.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

const DOC: &str = include_str!("../../../docs/operating.md");
const RULES: &str = include_str!("../../../docs/prometheus/alerts.yml");
const DASHBOARD: &str = include_str!("../../../docs/prometheus/dashboard.json");

/// The figures that the text names.
fn figures(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("tollgate_"))
        .map(|word| word.trim_end_matches("_bucket").to_owned())
        .collect()
}

/// The rows of the table under this heading.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let table = DOC.lines().skip_while(|line| !line.starts_with(heading)).skip(2);
    table.take_while(|line| line.starts_with('|')).map(|line| line.split('|').collect()).collect()
}

/// What the page has, as its own test compares it with the code.
fn documented() -> BTreeSet<String> {
    rows("| metric | labels |").iter().flat_map(|row| figures(row[1])).collect()
}

fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn rules_and_panels_ask_for_what_there_is() {
    let documented = documented();
    assert!(documented.len() > 20, "{documented:?}");
    let expressions = RULES.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    for text in expressions.map(str::to_owned).chain(queries()) {
        let unknown: Vec<String> = figures(&text).difference(&documented).cloned().collect();
        assert!(unknown.is_empty(), "{text}: {unknown:?}");
    }
}

#[test]
fn every_row_of_the_alert_table_has_a_rule() {
    let asked = figures(RULES);
    let rows = rows("| alert when |");
    assert!(rows.len() > 10);
    for row in rows {
        let named = figures(row[2]);
        match row[2].trim() {
            // cron runs the audit; an exporter of Redis has what is Redis's own.
            "(the exit code)" | "(Redis's own)" => {}
            cell => assert!(named.iter().any(|figure| asked.contains(figure)), "{cell}: no rule asks for it"),
        }
    }
}

#[test]
fn promtool_finds_the_rules_and_the_queries_right() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/prometheus");
    let promtool = |words: &[&str]| Command::new("promtool").args(words).current_dir(&dir).output();
    let Ok(checked) = promtool(&["check", "rules", "alerts.yml"]) else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: promtool is not installed (Debian: prometheus)");
        return;
    };
    assert!(checked.status.success(), "{checked:?}");
    let tried = promtool(&["test", "rules", "alerts_test.yml"]).unwrap();
    assert!(tried.status.success(), "{tried:?}");
    // A query is checked as the rule that would record it.
    let mut rules = String::from("groups:\n  - name: dashboard\n    rules:\n");
    for (number, query) in queries().iter().enumerate() {
        rules += &format!("      - record: panel_{number}\n        expr: {}\n", Value::from(query.as_str()));
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), rules).unwrap();
    let checked = promtool(&["check", "rules", file.path().to_str().unwrap()]).unwrap();
    assert!(checked.status.success(), "{checked:?}");
}
