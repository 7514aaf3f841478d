//! A line of the journal, in words.

use tollgate::amount::money;
use tollgate::instant::Instant;
use tollgate::journal::Line;
use tollgate::kinds::Fields;

/// What a line says, in words.
pub(crate) fn described(line: &Line) -> String {
    let mut fields = Vec::new();
    line.event.each_field(&mut |field, text| fields.extend(text.map(|text| (field.name, text.into_owned()))));
    let currency = fields.iter().find(|(name, _)| *name == "currency").map(|(_, code)| code.clone());
    let mut words = vec![line.event.kind().name().to_owned()];
    for (name, text) in fields {
        let text = match (name, &currency, text.parse()) {
            // They are in the list's JSON: long, and nobody's to read.
            ("currency" | "fence" | "idempotency_key", ..) => continue,
            ("amount" | "balance", Some(currency), Ok(minor)) => money(minor, currency),
            ("opens_at" | "closes_at", _, Ok(ms)) => {
                u64::try_from(ms).ok().and_then(Instant::from_ms).map_or(text, |at| at.to_string())
            }
            _ => text,
        };
        words.push(format!("{name} {text}"));
    }
    words.extend((!line.by.is_empty()).then(|| format!("by {}", line.by)));
    words.join(", ")
}
