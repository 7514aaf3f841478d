//! The sandbox bank, as a process of its own.
//!
//! Relies on `tollgate-chaos` beside our own binary; the bank forces each payout to its file before it answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use tollgate_testkit::process::Running;

use crate::process::binary;

/// How long it may take to open.
const OPENS_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A bank that does as it is told; killed when dropped.
pub(crate) struct Bank {
    url: String,
    process: Running,
}

impl Bank {
    /// Opens one whose answers take this long; its files are in `dir`.
    pub(crate) fn open(dir: &Path, latency: Duration) -> Result<Self> {
        let address = dir.join("bank.address");
        let log = std::fs::File::create(dir.join("bank.log"))?;
        let mut command = Command::new(binary("tollgate-chaos")?);
        command
            .args(["bank", "--latency", &format!("{}ms", latency.as_millis())])
            .arg("--ledger")
            .arg(dir.join("bank.ndjson"))
            .arg("--address-file")
            .arg(&address)
            .env_remove(tollgate::env::TOLLGATE_BANK_TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let mut bank = Self { url: String::new(), process: Running::spawn(&mut command)? };
        let begun = Instant::now();
        while bank.url.is_empty() {
            let said = std::fs::read_to_string(&address).unwrap_or_default();
            if !said.is_empty() {
                bank.url = format!("http://{said}");
            }
            ensure!(bank.process.try_wait()?.is_none(), "the bank did not open");
            ensure!(begun.elapsed() < OPENS_WITHIN, "the bank does not open");
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(bank)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Payouts per second that it makes for whoever does nothing but ask: so many connections, so many payouts on each.
    pub(crate) fn alone(&self, connections: u64, each: u64) -> Result<f64> {
        let address = self.url.trim_start_matches("http://");
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let clients: Vec<_> =
                (0..connections).map(|client| scope.spawn(move || ask(address, client, each))).collect();
            clients.into_iter().try_for_each(|client| {
                client.join().map_err(|_| anyhow::anyhow!("a client of the bank panicked"))?
            })
        })?;
        Ok((connections * each) as f64 / begun.elapsed().as_secs_f64())
    }
}

/// Asks for so many payouts over one connection, one after the other.
fn ask(address: &str, client: u64, payouts: u64) -> Result<()> {
    let mut answers = BufReader::new(TcpStream::connect(address)?);
    for payout in 0..payouts {
        let id = format!("alone-{client}-{payout}");
        let body = format!(r#"{{"id":"{id}","account":"a","amount":1,"currency":"USD","destination":"d"}}"#);
        let length = body.len();
        let request = format!(
            "POST /payouts HTTP/1.1\r\nHost: {address}\r\nIdempotency-Key: {id}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        answers.get_mut().write_all(request.as_bytes())?;
        read_answer(&mut answers)?;
    }
    Ok(())
}

/// Reads one answer to its end; it must be 201, and say how long it is.
fn read_answer(answers: &mut impl BufRead) -> Result<()> {
    let (mut head, mut length) = (String::new(), None);
    loop {
        let mut line = String::new();
        answers.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if head.is_empty() {
            head = line.to_owned();
        }
        if let Some((_, value)) =
            line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        {
            length = Some(value.trim().parse::<u64>()?);
        }
    }
    ensure!(head.starts_with("HTTP/1.1 201"), "the bank answers {head:?}");
    std::io::copy(
        &mut answers.take(length.context("the bank does not say how long its answer is")?),
        &mut std::io::sink(),
    )?;
    Ok(())
}
