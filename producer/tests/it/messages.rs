//! What people are told who make a mistake: each mistake is made with the real programs, and the whole answer is kept
//! in `snapshots/`, to be read: what was wrong, where, what is allowed, what to do.
//!
//! After a change of words: `INSTA_UPDATE=always cargo test -p tollgate-producer --test it messages`, then read what
//! `git diff` shows. What differs from run to run (ids, times, ports, directories) is replaced by a word.

mod session;

use tollgate::embedded::Temporary;

use crate::harness::Cli;
use session::Session;

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
    s.run(&["account", "deposit", "a1", "90071992547409.92"]);
    s.run(&["account", "open", "a2", "--balance", "-1"]);
    s.run(&["purchase", "--inventory", "hall", "--customer", "c1", "--item", "floor= 1"]);
    s.run(&["reserve", "--inventory", "hall", "--customer", "c1", "--item", "floor", "--hold-for", "91d"]);
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
    s.run(&["campaign", "create", "c"]);
    s.run(&["case", "amend", "loan-7"]);
    s.run(&["dead", "retry"]);
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
            r#"{"kind":"redeem","campaign":"summer","customer":"e\ud800"}"#,
            "\n",
            r#"{"kind":"purchase","inventory":"hall","customer":"c1","lines":[]}"#,
            "\n",
            r#"{"kind":"purchase","inventory":"hall","customer":"c1","lines":[{"item":"floor","qty":1}]}"#,
            "\n",
        )
        .as_bytes(),
    );
    s.send("long", &vec![b' '; 70_000].into_iter().chain(*b"x").collect::<Vec<u8>>());
    s.run_with(&["enqueue", "-", "--run", "01a217a3-a5d2-7792-8876-5d876535afc1"], redeem);
    let path = s.file("other", redeem.as_bytes());
    s.run(&["enqueue", &path, "--run", "01a217a3-a5d2-7792-8876-5d876535afc1.0123456789abcdef"]);
    let codes = s.file("codes.txt", b"code\nA-1\n\"A-2\"\n");
    s.run(&["campaign", "create", "coded", "--codes-file", &codes]);
    let header = "item,quantity,per_customer\n";
    for (name, text) in [
        ("semicolon.csv", "item;quantity\n".to_owned()),
        ("comma.csv", format!("{header}a,b,1,2\n")),
        ("zero.csv", format!("{header}A-1,01\n")),
        ("blank.csv", format!("{header}\nA-1,1\n")),
        ("field.ndjson", r#"{"item":"A-1","quantiy":1}"#.to_owned()),
        ("twice.ndjson", r#"{"item":"A-1","quantity":1,"quantity":1}"#.to_owned()),
        ("less.ndjson", r#"{"item":"A-1"}"#.to_owned()),
        ("broken.ndjson", r#"{"item":"A-1","quantity":1,}"#.to_owned()),
    ] {
        let path = s.file(name, text.as_bytes());
        s.run(&["inventory", "load", "hall", "--items-file", &path]);
    }
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
    s.run(&["stats", "--redis-cert", "nowhere.pem", "--redis-key", "nowhere.pem"]);
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
    crate::harness::until_so("the job to be scheduled", || {
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
