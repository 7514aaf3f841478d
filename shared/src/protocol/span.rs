//! A length of time that somebody set, for people. Pure.

use std::time::Duration;

/// In the largest unit that makes it a whole number: `60 days`, `36 hours`, `90 s`, `500 ms`.
pub fn span(duration: Duration) -> String {
    const UNITS: [(u128, &str, &str); 4] = [
        (86_400_000, "day", "days"),
        (3_600_000, "hour", "hours"),
        (60_000, "minute", "minutes"),
        (1_000, "s", "s"),
    ];
    let ms = duration.as_millis();
    let unit = UNITS.into_iter().find(|(unit, ..)| ms >= *unit && ms.is_multiple_of(*unit));
    match unit {
        _ if ms == 0 => "0 s".to_owned(),
        Some((unit, one, _)) if ms == unit => format!("1 {one}"),
        Some((unit, _, many)) => format!("{} {many}", ms / unit),
        None => format!("{ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_whole_number_of_one_unit() {
        for (ms, text) in [
            (0, "0 s"),
            (1, "1 ms"),
            (1_500, "1500 ms"),
            (1_000, "1 s"),
            (90_000, "90 s"),
            (60_000, "1 minute"),
            (3_600_000, "1 hour"),
            (129_600_000, "36 hours"),
            (604_800_000, "7 days"),
            (5_184_000_000, "60 days"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
    }
}
