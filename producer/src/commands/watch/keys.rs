//! The keyboard: which bytes end the view, and the end of the terminal itself.
//!
//! Read plainly, since the end is what matters: a reader of events may wait for a whole one for ever while the
//! terminal that would complete it is gone, at the cost of a whole core.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::sync::mpsc::Sender;
use std::time::Duration;

use super::News;

/// The pause where a terminal was set not to block and has nothing to say.
const PAUSE: Duration = Duration::from_millis(50);

/// Reads keys until one of them, or the end of the terminal, says to stop.
pub(super) fn read_on(news: &Sender<News>) {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        wait_for_stop(stdin.lock());
    } else if let Ok(terminal) = File::open("/dev/tty") {
        // Stdin is something else; the keys are on the terminal all the same.
        wait_for_stop(terminal);
    } else {
        // No keys at all: signals and the drawing say when it is over.
        return;
    }
    // The view may be gone already.
    let _ = news.send(News::Stop);
}

fn wait_for_stop(mut terminal: impl Read) {
    let mut bytes = [0; 64];
    loop {
        match terminal.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
            // EOF, or EIO: hung up.
            Ok(0) | Err(_) => return,
            Ok(count) if is_stop(&bytes[..count]) => return,
            Ok(_) => {}
        }
    }
}

/// Whether these bytes end the view: q, Ctrl-C, or Escape alone (an arrow key begins with the same byte).
fn is_stop(bytes: &[u8]) -> bool {
    const ESCAPE: u8 = 0x1b;
    const CTRL_C: u8 = 0x03;
    bytes == [ESCAPE]
        || (bytes[0] != ESCAPE && bytes.iter().any(|byte| matches!(byte, b'q' | b'Q' | &CTRL_C)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_that_means_it_ends_the_view() {
        for stop in [&b"q"[..], b"Q", b"\x03", b"\x1b", b"xq"] {
            assert!(is_stop(stop), "{stop:?}");
        }
        for other in [&b"x"[..], b"\x1b[A", b"\x1bOq", b" "] {
            assert!(!is_stop(other), "{other:?}");
        }
    }

    #[test]
    fn the_end_of_the_terminal_is_the_end() {
        wait_for_stop(io::empty());
        wait_for_stop(&b"abc"[..]);
    }
}
