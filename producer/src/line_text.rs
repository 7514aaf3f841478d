//! A line of the journal, in words.

use tollgate::journal::ExportLine;

/// What a line says, in words.
pub(crate) fn described(line: &ExportLine<'_>) -> String {
    let mut words = vec![line.kind.to_owned()];
    let money = |amount: u64| {
        line.currency
            .map_or_else(|| amount.to_string(), |code| tollgate::amount::money(u128::from(amount), code))
    };
    let mut add =
        |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name} {value}")));
    add("campaign", line.campaign.map(str::to_owned));
    add("account", line.account.map(str::to_owned));
    add("customer", line.customer.map(str::to_owned));
    add("quantity", line.quantity.map(|number| number.to_string()));
    add("amount", line.amount.map(money));
    add("to", line.destination.map(str::to_owned));
    add("attempt", line.attempt.map(|number| number.to_string()));
    add("limit", line.limit.map(|number| number.to_string()));
    add("note", line.note.map(str::to_owned));
    add("by", Some(line.by.to_owned()).filter(|by| !by.is_empty()));
    words.join(", ")
}
