//! Lists of codes: one code is handed out by one campaign, and a file that is no list of codes is refused.

use crate::fixtures::Files;
use crate::harness::Cli;

fn create<'a>(campaign: &'a str, file: &'a str) -> [&'a str; 5] {
    ["campaign", "create", campaign, "--codes-file", file]
}

#[test]
fn codes_of_another_campaign_are_refused_by_its_name() {
    let (cli, lists) = (Cli::new(), Files::new());
    // More than one reply of codes, so that an overlap may lie anywhere in a list.
    let codes = |range: std::ops::Range<u32>| range.map(|n| format!("C{n:06}\n")).collect::<String>();
    let summer = lists.write("summer", codes(0..12_000));
    cli.run(&create("summer", &summer)).exits(0);
    let keys = || cli.redis(&["KEYS", &format!("{{{}.*}}:codes:*", cli.namespace)]);
    let before = keys();

    let same = cli.run(&create("winter", &summer));
    assert!(same.complains(1).contains("campaign summer hands out the same list of codes"), "{same:?}");
    assert!(same.stderr.contains("hint: --share-codes"), "{same:?}");
    let some = lists.write("some", codes(11_998..12_005));
    let overlap = cli.run(&create("winter", &some));
    assert!(
        overlap.complains(1).contains(
            "campaign summer hands out 2 of these codes too, the first of them is number 1 of the list"
        ),
        "{overlap:?}"
    );
    assert_eq!(keys(), before, "a refused list was uploaded");
    cli.run(&["campaign", "show", "winter"]).complains(1);
    // Order and line ends make another list of the same codes.
    let reversed: String = codes(0..12_000).lines().rev().map(|code| format!("{code}\r\n")).collect();
    assert!(
        cli.run(&create("winter", &lists.write("reversed", reversed)))
            .complains(1)
            .contains("12000 of these codes")
    );
    // A closed campaign has handed its codes out.
    cli.run(&["campaign", "close", "summer"]).exits(0);
    assert!(cli.run(&create("winter", &summer)).complains(1).contains("campaign summer"));

    // The same campaign again is a replay; a list without anything in common is nobody's.
    assert!(cli.run(&create("summer", &summer)).exits(0).contains("replayed"));
    cli.run(&create("spring", &lists.write("spring", codes(20_000..20_010)))).exits(0);
    let shared = [&create("winter", &summer)[..], &["--share-codes"]].concat();
    cli.run(&shared).exits(0);
    cli.run(&["campaign", "create", "x", "--limit", "1", "--share-codes"]).complains(2);
}

#[test]
fn the_same_list_is_found_in_every_partition() {
    let (cli, lists) = (Cli::empty(), Files::new());
    cli.run(&["init", "--partitions", "8"]).exits(0);
    let file = lists.write("codes", "A1\nA2\n");
    cli.run(&create("first", &file)).exits(0);
    for n in 0..16 {
        let refused = cli.run(&create(&format!("c{n}"), &file));
        assert!(refused.complains(1).contains("campaign first hands out the same list"), "{refused:?}");
    }
}

#[test]
fn a_file_that_is_no_list_of_codes_is_refused_with_the_line() {
    let (cli, lists) = (Cli::new(), Files::new());
    cli.run(&["init"]).exits(0);
    for (text, said) in [
        (&b"code\nA1\n"[..], "line 1: code \"code\": must be a code, not the name of a column"),
        (b"\xef\xbb\xbfCoupon Code\nA1\n", "line 1: code"),
        (b"A1\n\"A2\"\n", "line 2: code '\"A2\"': must be one code a line, without quotes"),
        (b"A1,10\n", "leave out the ','"),
        (b"A1\nA2;x\n", "line 2"),
        (
            "A1\nA\u{200b}2\n".as_bytes(),
            "line 2: code \"A\\u{200b}2\": must be a code without the invisible character",
        ),
        ("A1\nA\u{a0}2\n".as_bytes(), "\\u{a0}"),
        // Two files with a byte order mark, one after the other.
        ("\u{feff}A1\n\u{feff}A2\n".as_bytes(), "line 2: code \"\\u{feff}A2\""),
        (b"\xff\xfeA\x001\x00\n\x00", "line 1: code"),
        (b"A1\r\n\r\n", "line 2: code \"\""),
    ] {
        let ran = cli.run(&create("c", &lists.write("bad", text)));
        assert!(ran.complains(2).contains(said), "{said}: {ran:?}");
    }
    assert_eq!(cli.redis(&["KEYS", &format!("{{{}.*}}:codes:*", cli.namespace)]).trim(), "");
}
