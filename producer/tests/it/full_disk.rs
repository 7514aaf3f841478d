//! A Redis that cannot save and refuses writes (MISCONF), as with a full disk: whoever reads goes on, whoever writes
//! is told, and work resumes by itself.

use tollgate::embedded::Temporary;

use crate::harness::{Cli, SOON};

#[test]
fn reads_go_on_and_writes_are_told() {
    let redis = Temporary::start(&["--save", "3600 1000000", "--enable-protected-configs", "yes"]).unwrap();
    let cli = Cli::on(&redis);
    cli.run(&["init"]).exits(0);
    cli.run(&["account", "open", "a", "--balance", "5"]).exits(0);
    cli.run(&["campaign", "create", "c", "--limit", "5"]).exits(0);
    cli.run(&["redeem", "--campaign", "c", "--customer", "x", "--id", "r1"]).exits(0);

    // The directory that it saves into is gone.
    let gone = tempfile::tempdir().unwrap();
    cli.redis(&["CONFIG", "SET", "dir", gone.path().to_str().unwrap()]);
    drop(gone);
    cli.redis(&["BGSAVE"]);
    let begun = std::time::Instant::now();
    while !cli.redis(&["INFO", "persistence"]).contains("rdb_last_bgsave_status:err") {
        assert!(begun.elapsed() < SOON);
    }

    for args in [
        &["stats"][..],
        &["account", "show", "a"],
        &["account", "ls"],
        &["campaign", "ls"],
        &["dead", "ls"],
        &["queue", "ls"],
        &["worker", "ls"],
        &["payout", "ls"],
        &["journal", "export"],
        &["lookup", "create/account/a"],
        &["audit"],
    ] {
        cli.run(args).exits(0);
    }
    for args in [
        &["account", "deposit", "a", "1", "--id", "d1"][..],
        &["redeem", "--campaign", "c", "--customer", "x", "--id", "r2"],
        &["queue", "pause", "default"],
    ] {
        let ran = cli.run(args);
        assert!(ran.complains(1).contains("look at its disk"), "{ran:?}");
    }
    // A worker that starts now waits, and goes on by itself.
    let _worker = cli.worker(&[]);
    cli.redis(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
    let redeem = ["redeem", "--campaign", "c", "--customer", "x", "--id", "r2", "--wait=30s"];
    cli.run(&redeem).exits(0);
    cli.run(&["account", "deposit", "a", "1", "--id", "d1"]).exits(0);
}
