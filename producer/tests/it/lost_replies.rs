//! Answers that do not arrive: what was sent may have happened, so it is sent again under the same ids, or told
//! as unknown; never as not applied.

use serde_json::json;

use crate::harness::{Cli, drain, opened};
use crate::proxy::{Loss, Proxy};

fn jobs(count: usize) -> String {
    (0..count)
        .map(|n| format!("{{\"kind\":\"redeem\",\"campaign\":\"c\",\"customer\":\"x{n}\"}}\n"))
        .collect()
}

#[tokio::test]
async fn what_lost_its_answer_is_sent_again_and_has_one_effect() {
    let cli = Cli::new();
    cli.run(&["campaign", "create", "c", "--limit", "1000000"]).exits(0);
    let lossy = Proxy::new(&cli.url, "XADD", Loss::Break(3));
    let through = Cli { url: lossy.url(), namespace: cli.namespace.clone() };
    let ran = through.run_with(&["--json", "enqueue"], jobs(2_500).as_bytes());
    ran.exits(0);
    assert_eq!(lossy.lost(), 3);
    assert_eq!((&ran.json()["accepted"], &ran.json()["unknown"]), (&json!(2_500), &json!(0)));
    let (tollgate, mut link) = opened(&cli).await;
    assert!(drain(&tollgate, &mut link).await > 2_500, "nothing arrived twice, so nothing was shown");
    assert_eq!(cli.run(&["--json", "campaign", "show", "c"]).json()["issued"], 2_500);
}

#[tokio::test]
async fn what_never_gets_an_answer_is_unknown() {
    let cli = Cli::new();
    cli.run(&["campaign", "create", "c", "--limit", "1"]).exits(0);
    let lossy = Proxy::new(&cli.url, "XADD", Loss::Break(u32::MAX));
    let through = Cli { url: lossy.url(), namespace: cli.namespace.clone() };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jobs");
    std::fs::write(&file, jobs(1_500)).unwrap();
    let ran = through.run(&["--json", "enqueue", file.to_str().unwrap(), "--overload-wait", "100ms"]);
    ran.exits(4);
    let end = ran.json();
    // The first pipeline was on its way, a thousand or what could be read until it was due; the rest was never sent.
    let [unknown, not_applied] = ["unknown", "not_applied"].map(|name| end[name].as_u64().unwrap());
    assert!((1..=1_000).contains(&unknown), "{end}");
    assert_eq!((&end["accepted"], unknown + not_applied), (&json!(0), 1_500), "{end}");
    assert!(ran.stderr.contains("hint: repeat the same file with `--run "), "{ran:?}");
    let single = ["redeem", "--campaign", "c", "--customer", "x", "--id", "r1"];
    assert!(through.run(&single).complains(4).contains("it may have been sent"));
    let (tollgate, mut link) = opened(&cli).await;
    assert!(drain(&tollgate, &mut link).await > 0);
    assert_eq!(cli.run(&["lookup", "r1", "--json"]).json()["code"], "campaign_limit_reached");
}

#[tokio::test]
async fn an_operation_that_lost_its_answer_is_settled_once() {
    let cli = Cli::new();
    cli.run(&["account", "open", "a", "--balance", "0"]).exits(0);
    let lossy = Proxy::new(&cli.url, "deposit", Loss::Break(2));
    let through = Cli { url: lossy.url(), namespace: cli.namespace.clone() };
    let deposit = through.run(&["--json", "account", "deposit", "a", "5"]);
    deposit.exits(0);
    assert_eq!((&deposit.json()["code"], &deposit.json()["replayed"]), (&json!("deposited"), &json!(true)));
    assert_eq!(lossy.lost(), 2);
    lossy.lose_again(2);
    let lines = "{\"kind\":\"deposit\",\"id\":\"d\",\"account\":\"a\",\"amount\":7}";
    through.run_with(&["enqueue"], lines.as_bytes()).exits(0);
    assert_eq!(cli.run(&["--json", "account", "show", "a"]).json()["available"], 507);
}
