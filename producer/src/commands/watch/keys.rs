//! The keyboard: what each key asks for, and the end of the terminal itself.
//!
//! Read plainly, since the end is what matters: a reader of events may wait for a whole one for ever while the
//! terminal that would complete it is gone, at the cost of a whole core.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::time::Duration;

/// The pause where a terminal was set not to block and has nothing to say.
const PAUSE: Duration = Duration::from_millis(50);

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// q, Ctrl-C, or Escape alone.
    Quit,
    /// p or a space: the numbers stand still, or go on.
    Pause,
    /// s: the next order of campaigns and accounts.
    Sort,
    /// Tab or an arrow: the next table first.
    Next,
    /// The same backwards.
    Previous,
    /// A digit: that table first.
    Table(usize),
}

/// Reads keys until one of them, or the end of the terminal, says to stop; or until nobody wants them: `pressed` tells.
pub(super) fn read_on(mut pressed: impl FnMut(Key) -> bool) {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        read_from(stdin.lock(), &mut pressed);
    } else if let Ok(terminal) = File::open("/dev/tty") {
        // Stdin is something else; the keys are on the terminal all the same.
        read_from(terminal, &mut pressed);
    } else {
        // No keys at all: signals and the drawing say when it is over.
        return;
    }
    // The view may be gone already.
    pressed(Key::Quit);
}

fn read_from(mut terminal: impl Read, pressed: &mut impl FnMut(Key) -> bool) {
    let mut bytes = [0; 64];
    loop {
        match terminal.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
            // EOF, or EIO: hung up.
            Ok(0) | Err(_) => return,
            Ok(count) => {
                for key in keys(&bytes[..count]) {
                    if key == Key::Quit || !pressed(key) {
                        return;
                    }
                }
            }
        }
    }
}

/// The keys of what was read at once. A key that is a sequence (an arrow) arrives whole and begins with Escape's byte:
/// Escape itself comes alone.
fn keys(bytes: &[u8]) -> Vec<Key> {
    const ESCAPE: u8 = 0x1b;
    match bytes {
        [ESCAPE] => vec![Key::Quit],
        [ESCAPE, b'[' | b'O', b'B' | b'C'] => vec![Key::Next],
        [ESCAPE, b'[' | b'O', b'A' | b'D' | b'Z'] => vec![Key::Previous],
        [ESCAPE, ..] => Vec::new(),
        typed => typed.iter().filter_map(|byte| key(*byte)).collect(),
    }
}

fn key(byte: u8) -> Option<Key> {
    const CTRL_C: u8 = 0x03;
    Some(match byte {
        b'q' | b'Q' | CTRL_C => Key::Quit,
        b'p' | b'P' | b' ' => Key::Pause,
        b's' | b'S' => Key::Sort,
        b'\t' => Key::Next,
        b'1'..=b'9' => Key::Table(usize::from(byte - b'1')),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_asks_for_one_thing() {
        for (bytes, asked) in [
            (&b"q"[..], vec![Key::Quit]),
            (b"Q", vec![Key::Quit]),
            (b"\x03", vec![Key::Quit]),
            (b"\x1b", vec![Key::Quit]),
            (b"xq", vec![Key::Quit]),
            (b"p", vec![Key::Pause]),
            (b"sp", vec![Key::Sort, Key::Pause]),
            (b"\t", vec![Key::Next]),
            (b"\x1b[B", vec![Key::Next]),
            (b"\x1bOC", vec![Key::Next]),
            (b"\x1b[Z", vec![Key::Previous]),
            (b"3", vec![Key::Table(2)]),
            (b"x", vec![]),
            (b"0", vec![]),
            (b"\x1b[5~", vec![]),
            (b"\x1bOq", vec![]),
        ] {
            assert_eq!(keys(bytes), asked, "{bytes:?}");
        }
    }

    #[test]
    fn the_end_of_the_terminal_is_the_end() {
        let mut heard = Vec::new();
        let mut pressed = |key| {
            heard.push(key);
            true
        };
        read_from(io::empty(), &mut pressed);
        read_from(&b"abc"[..], &mut pressed);
        read_from(&b"pq"[..], &mut pressed);
        assert_eq!(heard, [Key::Pause]);
    }
}
