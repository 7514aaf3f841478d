//! What a name that is not known may have been meant to be. Pure.

/// Longest name that is looked at: beyond it nobody sees a typo.
const CHARS_MAX: usize = 128;

/// The known name that differs least from `name`, if by little: a third of its length, and three letters at most.
pub fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    if length > CHARS_MAX {
        return None;
    }
    let near = (length / 3).clamp(1, 3);
    known
        .into_iter()
        .filter(|known| known.chars().count().abs_diff(length) <= near)
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, _)| (1..=near).contains(distance))
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn only_what_is_near_is_named() {
        let known = ["quantity", "customer", "campaign"];
        assert_eq!(closest("quanttiy", known), Some("quantity"));
        assert_eq!(closest("custommer", known), Some("customer"));
        assert_eq!(closest("price", known), None);
        assert_eq!(closest("customer", known), None);
        assert_eq!(closest(&"x".repeat(1_000), known), None);
    }
}
