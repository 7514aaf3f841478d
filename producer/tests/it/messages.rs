//! What people are told who make a mistake: each mistake is made with the real programs, and the whole answer is kept
//! in `snapshots/`, to be read: what was wrong, where, what is allowed, what to do.
//!
//! After a change of words: `INSTA_UPDATE=always cargo test -p tollgate-producer --test it messages`, then read what
//! `git diff` shows. What differs from run to run (ids, times, ports, directories) is replaced by a word.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use tollgate::embedded::Temporary;

use crate::harness::{Cli, Ran};

/// A session: commands and what they answered.
struct Session<'a> {
    cli: &'a Cli,
    dir: tempfile::TempDir,
    text: String,
}

impl<'a> Session<'a> {
    fn new(cli: &'a Cli) -> Self {
        Self { cli, dir: tempfile::tempdir().unwrap(), text: String::new() }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// What is not shown: it must simply work.
    fn quietly(&self, args: &[&str]) {
        self.cli.run(args).exits(0);
    }

    fn run(&mut self, args: &[&str]) {
        self.note(args, &self.cli.run(args));
    }

    fn run_with(&mut self, args: &[&str], stdin: &str) {
        self.note(args, &self.cli.run_with(args, stdin.as_bytes()));
    }

    /// A file of this content, sent.
    fn send(&mut self, name: &str, bytes: &[u8]) {
        let path = self.file(name, bytes);
        self.run(&["enqueue", &path]);
    }

    fn at(&mut self, url: &str, args: &[&str]) {
        let cli = Cli { url: url.to_owned(), namespace: self.cli.namespace.clone() };
        let ran = cli.run(args);
        let _ = writeln!(self.text, "# REDIS_URL={url}");
        self.note(args, &ran);
    }

    fn worker(&mut self, args: &[&str]) {
        let ran = Ran::of(
            self.cli.worker_command(args).stderr(Stdio::piped()).stdout(Stdio::piped()).output().unwrap(),
        );
        let _ = writeln!(self.text, "$ tollgate-worker {}", args.join(" "));
        self.outcome(&ran);
    }

    fn note(&mut self, args: &[&str], ran: &Ran) {
        let words: Vec<String> = args
            .iter()
            .map(|word| {
                if word.contains([' ', '#', '&', '*', '{']) {
                    format!("'{word}'")
                } else {
                    (*word).to_owned()
                }
            })
            .collect();
        let _ = writeln!(self.text, "$ tollgate-producer {}", words.join(" "));
        self.outcome(ran);
    }

    fn outcome(&mut self, ran: &Ran) {
        let _ = writeln!(self.text, "{}{}[exit {}]\n", ran.stdout, ran.stderr, ran.code.unwrap());
    }

    /// The text, to be compared.
    fn plain(self) -> String {
        let mut text = self.text.replace(self.dir.path().to_str().unwrap(), "DIR");
        text = text.replace(env!("CARGO_BIN_EXE_tollgate-producer"), "tollgate-producer");
        text = text.replace(&self.cli.url, "URL");
        text = text.replace(&self.cli.namespace, "NAMESPACE");
        stable(&text)
    }
}

/// Replaces ids and times by words.
fn stable(text: &str) -> String {
    let is_id = |word: &str| {
        let parts: Vec<&str> = word.split('-').collect();
        parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
            && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    };
    let is_time =
        |word: &str| word.len() >= 20 && word.starts_with("20") && word.ends_with('Z') && word.contains('T');
    let mut stable = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.') {
            word.push(c);
            continue;
        }
        let (id, rest) = word.split_at_checked(36).unwrap_or((&word, ""));
        match &word {
            _ if is_id(id) && rest.is_empty() => stable.push_str("ID"),
            _ if is_id(id) && rest.starts_with('.') => stable.push_str("RUN"),
            _ if is_id(id) => stable.push_str(&format!("ID{rest}")),
            // Those that were typed are on the hour.
            time if is_time(time) && !time.ends_with(":00:00Z") => stable.push_str("TIME"),
            other => stable.push_str(other),
        }
        word.clear();
        stable.push(c);
    }
    let lines = stable.lines().map(|line| {
        // How fast it was.
        if let Some(at) = line.find("  in ").filter(|_| line.contains(" a second")) {
            return format!("{}  in SECONDS, RATE a second", &line[..at]);
        }
        // A time whose last digits are zeros is shorter, and what pads its column longer.
        match line.split_once("TIME  ") {
            Some((before, after)) => format!("{before}TIME  {}", after.trim_start()),
            None => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

fn shop(cli: &Cli) {
    cli.run(&["init"]).exits(0);
    cli.run(&["campaign", "create", "summer", "--limit", "2", "--per-customer", "1"]).exits(0);
    cli.run(&["account", "open", "a1", "--balance", "50"]).exits(0);
}

#[test]
fn values() {
    let cli = Cli::new();
    shop(&cli);
    let mut s = Session::new(&cli);
    s.run(&["redeem", "--campaign", "summer"]);
    s.run(&["redeem", "--campaign", "su{m}mer", "--customer", "c1"]);
    s.run(&["redeem", "--campaign", "summer", "--customer", "c1", "--id", "create/x"]);
    s.run(&["redeem", "--campaign", "summer", "--customer", "c1", "--quantity", "1.5"]);
    s.run(&["redeem", "--campaign", "summer", "--customer", "c1", "--in", "5"]);
    s.run(&["redeem", "--campaign", "summer", "--customer", "c1", "--at", "tomorrow"]);
    s.run(&["redeem", "--campaign", "summer", "--customer", "c1", "--at", "2026-12-24T10:00:00+25:00"]);
    s.run(&["redeem", "--campaign", "summer", "--customer", "c1", "--at", "2026-12-24T18Z"]);
    s.run(&["redeem", "--campaign", "summer", "--customer", "c1", "--queue", "a b"]);
    s.run(&["withdraw", "--account", "a1", "--amount", "12.345"]);
    s.run(&["withdraw", "--account", "a1", "--amount", "12,50"]);
    s.run(&["withdraw", "--account", "a1", "--amount", "-1"]);
    s.run(&["withdraw", "--account", "a1", "--amount", "0"]);
    s.run(&["withdraw", "--account", "a1", "--amount", "10", "--currency", "usd"]);
    s.run(&["withdraw", "--account", "a1", "--amount", ""]);
    s.run(&["campaign", "create", "c", "--limit", "many"]);
    s.run(&[
        "campaign",
        "create",
        "c",
        "--limit",
        "1",
        "--opens-at",
        "2026-12-02T00:00:00Z",
        "--closes-at",
        "2026-12-01T00:00:00Z",
    ]);
    s.run(&["init", "--retention", "1s"]);
    s.run(&["init", "--retention", "60d"]);
    s.run(&["init", "--partitions", "7"]);
    s.run(&["lookpu", "x"]);
    s.run(&["--json", "withdraw", "--account", "a1", "--amount", "12.345"]);
    insta::assert_snapshot!("values", s.plain());
}

#[test]
fn files() {
    let cli = Cli::new();
    shop(&cli);
    let mut s = Session::new(&cli);
    let redeem = r#"{"kind":"redeem","campaign":"summer","customer":"c1","quantity":1}"#;
    s.run(&["enqueue", "nowhere.ndjson"]);
    s.run(&["enqueue", "."]);
    s.send("comma", redeem.replace("1}", "1,}").as_bytes());
    s.send("utf16", &redeem.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    s.send("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xabV");
    s.send("csv", (0..14).map(|n| format!("redeem,summer,c{n}\n")).collect::<String>().as_bytes());
    s.send("array", format!("[\n{redeem},\n{redeem}\n]\n").as_bytes());
    s.send("pretty", b"{\n  \"kind\": \"redeem\",\n  \"campaign\": \"summer\"\n}\n");
    s.send(
        "fields",
        concat!(
            r#"{"kind":"redeem","campaign":"summer","custommer":"c1"}"#,
            "\n",
            r#"{"kind":"redeem","campaign":"summer","customer":"c1","customer":"c2"}"#,
            "\n",
            r#"{"kind":"redeem","campaign":"summer","customer":"c1","amount":5}"#,
            "\n",
            r#"{"kind":"withdraw","account":"a1"}"#,
            "\n",
            r#"{"kind":"withdraw","account":"a1","amount":"12.50"}"#,
            "\n",
            r#"{"kind":"withdraw","account":"a1","amount":12.50}"#,
            "\n",
            r#"{"kind":"withdrawal","account":"a1","amount":1250}"#,
            "\n",
            r#"{"kind":"redeem","campaign":"summer","customer":7}"#,
            "\n",
            r#"{"kind":"redeem","campaign":"summer","customer":"c1","at":"soon"}"#,
            "\n",
            r#"{"kind":"account_close","account":"a1"}"#,
            "\n",
            r#"{"v":2,"kind":"redeem","campaign":"summer","customer":"c1"}"#,
            "\n",
        )
        .as_bytes(),
    );
    s.run_with(&["enqueue", "-", "--run", "01a217a3-a5d2-7792-8876-5d876535afc1"], redeem);
    let path = s.file("other", redeem.as_bytes());
    s.run(&["enqueue", &path, "--run", "01a217a3-a5d2-7792-8876-5d876535afc1.0123456789abcdef"]);
    let codes = s.file("codes.txt", b"code\nA-1\n\"A-2\"\n");
    s.run(&["campaign", "create", "coded", "--codes-file", &codes]);
    insta::assert_snapshot!("files", s.plain());
}

#[test]
fn addresses() {
    let cli = Cli::new();
    let mut s = Session::new(&cli);
    for url in [
        "redis://:se#cret@127.0.0.1:1/0",
        "redis://:se/cret@127.0.0.1:1",
        "redis://bob:100%@127.0.0.1:1",
        "redis://:secret",
        "redis://127.0.0.1:1?db=x",
        "redis://127.0.0.1:1?timeout=3s",
        "redis://127.0.0.1:1/0#insecure",
        "127.0.0.1:6379",
        "http://127.0.0.1",
        "redis-cluster://a:7000",
        "redis://a:7000,b:7000",
        "unix://redis.sock",
        "unix:///nowhere/redis.sock",
        "redis://127.0.0.1:1",
    ] {
        s.at(url, &["stats"]);
    }
    s.run(&["stats", "--redis-ca", "nowhere.pem"]);
    s.run(&["stats", "--redis-cert", "nowhere.pem"]);
    insta::assert_snapshot!("addresses", s.plain());
}

#[test]
fn servers() {
    let cli = Cli { namespace: "nobody-made-it".to_owned(), ..Cli::new() };
    let mut s = Session::new(&cli);
    // Not initialised.
    s.run(&["stats"]);
    s.run(&["redeem", "--campaign", "summer", "--customer", "c1", "--id", "x1"]);
    s.worker(&["--claim-idle", "1ms"]);
    s.worker(&["--batch", "1001"]);
    s.worker(&["-q", "mail,0"]);
    s.worker(&["--listen", "example.org:80"]);
    let evicts = Temporary::start(&["--maxmemory-policy", "allkeys-lru", "--maxmemory", "100mb"]).unwrap();
    let unsafe_url = evicts.url();
    s.at(&unsafe_url, &["init"]);
    let text = s.plain().replace(&unsafe_url, "URL-OF-A-CACHE");
    insta::assert_snapshot!("servers", text.replace(&unsafe_url.replace("unix://", ""), "SOCKET"));
}

#[test]
fn refusals() {
    let cli = Cli::new();
    shop(&cli);
    let _worker = cli.worker(&[]);
    let mut s = Session::new(&cli);
    let redeem = |customer: &'static str, id: &'static str| {
        ["redeem", "--campaign", "summer", "--customer", customer, "--id", id, "--wait=60s"]
    };
    // The worker's first beat, so that nobody is told that there is none.
    s.quietly(&redeem("c1", "r1"));
    s.run(&redeem("c1", "r2"));
    s.quietly(&redeem("c2", "r3"));
    s.run(&redeem("c3", "r4"));
    s.run(&redeem("c2", "r1"));
    s.run(&["redeem", "--campaign", "sumer", "--customer", "c1", "--id", "r5", "--wait=60s"]);
    let withdraw = |amount: &'static str, id: &'static str, more: &'static [&'static str]| {
        [&["withdraw", "--account", "a1", "--amount", amount, "--id", id, "--wait=60s"][..], more].concat()
    };
    s.run(&withdraw("500", "w1", &[]));
    s.run(&withdraw("5", "w2", &["--currency", "EUR"]));
    s.run(&["withdraw", "--account", "a2", "--amount", "5", "--id", "w3", "--wait=60s"]);
    s.run(&["campaign", "set-limit", "summer", "1", "--id", "l1"]);
    s.run(&["campaign", "set-limit", "summer", "5", "--expect", "3", "--id", "l2"]);
    s.run(&["campaign", "create", "summer", "--limit", "3"]);
    s.run(&["campaign", "create", "summer", "--limit", "2", "--per-customer", "1"]);
    s.run(&["campaign", "close", "summer", "--id", "k1"]);
    s.run(&["campaign", "close", "summer", "--id", "k2"]);
    s.run(&["campaign", "create", "summer", "--limit", "2", "--per-customer", "1"]);
    s.run(&redeem("c4", "r6"));
    s.run(&["campaign", "show", "sumer"]);
    s.run(&["account", "show", "a11"]);
    s.run(&["account", "deposit", "a9", "5", "--id", "d1"]);
    s.run(&["account", "close", "a1", "--id", "k3"]);
    s.run(&["account", "open", "empty", "--balance", "0"]);
    s.run(&["account", "close", "empty", "--id", "k4"]);
    s.run(&["account", "open", "empty", "--balance", "0"]);
    s.run(&["lookup", "nobody"]);
    s.run(&["dead", "show", "nobody"]);
    s.run(&["dead", "retry", "nobody"]);
    s.run(&["payout", "show", "nobody"]);
    s.run(&["queue", "pause", "defualt"]);
    insta::assert_snapshot!("refusals", s.plain());
}

#[test]
fn nobody_working() {
    let cli = Cli::new();
    shop(&cli);
    let mut s = Session::new(&cli);
    let redeem =
        |id: &'static str| ["redeem", "--campaign", "summer", "--customer", "c1", "--id", id, "--wait=50ms"];
    s.run(&redeem("n1"));
    s.quietly(&["queue", "pause", "default"]);
    s.run(&redeem("n2"));
    s.run(&["--quiet", "redeem", "--campaign", "summer", "--customer", "c1", "--id", "n3"]);
    s.run_with(&["enqueue", "--queue-max", "3", "--overload-wait", "0s", "--run-log", "/dev/null/x"], "");
    insta::assert_snapshot!("nobody_working", s.plain());
}

#[test]
fn cancelling() {
    let cli = Cli::new();
    shop(&cli);
    let worker = cli.worker(&[]);
    let mut s = Session::new(&cli);
    s.quietly(&["redeem", "--campaign", "summer", "--customer", "c1", "--id", "r1", "--wait=60s"]);
    s.run(&[
        "redeem",
        "--campaign",
        "summer",
        "--customer",
        "c2",
        "--id",
        "r2",
        "--at",
        "2026-12-24T18:00:00Z",
    ]);
    cli.run(&["redeem", "--campaign", "sumer", "--customer", "c1", "--id", "d1", "--wait=60s"]).complains(1);
    crate::pipes::until("the job to be scheduled", || {
        cli.run(&["--json", "job", "scheduled"]).json().as_array().unwrap().len() == 1
    });
    s.run(&["job", "scheduled"]);
    s.run(&["--by", "ann", "job", "cancel", "r2"]);
    s.run(&["job", "cancel", "r2"]);
    s.run(&["redeem", "--campaign", "summer", "--customer", "c2", "--id", "r2", "--wait=60s"]);
    s.run(&["lookup", "r2"]);
    for id in ["r1", "d1", "nobody"] {
        s.run(&["job", "cancel", id]);
    }
    drop(worker);
    s.run(&["job", "history", "r2"]);
    insta::assert_snapshot!("cancelling", s.plain());
}

/// A server that says one thing to whoever connects and hangs up, as Redis does when it is full.
fn says_and_hangs_up(words: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.write_all(words.as_bytes());
            // Closing with unread bytes is a reset, by which what was written is lost: the case of the report.
            drop(stream);
        }
    });
    url
}

