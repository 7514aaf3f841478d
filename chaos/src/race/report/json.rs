//! The run as one JSON document; docs/races.md says what each field is.

use serde_json::{Value, json};

use super::contents::Report;
use super::row::Row;
use crate::race::matrix::Promise;

pub(super) fn document(report: &Report) -> Value {
    let rows = report.scenarios.iter().flat_map(|(_, rows)| rows).map(row).collect::<Vec<_>>();
    let faults = report.faults();
    json!({
        "setting": report.setting,
        "rows": rows,
        "senseless": report.senseless,
        "audit": report.audit.as_ref().map(|audit| audit.verdict.as_str()),
        "verdict": if faults.is_empty() { "pass" } else { "fail" },
        "faults": faults,
    })
}

fn row(row: &Row) -> Value {
    let (promises, why) = match row.cell.promise() {
        Promise::Safe => ("safe", None),
        Promise::Nothing(why) => ("nothing", Some(why)),
    };
    let runs = row.runs.iter().map(|run| {
        let mut value = json!(run.tally);
        if let Value::Object(fields) = &mut value {
            fields.insert("concurrency".into(), json!(run.concurrency));
            fields.insert("rounds".into(), json!(run.rounds));
            fields.insert("per_second".into(), json!(run.per_second()));
            fields.insert("p50_ms".into(), json!(run.latency_ms(0.5)));
            fields.insert("p99_ms".into(), json!(run.latency_ms(0.99)));
        }
        value
    });
    json!({
        "scenario": row.cell.scenario,
        "cure": row.cell.cure.kind().name(),
        "with": row.cell.label(),
        "store": row.cell.store,
        "stopped": row.cell.stopped,
        "promises": promises,
        "why": why,
        "verdict": row.verdict(),
        "runs": runs.collect::<Vec<_>>(),
        "interleaving": row.timeline(),
    })
}
