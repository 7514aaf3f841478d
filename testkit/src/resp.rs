//! Where one RESP value ends: as much of the protocol as a proxy needs to break it in the right places.

/// Deeper than any reply of Redis; a bound, so that garbage ends.
const DEPTH_MAX: usize = 32;

/// What a buffer begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// One whole value of so many bytes.
    Whole(usize),
    /// The beginning of one.
    Partial,
    /// No RESP: pass it on as it is.
    Garbage,
}

/// Looks at the beginning of `bytes`.
pub fn frame(bytes: &[u8]) -> Frame {
    let mut at = 0;
    match value(bytes, &mut at, 0) {
        Ok(()) => Frame::Whole(at),
        Err(Stop::Short) => Frame::Partial,
        Err(Stop::Wrong) => Frame::Garbage,
    }
}

/// The words of a command: an array of bulk strings. Empty for anything else.
pub fn words(frame: &[u8]) -> Vec<&[u8]> {
    let mut at = 0;
    let Ok((b'*', count)) = head(frame, &mut at) else { return Vec::new() };
    let mut words = Vec::new();
    for _ in 0..count.max(0) {
        let Ok((b'$', length)) = head(frame, &mut at) else { return Vec::new() };
        let Some(word) = usize::try_from(length).ok().and_then(|length| frame.get(at..at + length)) else {
            return Vec::new();
        };
        words.push(word);
        at += word.len() + 2;
    }
    words
}

enum Stop {
    Short,
    Wrong,
}

/// The type and the number of a line; moves `at` past it.
fn head(bytes: &[u8], at: &mut usize) -> Result<(u8, i64), Stop> {
    let (kind, line) = line(bytes, at)?;
    let number = std::str::from_utf8(line).ok().and_then(|line| line.parse().ok());
    Ok((kind, number.ok_or(Stop::Wrong)?))
}

fn line<'a>(bytes: &'a [u8], at: &mut usize) -> Result<(u8, &'a [u8]), Stop> {
    let rest = bytes.get(*at..).filter(|rest| !rest.is_empty()).ok_or(Stop::Short)?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n").ok_or(Stop::Short)?;
    *at += end + 2;
    Ok((rest[0], &rest[1..end.max(1)]))
}

fn value(bytes: &[u8], at: &mut usize, depth: usize) -> Result<(), Stop> {
    if depth > DEPTH_MAX {
        return Err(Stop::Wrong);
    }
    match bytes.get(*at).ok_or(Stop::Short)? {
        b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => line(bytes, at).map(drop),
        b'$' | b'=' | b'!' => {
            let (_, length) = head(bytes, at)?;
            let Ok(length) = usize::try_from(length) else { return Ok(()) };
            *at = at.checked_add(length + 2).ok_or(Stop::Wrong)?;
            if *at > bytes.len() { Err(Stop::Short) } else { Ok(()) }
        }
        kind @ (b'*' | b'%' | b'~' | b'>' | b'|') => {
            let twice = matches!(kind, b'%' | b'|');
            let (_, count) = head(bytes, at)?;
            (0..count.max(0) * if twice { 2 } else { 1 }).try_for_each(|_| value(bytes, at, depth + 1))
        }
        _ => Err(Stop::Wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_where_it_ends() {
        let values: [&[u8]; 8] = [
            b"+OK\r\n",
            b"-ERR no\r\n",
            b":12\r\n",
            b"$-1\r\n",
            b"$5\r\na\r\nbc\r\n",
            b"*-1\r\n",
            b"*2\r\n*1\r\n:1\r\n$0\r\n\r\n",
            b"%1\r\n+a\r\n+b\r\n",
        ];
        for value in values {
            assert_eq!(frame(&[value, b"+next\r\n"].concat()), Frame::Whole(value.len()), "{value:?}");
            for end in 0..value.len() {
                assert_eq!(frame(&value[..end]), Frame::Partial, "{value:?} to {end}");
            }
        }
        assert_eq!(frame(b"GET / HTTP/1.1\r\n"), Frame::Garbage);
        assert_eq!(frame(b"$x\r\n"), Frame::Garbage);
    }

    #[test]
    fn the_words_of_a_command() {
        assert_eq!(words(b"*2\r\n$4\r\nPING\r\n$2\r\n\r\n\r\n"), [&b"PING"[..], b"\r\n"]);
        assert!(words(b"+OK\r\n").is_empty() && words(b"*1\r\n:1\r\n").is_empty());
    }
}
