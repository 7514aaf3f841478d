//! A line of the journal, in words.

use tollgate::amount::money;
use tollgate::instant::Instant;
use tollgate::journal::Line;
use tollgate::kinds::{Fields, Json, fields_of};

/// What a line says, in words.
pub(crate) fn described(line: &Line) -> String {
    let fields = fields_of(&line.event);
    let currency = fields.iter().find(|(field, _)| field.name == "currency").map(|(_, code)| code.clone());
    let mut words = vec![line.event.kind().name().to_owned()];
    for (field, text) in fields {
        let name = field.name;
        let text = match (name, &currency, text.parse()) {
            // They are in the list's JSON: long, and nobody's to read.
            ("currency" | "fence" | "idempotency_key", ..) => continue,
            ("amount" | "balance", Some(currency), Ok(minor)) => money(u128::from(minor), currency),
            (_, _, Ok(ms)) if field.json == Json::Time => {
                Instant::from_ms(ms).map_or(text, |at| at.to_string())
            }
            _ => text,
        };
        words.push(format!("{name} {text}"));
    }
    words.extend(match line.decided_by() {
        _ if line.by.is_empty() => None,
        None => Some(format!("by {}", line.by)),
        Some(by) => (by != line.by).then(|| format!("asked by {}", line.by)),
    });
    words.join(", ")
}
