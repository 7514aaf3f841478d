//! One line of a file of codes: a code and nothing else, or a complaint that names what is there instead.
//!
//! Pure. A file that was exported from a spreadsheet, or pasted together, often has a header, quotes, further
//! columns or characters that nobody sees: each would be handed out as part of a code that no till accepts.

use crate::protocol::code::Code;
use crate::protocol::input::InputError;

/// Longest code in bytes.
pub const CODE_BYTES_MAX: usize = 128;
const RULE: &str = "one code of 1 to 128 bytes of UTF-8, without control characters or spaces around it";
/// What a spreadsheet calls the column of codes, without spaces, hyphens and underscores.
const HEADERS: [&str; 20] = [
    "code",
    "codes",
    "coupon",
    "coupons",
    "couponcode",
    "couponcodes",
    "voucher",
    "vouchers",
    "vouchercode",
    "vouchercodes",
    "promo",
    "promocode",
    "promocodes",
    "promotioncode",
    "discountcode",
    "giftcode",
    "id",
    "name",
    "key",
    "value",
];
/// What separates or encloses columns.
const COLUMN_MARKS: [char; 4] = [',', ';', '|', '"'];

/// Reads a line with its end, which may be of either kind.
pub(super) fn read(line: &[u8], number: usize) -> Result<String, InputError> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // Editors of one system begin a file with a byte order mark; it would be part of the first code.
    let line = if number == 1 { line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line) } else { line };
    let wrong =
        |allowed: &str| InputError::new(Code::IdMalformed, "code", &String::from_utf8_lossy(line), allowed);
    let code = std::str::from_utf8(line).map_err(|_| wrong(RULE))?;
    if let Some(invisible) = code.chars().find(|c| is_invisible(*c)) {
        let name = invisible.escape_unicode();
        return Err(wrong(&format!(
            "a code without the invisible character {name}; remove it, and save as plain UTF-8"
        )));
    }
    let is_bounded = !code.is_empty() && code.len() <= CODE_BYTES_MAX;
    if !is_bounded || code.trim().len() != code.len() || code.chars().any(char::is_control) {
        return Err(wrong(RULE));
    }
    if let Some(mark) = code.chars().find(|c| COLUMN_MARKS.contains(c)) {
        return Err(wrong(&format!(
            "one code a line, without quotes or further columns: leave out the {mark:?}"
        )));
    }
    let letters: String = code.chars().filter(|c| !" -_".contains(*c)).collect::<String>().to_lowercase();
    if number == 1 && HEADERS.contains(&letters.as_str()) {
        return Err(wrong("a code, not the name of a column: remove the header line"));
    }
    Ok(code.to_owned())
}

/// Whether a character takes part in a code without being seen: other spaces than the plain one, joiners, marks of
/// direction, fillers. (Control characters are refused by the rule.)
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{1680}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}'
        | '\u{2800}' | '\u{3000}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_code_is_named_with_what_is_allowed() {
        for (line, number, allowed) in [
            ("Code", 1, "remove the header line"),
            ("coupon_code\r\n", 1, "remove the header line"),
            ("\u{feff}Voucher Code\n", 1, "remove the header line"),
            ("\"AAA\"\n", 2, "without quotes or further columns: leave out the '\"'"),
            ("AAA,10%\n", 2, "leave out the ','"),
            ("AAA;10\n", 2, "leave out the ';'"),
            ("AAA|10\n", 2, "leave out the '|'"),
            ("AAA\t10\n", 2, "without control characters"),
            ("AA\u{a0}A\n", 3, "the invisible character \\u{a0}"),
            ("AAA\u{200b}\n", 3, "the invisible character \\u{200b}"),
            ("\u{feff}AAA\n", 2, "the invisible character \\u{feff}"),
            ("\u{202e}AAA\n", 2, "the invisible character \\u{202e}"),
            ("A\u{ad}A\n", 2, "the invisible character \\u{ad}"),
            ("A\u{3164}A\n", 2, "the invisible character \\u{3164}"),
            ("\n", 2, "1 to 128 bytes"),
            ("A\0\n", 2, "without control characters"),
        ] {
            let error = read(line.as_bytes(), number).unwrap_err();
            assert!(error.allowed.contains(allowed), "{line:?}: {error}");
        }
        assert!(read(b"\xff\xfeA\0", 1).unwrap_err().allowed.contains("UTF-8"));
        for (line, number, code) in [
            ("\u{feff}AAA\r\n", 1, "AAA"),
            ("CODE", 2, "CODE"),
            ("A B", 1, "A B"),
            ("\u{c4}PFEL-10", 1, "\u{c4}PFEL-10"),
        ] {
            assert_eq!(read(line.as_bytes(), number).unwrap(), code);
        }
    }
}
