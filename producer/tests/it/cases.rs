//! Cases by the command line and from files.

use serde_json::{Value, json};

use crate::fixtures::fresh;
use crate::harness::Cli;

fn line(cli: &Cli, id: &str) -> Value {
    let lines = cli.run(&["journal", "export"]);
    let lines = lines.exits(0).lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.into_iter().find(|line| line["id"] == id).unwrap()
}

#[tokio::test]
async fn the_first_decision_stands_and_everybody_sees_it() {
    let cli = fresh("1");
    cli.run(&["case", "open", "loan-7"]).exits(0);
    assert!(cli.run(&["case", "open", "loan-7"]).exits(0).contains("replayed"));
    let other = cli.run(&["case", "open", "loan-7", "--options", "yes,no"]);
    assert!(other.exits(1).contains("case_exists") && other.stdout.contains("options differs"), "{other:?}");
    assert!(cli.run(&["case", "show", "loan-7"]).exits(0).contains("open  version 1, approve or reject"));
    let amended = cli.run(&["case", "amend", "loan-7", "--reason", "a payslip came in", "--json"]);
    amended.exits(0);
    assert_eq!((&amended.json()["code"], &amended.json()["version"]), (&json!("case_amended"), &json!(2)));

    let decide = |words: &[&str]| cli.run(&[&["case", "decide", "loan-7", "--json"], words].concat());
    let stale = decide(&["--decision", "approve", "--by", "officer-7", "--expect-version", "1"]);
    stale.exits(1);
    assert_eq!(
        (&stale.json()["code"], &stale.json()["version"]),
        (&json!("version_mismatch"), &json!(2)),
        "{stale:?}"
    );
    assert!(decide(&["--decision", "perhaps"]).exits(1).contains("not_an_option"));
    let first = ["--decision", "approve", "--by", "officer-7", "--reason", "income is proved", "--id", "d1"];
    decide(&[&first[..], &["--expect-version", "2"]].concat()).exits(0);
    let late = decide(&["--decision", "reject", "--by", "officer-8", "--id", "d2"]);
    late.exits(1);
    let told = late.json();
    let seq = &line(&cli, "d1")["seq"];
    assert_eq!(
        (&told["code"], &told["stands"]),
        (
            &json!("already_decided"),
            &json!({"decision": "approve", "by": "officer-7", "reason": "income is proved", "seq": seq})
        )
    );
    // In words; and asked again under its id.
    let words = ["case", "decide", "loan-7", "--decision", "reject", "--by", "officer-8", "--id", "d2"];
    let again = cli.run(&words);
    assert!(again.exits(1).contains("approve by officer-7 at seq") && again.stdout.contains("replayed"));

    assert_eq!(cli.run(&["lookup", "d1", "--json"]).json()["code"], "decided");
    assert_eq!(cli.run(&["lookup", "d2", "--json"]).json()["code"], "already_decided");
    let history = cli.run(&["job", "history", "d1"]);
    let said = history.exits(0);
    assert!(said.contains("by officer-7") && said.contains("reason income is proved"), "{history:?}");
    let (first, late) = (line(&cli, "d1"), line(&cli, "d2"));
    assert_eq!(first["decided_seq"], json!(null));
    assert_eq!((&first["by"], &first["asked_by"]), (&json!("officer-7"), &json!(null)));
    assert_eq!((&late["decided_seq"], &late["decision"]), (seq, &json!("reject")));
    let shown = cli.run(&["case", "show", "loan-7", "--json"]).json();
    let expected = json!({
        "case": "loan-7", "options": ["approve", "reject"], "version": 2, "decision": "approve", "by": "officer-7",
        "reason": "income is proved", "decided_seq": seq, "status": "decided",
    });
    assert_eq!(shown, expected);
    let missing = cli.run(&["case", "decide", "loan-8", "--decision", "approve"]);
    assert!(missing.exits(1).contains("did you mean loan-7?"), "{missing:?}");
    cli.run(&["audit"]).exits(0);
}

