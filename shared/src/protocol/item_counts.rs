//! What a customer has of the items of an order that have a limit of their own: `{<count> <item>}` for each of them, in the
//! order of the journal line that says so. No id holds a brace. Must not talk to Redis.

/// Item and count of each; `None` for a text that is none.
pub fn read(text: &str) -> Option<Vec<(&str, u64)>> {
    let counts = text.strip_prefix('{')?.strip_suffix('}')?.split("}{");
    counts
        .map(|one| {
            let (count, item) = one.split_once(' ')?;
            Some((item, count.parse().ok()?))
        })
        .collect()
}

/// The text of these; `None` of nothing.
pub fn text<'a>(counts: impl IntoIterator<Item = (&'a str, u64)>) -> Option<String> {
    let text: String = counts.into_iter().map(|(item, count)| format!("{{{count} {item}}}")).collect();
    (!text.is_empty()).then_some(text)
}

/// The JSON of counts that have this text.
pub(crate) fn json_of(text: &str) -> String {
    let Some(counts) = read(text) else { return "null".to_owned() };
    let one = |(item, held): &(&str, u64)| {
        format!(r#"{{"item":{},"held":{held}}}"#, serde_json::Value::from(*item))
    };
    format!("[{}]", counts.iter().map(one).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let counts = [("the \"floor\"", 2), ("A-1", 0)];
        let text = text(counts).unwrap();
        assert_eq!((text.as_str(), read(&text)), ("{2 the \"floor\"}{0 A-1}", Some(counts.to_vec())));
        assert_eq!(json_of(&text), r#"[{"item":"the \"floor\"","held":2},{"item":"A-1","held":0}]"#);
        assert_eq!(super::text([]), None);
        for wrong in ["", "{}", "{1}", "{x a}", "1 a"] {
            assert_eq!((read(wrong), json_of(wrong).as_str()), (None, "null"), "{wrong}");
        }
    }
}
