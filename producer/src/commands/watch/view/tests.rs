use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::keys::Key;
use super::super::reading::{AccountRow, CampaignRow, InventoryRow, PayoutRow, Payouts, Reading, Sampled};
use super::*;
use crate::overview::{Conservation, Counts, Overview, QueueCounts, Reason};
use crate::problems::{self, Problem};
use crate::workers;

fn worker(name: &str, state: &'static str) -> workers::Row {
    workers::Row {
        host: Some("box".to_owned()),
        pid: Some(42),
        queues: vec!["default".to_owned()],
        concurrency: Some(2),
        started_at_ms: Some(1),
        state,
        beat_age_ms: Some(900),
        in_flight: 256,
        ..workers::Row::silent(name)
    }
}

fn inventory(name: &str, status: &'static str, jobs: u64) -> InventoryRow {
    let (left, reserved, sold) = (Some(1_480), Some(12), Some(508));
    InventoryRow { inventory: name.to_owned(), left, reserved, sold, status, jobs }
}

fn campaign(name: &str, left: u64, jobs: u64) -> CampaignRow {
    CampaignRow { campaign: name.to_owned(), left: Some(left), limit: Some(1_000), is_open: true, jobs }
}

fn account(name: &str, available: u64, jobs: u64) -> AccountRow {
    AccountRow {
        account: name.to_owned(),
        available: Some(available),
        available_text: format!("{available}.00 USD"),
        taken_text: "7.50 USD".to_owned(),
        jobs,
    }
}

/// A look at a namespace with a bit of everything.
pub(in super::super) fn reading() -> Reading {
    let counts = Counts {
        waiting: 1_234_567,
        in_flight: 512,
        dead: 13,
        decided: 9_876_543,
        replayed: 77,
        oldest_age_ms: Some(75_000),
        ..Counts::default()
    };
    let queue = QueueCounts {
        queue: "default".to_owned(),
        status: "paused",
        waiting: 1_234_567,
        in_flight: 512,
        oldest_age_ms: Some(75_000),
        ..QueueCounts::default()
    };
    let reason = |reason: &str, count| Reason { reason: reason.to_owned(), count };
    let review = PayoutRow::Review {
        id: "pay-8".to_owned(),
        amount: "25.00 USD".to_owned(),
        since_ms: 400_000,
        reason: "the gateway named another account".to_owned(),
    };
    let damaged = PayoutRow::Damaged {
        id: "pay-9".to_owned(),
        what: "{tollgate.0}:hold:pay-9: amount cannot be read".to_owned(),
    };
    let payouts =
        Payouts { open: 6, for_review: 1, damaged: 1, is_sample: false, rows: vec![damaged, review] };
    Reading {
        overview: Overview {
            at_ms: 1_000_000,
            counts,
            dead_by_reason: vec![reason("malformed_json", 12), reason("worker_lost", 1)],
            conservation: Conservation { accepted: 0, settled: 0, holds: true },
            queues: vec![queue],
            partitions: Vec::new(),
            unread: Vec::new(),
        },
        workers: vec![worker("a", "alive"), worker("b", "silent")],
        sampled: Sampled::default(),
        problems: Vec::new(),
        campaigns: vec![campaign("autumn", 999, 0), campaign("summer", 41, 730)],
        campaigns_complete: true,
        inventories: vec![inventory("concert", "open", 5), inventory("matinee", "cancelled", 900)],
        inventories_complete: true,
        accounts: vec![account("a1", 12, 3), account("a2", 450, 9)],
        payouts,
        is_estimate: false,
    }
}

fn screen(looks: usize) -> (Screen, Instant) {
    let mut screen = Screen::new("tollgate on unix:///run/redis.sock".to_owned(), Duration::from_secs(1));
    let mut now = Instant::now();
    for look in 0..looks {
        now += Duration::from_secs(1);
        let mut reading = reading();
        reading.overview.at_ms += 1_000 * look as u64;
        reading.overview.counts.decided += 1_000 * (look * look) as u64;
        reading.overview.counts.waiting -= 1_000 * look as u64;
        screen.looked(Ok(reading), now);
    }
    (screen, now)
}

fn drawn(screen: &Screen, now: Instant, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, screen, now)).unwrap();
    terminal.backend().to_string()
}

#[track_caller]
fn shows(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word} is missing:\n{text}");
    }
}

/// What is seen at once, whatever the size.
const ALWAYS: [&str; 11] = [
    "tollgate on unix:///run/redis.sock",
    "1,229,567",
    "in flight",
    "1m 15s",
    "9,000",
    "-1,000",
    "20m 30s",
    "campaign",
    "summer",
    "q quit | p pause | s sort: moved | tab or 1-7 table",
    "█",
];

#[test]
fn everything_is_there_at_the_usual_sizes() {
    let (screen, now) = screen(6);
    for (width, height) in [(60, 24), (80, 24), (120, 40)] {
        shows(&drawn(&screen, now, width, height), &ALWAYS);
    }
    shows(&drawn(&screen, now, 80, 24), &["a2", "450.00 USD", "read every 1.0s"]);
    let all = ["malformed_json", "1 damaged, 1 for a person, 4 on their way", "pay-8", "10m 05s", "paused"];
    shows(&drawn(&screen, now, 120, 40), &all);
    shows(&drawn(&screen, now, 120, 40), &["workers: 1 of 2 alive", "box:42", "silent", "7.50 USD"]);
}

