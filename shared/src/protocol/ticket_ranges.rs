//! Tickets of an order's line: numbers of codes, as ranges, `17-18,20`. Must not talk to Redis.

/// The ranges of a text, first and last of each; `None` for one that is none.
pub fn ranges(text: &str) -> Option<Vec<(u64, u64)>> {
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        (1 <= first && first <= last).then_some((first, last))
    };
    text.split(',').filter(|_| !text.is_empty()).map(range).collect()
}

/// The text of ranges.
pub fn text(ranges: &[(u64, u64)]) -> String {
    let range = |(first, last): &(u64, u64)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    ranges.iter().map(range).collect::<Vec<_>>().join(",")
}

/// Each number of a text, in its order; nothing of one that is none.
pub fn numbers(text: &str) -> impl Iterator<Item = u64> {
    ranges(text).unwrap_or_default().into_iter().flat_map(|(first, last)| first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_they_are_written() {
        let list = [(17, 18), (20, 20)];
        assert_eq!(text(&list), "17-18,20");
        assert_eq!(ranges("17-18,20"), Some(list.to_vec()));
        assert_eq!(numbers("17-18,20").collect::<Vec<_>>(), [17, 18, 20]);
        assert_eq!((ranges(""), text(&[])), (Some(vec![]), String::new()));
        for wrong in ["0", "2-1", "1,", ",1", "a", "1-2-3"] {
            assert_eq!(ranges(wrong), None, "{wrong}");
        }
    }
}