/// Whatever wins the race between our greeting and the server's last words.
#[test]
fn a_server_that_refuses_connections_is_told_by_name() {
    let cli = |url: String| Cli { url, namespace: "n".to_owned() };
    for (words, said) in [
        ("-ERR max number of clients reached\r\n", "no_link"),
        (
            "-DENIED Redis is running in protected mode because protected mode is enabled\r\n",
            "protected_mode",
        ),
    ] {
        let cli = cli(says_and_hangs_up(words));
        for _ in 0..20 {
            let ran = cli.run(&["stats"]);
            assert!(ran.complains(3).contains(said), "{ran:?}");
            assert!(!ran.stderr.contains("is Redis running"), "{ran:?}");
        }
    }
}

#[test]
fn tls_on_one_side_only_is_told_by_name() {
    let plain = Temporary::start(&["--port", &free_port()]).unwrap();
    let port = config(&plain, "port");
    let cli = Cli { url: format!("rediss://127.0.0.1:{port}"), namespace: "n".to_owned() };
    let ran = cli.run(&["stats"]);
    assert!(ran.complains(3).contains("does not speak TLS at this port: use redis://"), "{ran:?}");

    let dir = tempfile::tempdir().unwrap();
    let certificates = certificates(dir.path());
    let port = free_port();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let server = Temporary::start(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &file("server.pem"),
        "--tls-key-file",
        &file("server.key"),
        "--tls-ca-cert-file",
        &file("ca.pem"),
        "--tls-auth-clients",
        "yes",
    ]);
    let (true, Ok(_server)) = (certificates, server) else {
        let _ = writeln!(std::io::stderr(), "skipped: openssl, or a redis-server with TLS, is missing");
        return;
    };
    let at = |scheme: &str| Cli { url: format!("{scheme}://127.0.0.1:{port}"), namespace: "n".to_owned() };
    let ran = at("redis").run(&["stats"]);
    assert!(ran.complains(3).contains("speaks TLS at this port: use rediss://"), "{ran:?}");
    let with = |names: &[(&str, &str)]| {
        let args: Vec<String> =
            names.iter().flat_map(|(flag, name)| [format!("--redis-{flag}"), file(name)]).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).chain(["init"]).collect();
        at("rediss").run(&args)
    };
    let ran = with(&[("ca", "other.pem")]);
    assert!(ran.complains(3).contains("not trusted here: give it as --redis-ca"), "{ran:?}");
    let ran = with(&[("ca", "ca.pem")]);
    assert!(ran.complains(3).contains("--redis-cert and --redis-key"), "{ran:?}");
    with(&[("ca", "ca.pem"), ("cert", "server.pem"), ("key", "server.key")]).exits(0);
    let ran = with(&[("ca", "ca.pem"), ("cert", "server.key"), ("key", "server.key")]);
    assert!(ran.complains(2).contains("no certificate in it"), "{ran:?}");
}

fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

fn config(server: &Temporary, name: &str) -> String {
    let cli = Cli { url: server.url(), namespace: "n".to_owned() };
    cli.redis(&["CONFIG", "GET", name]).lines().nth(1).unwrap().to_owned()
}

/// An authority, another one, and a certificate of the first; `false` without openssl.
fn certificates(dir: &Path) -> bool {
    let openssl = |words: &str| {
        let status =
            Command::new("openssl").args(words.split(' ')).current_dir(dir).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    fs::write(dir.join("names"), "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
        .unwrap();
    let authority = |name: &str| {
        openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"
        ))
    };
    authority("ca")
        && authority("other")
        && openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=server -keyout server.key -out server.csr",
        )
        && openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
        )
}

#[test]
fn few_files_are_said_rather_than_panicked_about() {
    let cli = Cli::new();
    for files in ["7", "9", "20"] {
        let mut command = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_tollgate-producer");
        command.args(["-c", &format!("ulimit -n {files}; exec {program} stats")]);
        command.env("REDIS_URL", &cli.url).stdin(Stdio::null());
        let ran = Ran::of(command.output().unwrap());
        assert!(ran.complains(1).contains("raise the limit (`ulimit -n`"), "{ran:?}");
    }
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = Cli::new().run(&["completions", shell]);
        assert!(ran.exits(0).contains("set-limit") && ran.stdout.contains("tollgate-producer"), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    /// The lines of a page as they are read, without what only formats them.
    fn page(dir: &Path, name: &str) -> String {
        std::fs::read_to_string(dir.join(name)).unwrap().replace('\\', "")
    }
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man1");
    Cli::new().run(&["man", pages.to_str().unwrap()]).exits(0);
    let help = Cli::new().run(&["--help"]);
    let commands = help.exits(0).lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<&str> = commands
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() > 15 && commands.contains(&"man"), "{commands:?}");
    for command in commands.iter().filter(|name| **name != "help") {
        assert!(page(&pages, &format!("tollgate-producer-{command}.1")).contains("NAME"), "{command}");
    }
    let create = page(&pages, "tollgate-producer-campaign-create.1");
    assert!(
        create.contains("--per-customer") && create.contains("How many one customer may have"),
        "{create}"
    );

    let mut worker = Cli::new().worker_command(&["--man", pages.to_str().unwrap()]);
    assert!(worker.status().unwrap().success());
    assert!(page(&pages, "tollgate-worker.1").contains("--claim-idle"));
    let file = pages.join("tollgate-worker.1/x");
    Cli::new().run(&["man", file.to_str().unwrap()]).complains(1);
}

#[test]
fn under_json_stderr_is_json_too() {
    let cli = Cli { namespace: "nobody-made-it".to_owned(), ..Cli::new() };
    let mut child = cli.command(&["--json", "stats"]).spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let lines: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["level"] == "error"), "{said}");
    let wrong = cli.command(&["--json", "nonsense"]).output().unwrap();
    let line: serde_json::Value = serde_json::from_slice(&wrong.stderr).unwrap();
    assert!(wrong.status.code() == Some(2) && line["level"] == "error", "{line}");
}
