//! The sandbox bank as a process: callers that hang up, and a bank that is told to close.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tollgate_testkit::process::{Running, Signal};
use tollgate_testkit::wait::{SOON, until_so};

/// A bank, killed when dropped.
struct Bank {
    process: Running,
    address: String,
}

impl Bank {
    fn open(dir: &Path, args: &[&str]) -> Self {
        let (ledger, address) = (dir.join("ledger"), dir.join("address"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-chaos"));
        command.arg("bank").arg("--ledger").arg(ledger).arg("--address-file").arg(&address).args(args);
        let process = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
        let mut bank = Self { process, address: String::new() };
        until_so("the bank to open", || {
            bank.address = std::fs::read_to_string(&address).unwrap_or_default();
            !bank.address.is_empty()
        });
        bank
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    /// Asks to pay under `key`; the answer is not read.
    fn ask_to_pay(&self, key: &str) -> TcpStream {
        let body = r#"{"id":"p","account":"a","amount":1,"currency":"USD","destination":"d"}"#;
        let mut stream = self.connect();
        write!(
            stream,
            "POST /payouts HTTP/1.1\r\nHost: bank\r\nIdempotency-Key: {key}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        stream
    }

    /// The status of the answer to the question what became of `key`.
    fn status(&self, key: &str) -> u16 {
        let mut stream = self.connect();
        write!(stream, "GET /payouts/{key} HTTP/1.1\r\nHost: bank\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

#[test]
fn a_caller_that_hangs_up_leaves_no_key_half_done() {
    let dir = tempfile::tempdir().unwrap();
    let bank = Bank::open(dir.path(), &[]);
    for number in 0..300 {
        let stream = bank.ask_to_pay(&format!("key-{number}"));
        // Some go at once, some a little later, so that every step is met.
        std::thread::sleep(Duration::from_micros(number * 7));
        stream.shutdown(Shutdown::Both).unwrap();
    }
    for number in 0..300 {
        let key = format!("key-{number}");
        // Never begun, or paid: accepted only while it is on its way.
        until_so(&format!("{key} to be finished"), || matches!(bank.status(&key), 200 | 404));
    }
}

#[test]
fn a_bank_that_closes_keeps_its_promises_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut bank = Bank::open(dir.path(), &["--accept", "100%", "--later", "300ms"]);
    let _waits = bank.ask_to_pay("key");
    until_so("the promise", || bank.status("key") == 202);
    bank.process.signal(Signal::TERM).unwrap();
    assert!(bank.process.wait().unwrap().success());
    let ledger = std::fs::read_to_string(dir.path().join("ledger")).unwrap();
    assert_eq!(ledger.lines().count(), 1, "{ledger}");
}

#[test]
fn a_bank_that_others_can_reach_has_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-chaos"));
    command.args(["bank", "--listen", "0.0.0.0:0", "--ledger"]).arg(dir.path().join("ledger"));
    let refused = command.env_remove("TOLLGATE_BANK_TOKEN").output().unwrap();
    assert!(!refused.status.success());
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("needs --token"), "{words}");

    let token = dir.path().join("token");
    std::fs::write(&token, "secret\n").unwrap();
    let bank = Bank::open(dir.path(), &["--listen", "0.0.0.0:0", "--token-file", token.to_str().unwrap()]);
    assert_eq!(bank.status("key"), 401);
}
