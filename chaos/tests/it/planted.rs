//! A checker that cannot fail is a defect: each planted bug turns the verdict of a chaos run to FAIL within three seeds,
//! by a check that is not the audit.

use crate::run::{checks, run};

/// The number of the check that asks the audit.
const AUDIT: u64 = 21;

fn is_caught(bug: &str, scenario: &str, time: &str) {
    let mut seen = Vec::new();
    for seed in ["1", "2", "3"] {
        let dir = tempfile::tempdir().unwrap();
        let (code, document) = run(scenario, seed, time, dir.path(), &["--sabotage", bug]);
        let found = checks(&document);
        if code == 5 && found.iter().any(|check| *check != AUDIT) {
            return;
        }
        seen.push(document["verdict"].clone());
    }
    panic!("{bug} was not caught in {scenario}: {seen:?}");
}

#[test]
fn a_removed_receipt_check_is_caught() {
    is_caught("receipt_check_removed", "duplicate-enqueue", "4s");
}

#[test]
fn a_check_apart_from_its_act_is_caught() {
    is_caught("check_and_act_split", "limits", "4s");
}

#[test]
fn an_acknowledgement_before_the_effect_is_caught() {
    is_caught("row_removed_before_effect", "limits", "3s");
}

#[test]
fn a_skipped_journal_line_is_caught() {
    is_caught("journal_line_skipped", "limits", "3s");
}

#[test]
fn a_balance_off_by_one_is_caught() {
    is_caught("balance_off_by_one", "limits", "3s");
}

#[test]
fn a_parked_id_taken_by_another_request_is_caught() {
    is_caught("parked_job_taken", "limits", "4s");
}

#[test]
fn a_trim_above_what_is_in_flight_is_caught() {
    is_caught("trim_above_in_flight", "worker-kill", "4s");
}

#[test]
fn a_time_out_told_as_not_applied_is_caught() {
    is_caught("timeout_as_not_applied", "lost-replies", "5s");
}

#[test]
fn a_retry_under_a_new_id_is_caught() {
    is_caught("retry_under_new_id", "lost-replies", "5s");
}

#[test]
fn a_trimmed_job_stream_is_caught() {
    is_caught("stream_trimmed", "fleet-gone", "4s");
}

#[test]
fn a_deleted_job_stream_is_caught() {
    is_caught("entries_removed", "fleet-gone", "4s");
}

#[test]
fn an_ignored_fence_is_caught() {
    is_caught("fence_ignored", "locks-stolen", "5s");
}

#[test]
fn a_lock_that_anybody_gives_back_is_caught() {
    is_caught("unlock_by_plain_del", "locks-stolen", "5s");
}

#[test]
fn a_trim_by_hand_above_what_is_in_flight_is_caught() {
    is_caught("trimmed_above_in_flight", "worker-kill", "4s");
}

#[test]
fn rows_removed_by_hand_are_caught() {
    is_caught("rows_removed", "worker-kill", "4s");
}

#[test]
fn a_slot_of_which_half_is_lost_is_caught() {
    is_caught("half_slot_lost", "cluster-slot-half-moved", "4s");
}

/// What these give back, move or sell is in the mix; a run goes on until there was enough of it.
#[test]
fn bugs_of_refunds_reversals_transfers_and_cases_are_caught() {
    for bug in ["refund_forgotten", "reversal_leaves_issued", "transfer_loses_half", "decision_overwritten"] {
        is_caught(bug, "limits", "3s");
    }
}

#[test]
fn bugs_of_sales_are_caught() {
    for bug in [
        "reserved_not_given_back",
        "seat_sold_twice",
        "order_line_skipped",
        "return_forgotten",
        "exchange_keeps_both",
    ] {
        is_caught(bug, "limits", "3s");
    }
}