#[tokio::test]
async fn a_file_decides_in_its_order_and_each_wrong_field_is_named() {
    let cli = fresh("1");
    let file = concat!(
        r#"{"kind":"case_open","case":"loan-7"}"#,
        "\n",
        r#"{"kind":"decide","id":"d1","case":"loan-7","decision":"approve","by":"officer-7","expect_version":1}"#,
        "\n",
        r#"{"kind":"decide","id":"d2","case":"loan-7","decision":"reject","by":"officer-8","reason":"too late"}"#,
        "\n",
    );
    let ran = cli.run_with(&["enqueue", "-", "--by", "clerk"], file.as_bytes());
    assert!(ran.complains(1).contains("line 3: case:loan-7: already_decided"), "{ran:?}");
    assert!(ran.stderr.contains("approve by officer-7 at seq 2"), "{ran:?}");
    assert_eq!(
        (&line(&cli, "d1")["by"], &line(&cli, "d1")["asked_by"]),
        (&json!("officer-7"), &json!("clerk"))
    );

    cli.run(&["case", "open", "l"]).exits(0);
    for (line, said) in [
        (r#"{"kind":"decide","case":"l","decision":"a","by":"o"}"#, "id: must be given for a decide"),
        (r#"{"kind":"decide","id":"x","decision":"a","by":"o"}"#, "case: "),
        (r#"{"kind":"decide","id":"x","case":"{","decision":"a","by":"o"}"#, "id_malformed"),
        (r#"{"kind":"decide","id":"x","case":"l","by":"o"}"#, "decision: "),
        (r#"{"kind":"decide","id":"x","case":"l","decision":"a b","by":"o"}"#, "name_malformed"),
        (r#"{"kind":"decide","id":"x","case":"l","decision":1,"by":"o"}"#, "wrong_type"),
        (r#"{"kind":"decide","id":"x","case":"l","decision":"approve"}"#, "by: "),
        (r#"{"kind":"decide","id":"x","case":"l","decision":"approve","by":""}"#, "id_malformed"),
        (
            r#"{"kind":"decide","id":"x","case":"l","decision":"approve","by":"o","expect_version":0}"#,
            "version_out_of_range",
        ),
        (
            r#"{"kind":"decide","id":"x","case":"l","decision":"approve","by":"o","expect_version":"1"}"#,
            "version_out_of_range",
        ),
        (
            r#"{"kind":"decide","id":"x","case":"l","decision":"approve","by":"o","reason":""}"#,
            "reason_malformed",
        ),
        (r#"{"kind":"decide","id":"x","case":"l","decision":"approve","by":"o","note":""}"#, "unknown_field"),
        (r#"{"kind":"case_open","case":"m","options":"a,b"}"#, "wrong_type"),
        (r#"{"kind":"case_open","case":"m","options":[]}"#, "options_malformed"),
        (r#"{"kind":"case_open","case":"m","options":["a","a"]}"#, "options_malformed"),
        (r#"{"kind":"case_open","case":"m","options":["a","b c"]}"#, "options[2]"),
        (r#"{"kind":"case_amend","id":"x","case":"l","reason":"r"}"#, "kind_not_queueable"),
    ] {
        let ran = cli.run_with(&["enqueue", "-"], line.as_bytes());
        assert!(ran.complains(1).contains(said), "{line}: {ran:?}");
    }
    let decide = ["case", "decide", "l", "--decision"];
    for (args, said) in [
        (&["case", "open", "{"][..], "id_malformed"),
        (&["case", "open", "m", "--options", ""], "options_malformed"),
        (&["case", "open", "m", "--options", "a,,b"], "name_malformed"),
        (&["case", "amend", "l"], "required"),
        (&["case", "amend", "l", "--reason", " "], "reason_malformed"),
        (&["case", "amend", "l", "--reason", "r", "--expect-version", "-1"], "version_out_of_range"),
        (&["case", "decide", "l"], "--decision"),
        (&[&decide[..], &["a b"]].concat(), "name_malformed"),
        (&[&decide[..], &["approve", "--by", "a\tb"]].concat(), "id_malformed"),
        (&[&decide[..], &["approve", "--expect-version", "1.0"]].concat(), "version_out_of_range"),
        (&[&decide[..], &["approve", "--reason", "a\nb"]].concat(), "reason_malformed"),
        (&[&decide[..], &["approve", "--id", "entry/x"]].concat(), "id_reserved"),
    ] {
        assert!(cli.run(args).complains(2).contains(said), "{args:?}");
    }
    // Nothing of it is half done.
    assert_eq!(cli.run(&["lookup", "x", "--json"]).json()["code"], json!(null));
    let shown = cli.run(&["case", "ls", "--json"]).json();
    assert_eq!((shown.as_array().unwrap().len(), &shown[0]["version"]), (2, &json!(1)), "{shown}");
    cli.run(&["audit"]).exits(0);
}
