//! A line of the journal, in words.

use tollgate::amount::{Currency, money};
use tollgate::instant::Instant;
use tollgate::journal::Line;
use tollgate::keys::Keys;
use tollgate::kinds::{Fields, Json, fields_of};
use tollgate::link::Link;
use tollgate::resource::Resource;
use tollgate::resources::{self, AccountState};

/// The currency of the account that a line is about, where the account can be read: a refund does not name it.
pub(crate) async fn currency_of(link: &mut Link, keys: &Keys, line: &Line) -> Option<Currency> {
    let Resource::Account(account) = line.event.resource() else { return None };
    let read = resources::read::<AccountState>(link, keys, std::slice::from_ref(account)).await;
    Some(read.ok()?.pop()?.state()?.currency)
}

/// What a line says, in words; amounts in the currency that it names, else in that of its account.
pub(crate) fn described(line: &Line, of_account: Option<Currency>) -> String {
    let fields = fields_of(&line.event);
    let named = fields.iter().find(|(field, _)| field.name == "currency").map(|(_, code)| code.clone());
    let currency = named.or_else(|| of_account.map(|currency| currency.code().into()));
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
