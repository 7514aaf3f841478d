use super::*;
use tollgate::ids::{AccountId, CampaignId, JobId};
use tollgate::journal::Entry;

/// Applies lines that all belong to one entry; answers the seqs of those that the model contradicts.
fn contradicted(model: &mut Model, lines: &[&str]) -> Vec<u64> {
    let lines = read(lines);
    lines
        .iter()
        .filter(|line| apply(model, line, &|_, count| u128::from(count)).is_some())
        .map(|line| line.seq)
        .collect()
}

fn read(lines: &[&str]) -> Vec<Line> {
    let text = lines.join("\n").replace(' ', "\t");
    let (by, hash, overtaken_text) = Default::default();
    let entry = Entry {
        seq_last: lines.len() as u64,
        at_ms: 1_000,
        by,
        text,
        hash,
        overtaken_text,
        note: None,
        part: 0,
    };
    entry.lines().unwrap()
}

#[test]
fn a_sound_history_is_not_contradicted() {
    let lines = [
        "c0 redeem campaign_not_found s x 1  ",
        "c1 campaign_create campaign_created s 3 2    0",
        "c2 campaign_create campaign_exists s 3 2    0",
        "r1 redeem redeemed s x 2 2 2",
        "r2 redeem customer_limit_reached s x 1 2 2",
        "r3 redeem redeemed s y 1 1 3",
        "r4 redeem campaign_limit_reached s z 1 0 3",
        "l1 campaign_set_limit limit_below_issued s 2  3",
        "l2 campaign_set_limit limit_not_as_expected s 9 4 3",
        "l3 campaign_set_limit limit_set s 9 3 3",
        "k1 campaign_close closed s 3",
        "r5 redeem ended s z 1 0 3",
        "r6 redeem cancelled s z 1 0 3",
        "r7 redeem cancelled t z 1  ",
        "k2 campaign_close ended s 3",
        "v0 decide case_not_found l approve o   ",
        "v1 case_open case_opened l approve,reject 1",
        "v2 case_open case_exists l a 1",
        "v3 decide not_an_option l perhaps o 1  1",
        "v4 case_amend case_amended l a,b   2",
        "v5 decide version_mismatch l a o 1  2",
        "v6 case_amend version_mismatch l b  1 2",
        "v7 decide decided l a o 2 because 2",
        "v8 decide already_decided l b p   2 23",
        "v9 case_amend already_decided l b  2 2 23",
        "w0 withdraw account_not_found a 1 USD ",
        "a1 account_open account_opened a 10 USD 10",
        "a2 account_open account_exists a 10 USD 10",
        "w1 withdraw withdrawn a 4 USD 6",
        "w2 withdraw insufficient_funds a 7 USD 6",
        "w3 withdraw currency_mismatch a 1 EUR 6",
        "w5 withdraw cancelled a 1 EUR 6",
        "p5 payout cancelled a 1 USD bank 6",
        "d1 deposit deposited a 1 USD 7",
        "d2 deposit balance_limit_reached a 9007199254740991 USD 7",
        "z1 account_close account_not_empty a 7",
        "w4 withdraw withdrawn a 7 USD 0",
        "z2 account_close closed a 0",
        "d3 deposit account_closed a 1 USD 0",
    ];
    let mut model = Model::default();
    assert_eq!(contradicted(&mut model, &lines), [] as [u64; 0]);
    let campaign = &model.campaigns[&CampaignId::parse("s").unwrap()];
    assert_eq!((campaign.issued, campaign.holders, campaign.seq), (3, 3, 11));
    assert_eq!(model.accounts[&AccountId::parse("a").unwrap()].fields()[0], "0");
}

