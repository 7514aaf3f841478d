//! `burst`: the same load every time, with its resources and its repetitions.

use serde_json::json;

use rustix::process::{Pid, Signal, kill_process};
use tollgate::ids::QueueName;

use crate::harness::{Cli, Ran, drain, opened, redis, until};

#[tokio::test]
async fn a_burst_repeated_has_no_second_effect() {
    let cli = Cli::new();
    let redeem = ["--json", "burst", "redeem", "--jobs", "3000", "--resources", "3", "--customers", "40"];
    let burst = || cli.run(&[&redeem[..], &["--duplicates", "5%", "--seed", "7"]].concat());
    let first = burst();
    first.exits(0);
    let first = first.json();
    let duplicates = first["duplicates"].as_u64().unwrap();
    assert!((90..220).contains(&duplicates), "{first}");
    assert_eq!(first["accepted"], 3_000 + 3 + duplicates);
    let (tollgate, mut link) = opened(&cli).await;
    assert_eq!(drain(&tollgate, &mut link).await, 3_000 + duplicates);
    let issued = || {
        let campaigns = cli.run(&["campaign", "ls", "--json"]).json();
        let campaigns = campaigns.as_array().unwrap().clone();
        assert_eq!(campaigns.len(), 3);
        campaigns.iter().map(|campaign| campaign["issued"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(issued(), 1_500, "half of it is issued by default");
    let again = burst().json();
    assert_eq!((&again["name"], &again["accepted"]), (&first["name"], &first["accepted"]));
    drain(&tollgate, &mut link).await;
    assert_eq!(issued(), 1_500);
    let stats = cli.run(&["stats", "--json"]).json();
    assert_eq!(stats["replayed"], 3 + duplicates + 3_000 + duplicates, "{stats}");
}

#[tokio::test]
async fn withdrawals_at_a_rate_take_their_time_and_their_money() {
    let cli = Cli::new();
    let args = ["--json", "burst", "withdraw", "--jobs", "100", "--resources", "5", "--customers", "1"];
    let ran = cli.run(&[&args[..], &["--rate", "500/s", "--balance", "1000", "--seed", "1"]].concat());
    ran.exits(0);
    assert!(ran.json()["elapsed_ms"].as_u64().unwrap() >= 195, "{ran:?}");
    let (tollgate, mut link) = opened(&cli).await;
    drain(&tollgate, &mut link).await;
    let accounts = cli.run(&["account", "ls", "--json"]).json();
    let left: u64 = accounts.as_array().unwrap().iter().map(|a| a["available"].as_u64().unwrap()).sum();
    let spent: u64 = cli
        .run(&["journal", "export", "--json"])
        .exits(0)
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line["code"] == json!("withdrawn"))
        .map(|line| line["amount"].as_u64().unwrap())
        .sum();
    assert_eq!(left + spent, 5 * 100_000);
}

#[test]
fn wrong_numbers_are_refused_at_the_door() {
    let cli = Cli { url: "redis://127.0.0.1:1".to_owned(), namespace: "n".to_owned() };
    for (args, said) in [
        (&["--jobs", "0"][..], "must be a whole number from 1"),
        (&["--jobs", "-5"], "must be a whole number from 1"),
        (&["--jobs", "1", "--resources", "0"], "must be a whole number from 1"),
        (&["--jobs", "1", "--customers", "1.5"], "must be a whole number from 1"),
        (&["--jobs", "1", "--duplicates", "101%"], "must be from 0% to 100%"),
        (&["--jobs", "1", "--duplicates", "-1%"], "must be from 0% to 100%"),
        (&["--jobs", "1", "--rate", "0"], "must be a number of jobs a second"),
        (&["--jobs", "1", "--seed", "x"], "--seed"),
        (&[], "--jobs"),
    ] {
        for kind in ["redeem", "withdraw"] {
            let ran = cli.run(&[&["burst", kind], args].concat());
            assert!(ran.complains(2).contains(said), "{args:?}: {ran:?}");
        }
    }
}

/// What was sent, in the time that it took: not what was to be sent.
#[tokio::test]
async fn an_interrupted_burst_tells_the_rate_that_it_had() {
    let cli = Cli::new();
    let (tollgate, mut link) = opened(&cli).await;
    let stream = tollgate.keys(tollgate.partitions().iter().next().unwrap()).queue(&QueueName::default());
    let jobs = 5_000_000;
    let mut burst = cli.command(&["burst", "redeem", "--jobs", &jobs.to_string(), "--seed", "3"]);
    let child = burst.spawn().unwrap();
    until("some of it to arrive", async || {
        let length = redis(&mut link, &["XLEN", &stream]).await;
        matches!(length, ::redis::Value::Int(length) if length > 20_000).then_some(())
    })
    .await;
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    let number = |text: &str| text.replace(',', "").parse::<f64>().unwrap();
    // `  in 1.2 s, 28,000 a second`
    let words: Vec<&str> = ran.stdout.lines().last().unwrap().split_whitespace().collect();
    let (seconds, rate) = (number(words[1]), number(words[3]));
    let ::redis::Value::Int(arrived) = redis(&mut link, &["XLEN", &stream]).await else { panic!() };
    assert!(arrived < jobs, "it was interrupted: {ran:?}");
    // The seconds are told to a tenth.
    let (least, most) = ((arrived as f64) / (seconds + 0.06), (arrived as f64) / (seconds - 0.06).max(0.01));
    assert!((least * 0.99..=most * 1.01).contains(&rate), "{arrived} arrived: {ran:?}");
    assert!(ran.stderr.contains("stopped: "), "{ran:?}");
}
