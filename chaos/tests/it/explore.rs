//! `tollgate-chaos explore`: none of the first orders of a small fleet is wrong; each bug about order that is
//! planted is found, with the timeline that shows it; the same order again is the same calls.

use std::process::Command;

use serde_json::Value;

fn explore(args: &[&str]) -> (Option<i32>, String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tollgate-chaos")).arg("explore").args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// What was found in the only fleet: the order, what is wrong, and the timeline.
fn found(document: &str) -> (String, String, String) {
    let document: Value = serde_json::from_str(document).unwrap();
    let found = &document["fleets"][0]["found"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let wrong: Vec<String> = found["wrong"].as_array().into_iter().flatten().map(text).collect();
    (text(&found["order"]), wrong.join("\n"), text(&found["timeline"]))
}

/// Every fleet in which nothing is known to be wrong.
const FLEETS: [&str; 10] = [
    "duplicates",
    "batch",
    "producer",
    "delayed",
    "payout",
    "cancel",
    "giving-back",
    "deciding",
    "carts",
    "returns",
];

fn figure(fleet: &Value, name: &str) -> u64 {
    fleet["figures"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {fleet}"))
}

/// As many as a test walks: the same work, however long it takes. In each fleet some are made for real.
const ORDERS: u64 = 200;

#[test]
fn none_of_the_first_orders_is_wrong() {
    let orders = ORDERS.to_string();
    let fleets = FLEETS.iter().flat_map(|fleet| ["--fleet", fleet]);
    let args: Vec<&str> = fleets.chain(["--orders", &orders, "--json"]).collect();
    let (code, said, complaint) = explore(&args);
    assert_eq!(code, Some(0), "{said}{complaint}");
    let document: Value = serde_json::from_str(&said).unwrap();
    let fleets = document["fleets"].as_array().unwrap();
    assert_eq!(fleets.len(), FLEETS.len());
    for fleet in fleets {
        assert!(figure(fleet, "orders") >= ORDERS && figure(fleet, "real") > 0, "{fleet}");
    }
}

#[test]
fn the_same_number_of_orders_is_the_same_work() {
    let walked = || {
        let (code, said, complaint) = explore(&["--fleet", "payout", "--orders", "30", "--json"]);
        assert_eq!(code, Some(0), "{said}{complaint}");
        let document: Value = serde_json::from_str(&said).unwrap();
        let fleet = &document["fleets"][0];
        assert_eq!(figure(fleet, "orders"), 30, "{fleet}");
        ["orders", "states", "ends", "cut", "asked", "told"].map(|name| figure(fleet, name))
    };
    assert_eq!(walked(), walked());
}

#[test]
fn whole_is_said_with_its_bound_and_what_was_checked() {
    let (code, said, complaint) = explore(&["--fleet", "delayed", "--together", "1"]);
    assert_eq!(code, Some(0), "{said}{complaint}");
    for words in
        ["delayed: PASS", "at most 1 together of: death: 1", "made for real", "| `delayed` | PASS | 1 |"]
    {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
    let (_, said, _) = explore(&["--fleet", "delayed", "--together", "1", "--json"]);
    let document: Value = serde_json::from_str(&said).unwrap();
    let fleet = &document["fleets"][0];
    assert!(figure(fleet, "cut_walked") > 50 && figure(fleet, "real") > 5, "{fleet}");
    assert_eq!(fleet["figures"]["is_whole"], true, "{fleet}");
}

#[test]
fn an_explorer_that_compares_too_little_of_a_state_is_found_by_a_branch_that_it_cut() {
    let (code, said, complaint) = explore(&["--fleet", "batch", "--together", "1", "--forget", "database"]);
    assert_eq!(code, Some(1), "{said}{complaint}");
    assert!(complaint.contains("a branch that was cut comes to a state that was not seen"), "{complaint}");
}

#[test]
fn an_explorer_that_looks_up_a_wrong_answer_is_found_by_an_order_made_for_real() {
    let (code, said, complaint) = explore(&["--fleet", "batch", "--together", "1", "--forget", "scripts"]);
    assert_eq!(code, Some(1), "{said}{complaint}");
    assert!(complaint.contains("the same call in the same state is answered otherwise"), "{complaint}");
}

fn is_found(sabotage: &str, fleet: &str, wrong: &str) -> String {
    let (code, said, complaint) =
        explore(&["--fleet", fleet, "--sabotage", sabotage, "--together", "3", "--json"]);
    assert_eq!(code, Some(5), "{said}{complaint}");
    let (order, found, timeline) = found(&said);
    assert!(found.contains(wrong), "{found}\n{timeline}");
    // The command that it prints shows it again.
    let (code, said, complaint) = explore(&["--fleet", fleet, "--sabotage", sabotage, "--order", &order]);
    assert_eq!(code, Some(5), "{said}{complaint}");
    assert!(said.contains(wrong) && said.starts_with(&timeline), "{said}\n{timeline}");
    timeline
}

#[test]
fn an_acknowledgement_before_the_effect_is_found() {
    let timeline = is_found("acknowledge_first", "duplicates", "G10 first was sent and is lost");
    assert!(timeline.contains("dies"), "{timeline}");
}

#[test]
fn a_check_apart_from_its_act_is_found() {
    is_found("check_and_act_split", "batch", "has issued 2 of 1");
}

#[test]
fn an_ignored_fence_is_found() {
    let timeline = is_found("fence_ignored", "payout", "is tried again while the last try may still pay");
    assert!(timeline.matches("payout_begin payout -> settled paying").count() == 2, "{timeline}");
}

#[test]
fn a_parked_id_taken_by_another_request_is_found() {
    is_found("parked_job_taken", "delayed", "its id was taken by another request");
}

#[test]
fn a_refund_that_is_not_noted_is_found() {
    is_found("refund_forgotten", "giving-back", "it could be given back again");
}

#[test]
fn a_reversal_that_leaves_what_is_issued_is_found() {
    is_found(
        "reversal_leaves_issued",
        "giving-back",
        "was decided otherwise than the lines before it demand",
    );
}

/// The worker dies between the cart and its commit. The search for this order takes a minute (`--together 3`), so it is named.
#[test]
fn a_paid_seat_that_ends_by_the_clock_is_found() {
    let args = ["--fleet", "carts", "--order", "A5,A7,A!,R1,R2,tick,R3,R4,R5"];
    let (code, said, complaint) = explore(&args);
    assert_eq!(code, Some(0), "{said}{complaint}");
    let (code, said, complaint) = explore(&[&args[..], &["--sabotage", "expires_by_the_clock"]].concat());
    assert_eq!(code, Some(5), "{said}{complaint}");
    assert!(said.contains("G15 pay must be committed"), "{said}");
}

#[test]
fn bugs_of_sales_are_found() {
    is_found("seat_sold_twice", "returns", "of which 0 were left");
    is_found("order_line_skipped", "returns", "by the journal Item");
    is_found("return_forgotten", "returns", "do not add up to what the journal says");
    is_found("exchange_keeps_both", "returns", "by the journal Item");
    is_found("item_count_kept", "returns", "by replay Some(0)");
}

#[test]
fn a_decision_that_is_overwritten_is_found() {
    is_found("decision_overwritten", "deciding", "was not the last word");
}

#[test]
fn a_trim_above_what_is_in_flight_is_found() {
    is_found("trim_above_in_flight", "batch", "is lost");
}

#[test]
fn a_row_that_is_removed_before_the_effect_is_found() {
    is_found("row_removed_before_effect", "batch", "was sent and is lost");
}

/// A worker that was overtaken executes what an operator discarded meanwhile.
#[test]
fn a_stale_worker_that_decides_is_found() {
    let timeline =
        is_found("stale_worker_decides", "discard", "G11 early was discarded and is decided all the same");
    let at = |words: &str| timeline.find(words).unwrap_or_else(|| panic!("no {words:?} in\n{timeline}"));
    assert!(at("recover -> recovered") < at("dead_discard early -> done discarded"), "{timeline}");
    assert!(
        at("dead_discard early -> done discarded") < at("settle early -> settled redeemed"),
        "{timeline}"
    );
}

/// Whose an entry is, settle asks: whoever was overtaken is told `not_owner`.
#[test]
fn a_discarded_job_is_not_executed_by_a_stale_worker() {
    let (code, said, complaint) = explore(&["--fleet", "discard", "--together", "3", "--json"]);
    assert_eq!(code, Some(0), "{said}{complaint}");
    let document: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(document["fleets"][0]["figures"]["is_whole"], true, "{said}");
    assert_eq!(found(&said).1, "");
}

/// A take was given up and what its reply had lost was read again; then the take was executed. The only worker there is
/// had a row that it had not heard of. The order was found by `explore`, when a batch was a list of pending entries.
#[test]
fn what_a_late_take_brought_is_not_left_by_the_only_worker() {
    let (code, said, complaint) = explore(&["--fleet", "producer", "--order", "P1,A6,A7~,A8,~A7"]);
    assert_eq!(code, Some(0), "{said}{complaint}");
    assert!(said.contains("late, heard by nobody"), "{said}");
}

#[test]
fn the_same_order_again_is_the_same_calls() {
    let orders = [
        ("payout", "A6,A8,A5,A9,A10,A11,A13,A14"),
        ("duplicates", "A5,B5,A7?,flush,B7,A!"),
        ("delayed", "A5,A6~,B5,tick,~A6"),
        ("batch", "A5,A*,B5"),
    ];
    for (fleet, order) in orders {
        let once = explore(&["--fleet", fleet, "--order", order]);
        assert_eq!(once.0, Some(0), "{once:?}");
        assert!(once.1.contains("trace "), "{once:?}");
        assert_eq!(once, explore(&["--fleet", fleet, "--order", order]));
    }
}

#[test]
fn without_a_c_compiler_it_says_so() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-chaos"));
    let output = command.args(["explore", "--time", "1s"]).env("PATH", "/nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no C compiler (cc)"), "{output:?}");
}

#[test]
fn a_step_that_does_not_fit_is_told_with_what_waits() {
    let (code, _, complaint) = explore(&["--fleet", "duplicates", "--order", "A99"]);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("A99 does not wait") && complaint.contains("A5 take"), "{complaint}");
}