#[test]
fn at_sixty_columns_every_table_comes_by_its_digit_and_is_whole() {
    let (mut screen, now) = screen(6);
    let tables: [&[&str]; 7] = [
        &["1 campaigns", "left", "limit", "jobs/min", "41", "1,000", "730"],
        &["2 accounts", "available", "taken", "jobs/min", "450.00 USD", "7.50 USD", "9"],
        &[
            "3 payouts: 1 damaged, 1 for a person",
            "pay-9                damaged",
            "amount cannot be read",
            "pay-8              25.00 USD",
            "10m 05s",
            "the gateway named",
        ],
        &["4 dead letters: 13", "malformed_json", "12", "worker_lost"],
        &["5 queues", "default", "paused", "1,234,567", "512", "1m 15s"],
        &["6 workers: 1 of 2 alive", "box:42", "silent", "alive", "900ms", "256"],
        &["7 inventories", "left", "reserved", "sold", "jobs/min", "1,480", "12", "508", "cancelled", "900"],
    ];
    for (at, words) in tables.iter().enumerate() {
        screen.pressed(Key::Table(at));
        let text = drawn(&screen, now, 60, 24);
        shows(&text, words);
        screen.pressed(Key::Next);
        shows(&drawn(&screen, now, 60, 24), tables[(at + 1) % tables.len()]);
        screen.pressed(Key::Previous);
        assert_eq!(drawn(&screen, now, 60, 24), text);
    }
    screen.pressed(Key::Table(7));
    shows(&drawn(&screen, now, 60, 24), tables[6]);
}

#[test]
fn the_order_of_campaigns_and_accounts_is_the_chosen_one() {
    let (mut screen, now) = screen(2);
    let first = |screen: &Screen, a: &str, b: &str| {
        let text = drawn(screen, now, 120, 40);
        text.find(a).unwrap() < text.find(b).unwrap()
    };
    assert!(first(&screen, "summer", "autumn") && first(&screen, "│a2 ", "│a1 "), "by movement");
    screen.pressed(Key::Sort);
    assert!(first(&screen, "summer", "autumn") && first(&screen, "│a1 ", "│a2 "), "by what is left");
    screen.pressed(Key::Sort);
    assert!(first(&screen, "autumn", "summer") && first(&screen, "│a1 ", "│a2 "), "by name");
    shows(&drawn(&screen, now, 60, 24), &["s sort: name"]);
    screen.pressed(Key::Sort);
    assert!(first(&screen, "summer", "autumn"), "and around");
}

#[test]
fn while_it_is_paused_the_numbers_stand_still() {
    let (mut screen, now) = screen(2);
    screen.pressed(Key::Pause);
    let mut later = reading();
    later.overview.counts.decided = 123_456_789;
    screen.looked(Ok(later.clone()), now);
    let text = drawn(&screen, now + Duration::from_secs(7), 60, 24);
    shows(&text, &["PAUSED", "p goes on, numbers are 7s old"]);
    assert!(!text.contains("123,456,789"));
    screen.pressed(Key::Pause);
    screen.looked(Ok(later), now);
    shows(&drawn(&screen, now, 60, 24), &["123,456,789"]);
}

#[test]
fn a_redis_that_is_away_is_said_and_forgotten_when_it_is_back() {
    let (mut screen, now) = screen(2);
    screen.looked(Err("not applied: unreachable".to_owned()), now);
    let text = drawn(&screen, now + Duration::from_secs(7), 120, 24);
    shows(&text, &["redis is away, numbers are 7s old, trying again: not applied: unreachable"]);
    screen.looked(Ok(reading()), now);
    assert!(!drawn(&screen, now, 120, 24).contains("away"));
}

#[test]
fn what_is_wrong_is_at_the_top_worst_first() {
    let (mut screen, now) = screen(0);
    shows(&drawn(&screen, now, 80, 24), &["reading…"]);
    let mut alarming = reading();
    let (jobs, dead) = (problems::Kind::JobsMissing, problems::Kind::DeadJobs);
    alarming.problems =
        vec![Problem::new(jobs, "jobs are missing", "audit"), Problem::new(dead, "13 are dead", "dead ls")];
    screen.looked(Ok(alarming), now);
    shows(&drawn(&screen, now, 60, 24), &["2 problems, see stats: jobs are missing", "measuring…"]);
    shows(&drawn(&screen, now, 120, 40), &["2 problems: see stats", "jobs are missing", "  dead ls"]);
}

#[test]
fn a_namespace_without_anything_says_so() {
    let (mut screen, now) = screen(0);
    let mut empty = reading();
    empty.overview.counts = Counts::default();
    empty.overview.dead_by_reason.clear();
    empty.overview.queues.clear();
    empty.workers.clear();
    empty.campaigns.clear();
    empty.accounts.clear();
    empty.inventories.clear();
    empty.payouts = Payouts::default();
    screen.looked(Ok(empty), now);
    let text = drawn(&screen, now, 120, 40);
    shows(&text, &["none waits for a person", "nothing is settled until one starts", "dead letters: 0"]);
}

#[test]
fn no_size_is_too_small() {
    let (screen, now) = screen(3);
    for (width, height) in [(1, 1), (10, 3), (20, 5), (40, 12), (300, 100)] {
        drawn(&screen, now, width, height);
    }
}
