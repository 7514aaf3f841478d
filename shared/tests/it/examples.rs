//! The examples do what their first lines say, as a user runs them: as programs, on a server of their own.

use std::process::Command;

use tollgate::embedded::Temporary;

fn run(redis: &Temporary, example: &str) -> String {
    // Beside the folder of this test's own binary; cargo builds them with it.
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().with_file_name("examples").join(example);
    let output = Command::new(&program).env("REDIS_URL", redis.url()).output();
    let output = output.unwrap_or_else(|error| {
        panic!(
            "{}: {error}; `cargo build -p tollgate --examples --all-features` builds it",
            program.display()
        )
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn five_want_three_and_asking_again_changes_nothing() {
    let redis = Temporary::start(&[]).unwrap();
    let first = run(&redis, "redeem");
    assert_eq!(
        first,
        "ada: redeemed\nben: redeemed\ncleo: redeemed\ndan: campaign_limit_reached\neve: campaign_limit_reached\n\
         3 of 3 issued\nwhat is known of eve's order: refused campaign_limit_reached\n"
    );
    let second = run(&redis, "redeem");
    assert_eq!(second.replace(" (decided before)", ""), first);
}

#[test]
fn a_cart_keeps_its_seat_and_asking_again_changes_nothing() {
    let redis = Temporary::start(&[]).unwrap();
    let first = run(&redis, "tickets");
    assert_eq!(
        first,
        "seats: inventory_loaded\nada's cart with A-1: reserved\nben buys A-1: sold_out\nada pays: committed\n\
         A-3 for A-1: exchanged\n1 sold, 2 available\n"
    );
    assert_eq!(run(&redis, "tickets"), first);
}

#[test]
fn a_queued_withdrawal_waits_where_nobody_serves() {
    let redis = Temporary::start(&[]).unwrap();
    let said = run(&redis, "queue");
    assert_eq!(said, "invoice-2026-11: no worker has come to it yet; it waits\nwallet-7 has 100.00 USD\n");
}

#[test]
fn a_stale_holder_is_refused() {
    let redis = Temporary::start(&[]).unwrap();
    let said = run(&redis, "fence");
    assert!(said.contains("the first holder is refused: "), "{said}");
    assert!(said.ends_with("what is there: 7 left\n"), "{said}");
}