/// What the customers have adds up to the lines exactly if each line goes on from where another left its customer.
#[test]
fn a_count_that_does_not_follow_is_seen_in_the_sum() {
    let weight =
        |customer: &str, count: u64| u128::from(customer.as_bytes()[0]) * u128::from(count * count * count);
    let sum = |lines: &[&str]| {
        let mut model = Model::default();
        for (line, seq) in read(lines).iter().zip(1..) {
            assert_eq!(apply(&mut model, line, &weight), None, "line {seq}");
        }
        model.campaigns[&CampaignId::parse("s").unwrap()].holders
    };
    let create = "c1 campaign_create campaign_created s 9 2    0";
    let right =
        ["r1 redeem redeemed s x 1 1 1", "r2 redeem redeemed s y 1 1 2", "r3 redeem redeemed s x 1 2 3"];
    let all = |lines: &[&'static str]| sum(&[&[create], lines].concat());
    assert_eq!(all(&right), weight("x", 2) + weight("y", 1));
    for (at, wrong) in [(2, "r3 redeem redeemed s x 1 1 3"), (1, "r2 redeem redeemed s y 1 2 2")] {
        let mut lines = right;
        lines[at] = wrong;
        assert_ne!(all(&lines), weight("x", 2) + weight("y", 1), "{wrong}");
        assert_ne!(all(&lines), weight("x", 1) + weight("y", 1), "{wrong}");
    }
}

#[test]
fn each_line_that_cannot_be_is_contradicted_once() {
    for (line, next) in [
        ("r1 redeem redeemed s x 4 4 4", "r2 redeem campaign_limit_reached s y 1 0 4"),
        ("r1 redeem redeemed s x 1 1 2", "r2 redeem redeemed s y 1 1 3"),
        ("r1 redeem campaign_limit_reached s x 1 0 0", "r2 redeem redeemed s y 1 1 1"),
        ("r1 redeem customer_limit_reached s x 1 0 0", "r2 redeem redeemed s y 1 1 1"),
        ("r1 redeem redeemed s x 2 1 2", "r2 redeem campaign_limit_reached s y 2 0 2"),
        ("r1 redeem customer_limit_reached s x 2 1 0", "r2 redeem redeemed s y 1 1 1"),
        ("r1 redeem redeemed s x 3 3 3", "l1 campaign_set_limit limit_set s 4  3"),
        ("r1 redeem ended s x 1 0 0", "r2 redeem redeemed s y 1 1 1"),
        ("w1 withdraw withdrawn a 11 USD 0", "w2 withdraw insufficient_funds a 1 USD 0"),
        ("w1 withdraw withdrawn a 4 USD 5", "w2 withdraw withdrawn a 5 USD 0"),
        ("w1 withdraw withdrawn a 4 EUR 6", "w2 withdraw withdrawn a 6 USD 0"),
        ("w1 withdraw insufficient_funds a 4 USD 10", "w2 withdraw withdrawn a 10 USD 0"),
        ("r1 redeem cancelled s x 1 0 1", "r2 redeem redeemed s y 1 1 1"),
        ("w1 withdraw cancelled a 4 USD 6", "w2 withdraw withdrawn a 10 USD 0"),
        ("d1 deposit cancelled a 1 USD 10", "w2 withdraw withdrawn a 10 USD 0"),
        ("d1 deposit deposited a 0 USD 10", "w2 withdraw withdrawn a 10 USD 0"),
        ("a2 account_open account_opened a 99 USD 99", "w2 withdraw withdrawn a 99 USD 0"),
        ("z1 account_close closed a 10", "w2 withdraw account_closed a 1 USD 10"),
    ] {
        let lines = [
            "c1 campaign_create campaign_created s 3 2    0",
            "a1 account_open account_opened a 10 USD 10",
            line,
            next,
        ];
        assert_eq!(contradicted(&mut Model::default(), &lines), [3], "{line}");
    }
}

#[test]
fn windows_are_judged_by_the_time_of_the_line() {
    for (opens, closes, code, issued) in [
        ("", "", "redeemed", 1),
        ("1001", "", "not_started", 0),
        ("1000", "1001", "redeemed", 1),
        ("1", "1000", "ended", 0),
    ] {
        let create = format!("c campaign_create campaign_created s 3  {opens} {closes}  0");
        let redeem = format!("r redeem {code} s x 1 {issued} {issued}");
        assert_eq!(contradicted(&mut Model::default(), &[&create, &redeem]), [] as [u64; 0], "{code}");
    }
}

#[test]
fn a_hold_is_resolved_once() {
    let sound = [
        "a account_open account_opened a 10 USD 10",
        "p payout held a 4 USD iban 6",
        "z account_close account_not_empty a 6",
        "p payout_begin paying a 1 7 g k 6",
        "p payout_begin paying a 2 8 g k 6",
        "p payout_refuse needs_review a 8 no 6",
    ];
    let mut model = Model::default();
    assert_eq!(contradicted(&mut model, &sound), [] as [u64; 0]);
    assert_eq!(model.holds[&JobId::parse("p").unwrap()].fields()[6..9], ["2", "1", "8"]);
    for (end, wrong) in [
        ("p payout_post paid a operator why 4 6", "p payout_void payout_voided a operator why 10"),
        ("p payout_void payout_voided a operator why 10", "p payout_post paid a gateway ok 4 10"),
    ] {
        let lines: Vec<&str> = sound.iter().copied().chain([end, wrong]).collect();
        assert_eq!(contradicted(&mut Model::default(), &lines), [8], "{wrong}");
    }
    // What was never sent is as if it had never begun.
    let taken_back = [
        "p payout_not_sent paying a 8 no 6",
        "p payout_begin paying a 2 9 g k 6",
        "p payout_not_sent paying a 9 no 6",
    ];
    let lines: Vec<&str> = sound[..5].iter().copied().chain(taken_back).collect();
    assert_eq!(contradicted(&mut Model::default(), &lines), [] as [u64; 0]);
    for wrong in [
        "p payout_not_sent paying a 9 no 6",
        "p payout_refuse needs_review a 9 no 6",
        "p payout_review needs_review a 9 no 6",
        "p payout_begin paying a 3 10 g k 6",
        "p payout_begin paying a 2 10 other k 6",
    ] {
        let lines: Vec<&str> = lines.iter().copied().chain([wrong]).collect();
        assert_eq!(contradicted(&mut Model::default(), &lines), [9], "{wrong}");
    }
    let lines: Vec<&str> = sound[..4].iter().copied().chain(["p payout_not_sent held a 7 no 6"]).collect();
    let other = "p payout_begin paying a 1 8 other key 6";
    let lines: Vec<&str> = lines.into_iter().chain([other]).collect();
    assert_eq!(contradicted(&mut Model::default(), &lines), [] as [u64; 0]);
    for wrong in ["p payout_begin paying a 3 9 other k 6", "p payout_begin paying a 3 9 g other 6"] {
        let lines: Vec<&str> = sound[..5].iter().copied().chain([wrong]).collect();
        assert_eq!(contradicted(&mut Model::default(), &lines), [6], "{wrong}");
    }
    for wrong in [
        "p payout_begin paying a 3 9 g k 6",
        "p payout_refuse payout_refused a 8 no 10",
        "p payout_void payout_voided a expiry why 10",
        "p payout_void payout_voided a operator why 6",
        "p payout_post paid a gateway ok 4 10",
    ] {
        let lines: Vec<&str> = sound.iter().copied().chain([wrong]).collect();
        assert_eq!(contradicted(&mut Model::default(), &lines), [7], "{wrong}");
    }
}
