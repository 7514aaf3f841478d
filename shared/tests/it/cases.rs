//! Cases: the first decision stands, whoever comes later learns of it, and who has read another version cannot decide.

use tollgate::case::{CaseState, Word};
use tollgate::code::Code;
use tollgate::ids::JobId;
use tollgate::kinds::{CaseAmend, CaseOpen, Decide, Request};
use tollgate::options::Options;
use tollgate::quantity::Version;
use tollgate::scripts::settle::Answer;

use crate::giving_back::violations;
use crate::races::{CLIENTS, race};
use crate::space::*;

/// A case that is approved or rejected.
pub(crate) fn case_open(case: &str) -> Request {
    CaseOpen { case: case.parse().unwrap(), options: Options::default() }.into()
}

pub(crate) fn amend(case: &str, options: Option<&str>, expect: Option<u64>) -> Request {
    let options = options.map(|options| options.parse().unwrap());
    let reason = Some("a payslip came in".parse().unwrap());
    let case = case.parse().unwrap();
    CaseAmend { case, options, reason, expect_version: expect.and_then(Version::new) }.into()
}

pub(crate) fn decide(case: &str, decision: &str, by: &str, expect: Option<u64>) -> Request {
    Decide {
        case: case.parse().unwrap(),
        decision: decision.parse().unwrap(),
        by: by.parse().unwrap(),
        expect_version: expect.and_then(Version::new),
        reason: Some(format!("{by} says so").parse().unwrap()),
    }
    .into()
}

async fn case(s: &Space) -> CaseState {
    s.tollgate.case(&"l".parse().unwrap()).await.unwrap().unwrap()
}

/// Version and seq of the decision that stands, as the last line shows them.
async fn last_line(s: &mut Space) -> (Code, Option<u64>, Option<u64>) {
    let entries = tollgate::journal::read(&mut s.link, &s.keys, 0, 10_000).await.unwrap().unwrap();
    let line = entries.last().unwrap().lines().unwrap().pop().unwrap();
    (line.code, line.after("version"), line.after("decided_seq"))
}

#[tokio::test]
async fn the_first_decision_stands_and_later_ones_learn_of_it() {
    let mut space = Space::new().await;
    let s = &mut space;
    assert_eq!(s.make(case_open("l")).await, Code::CaseOpened);
    assert_eq!(case(s).await.word, None);
    let (first, approve) = (JobId::fresh(), decide("l", "approve", "ann", Some(1)));
    let Answer::Decided { code: Code::Decided, seq } = s.settle_as(&first, &approve).await else { panic!() };
    assert_eq!(last_line(s).await, (Code::Decided, Some(1), None));
    for other in [decide("l", "reject", "bob", None), decide("l", "approve", "bob", Some(1))] {
        assert_eq!(s.make(other).await, Code::AlreadyDecided);
        assert_eq!(last_line(s).await, (Code::AlreadyDecided, Some(1), Some(seq)));
    }
    assert_eq!(s.make(amend("l", None, None)).await, Code::AlreadyDecided);
    assert!(matches!(s.settle_as(&first, &approve).await, Answer::Replayed { code: Code::Decided, .. }));
    let other = decide("l", "reject", "ann", Some(1));
    assert!(matches!(s.settle_as(&first, &other).await, Answer::Mismatch { .. }));
    let word = Word {
        decision: "approve".parse().unwrap(),
        by: "ann".parse().unwrap(),
        reason: Some("ann says so".parse().unwrap()),
    };
    assert_eq!((case(s).await.word, case(s).await.seq), (Some(word), seq));
    assert_eq!(violations(s).await, [""; 0]);
}

#[tokio::test]
async fn who_has_read_another_version_cannot_decide() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(case_open("l")).await;
    assert_eq!(s.make(amend("l", Some("approve,reject,defer"), Some(1))).await, Code::CaseAmended);
    assert_eq!(s.make(amend("l", Some("no"), Some(1))).await, Code::VersionMismatch);
    assert_eq!(s.make(decide("l", "defer", "ann", Some(1))).await, Code::VersionMismatch);
    assert_eq!(last_line(s).await, (Code::VersionMismatch, Some(2), None));
    // What is only said leaves the options as they are.
    assert_eq!(s.make(amend("l", None, None)).await, Code::CaseAmended);
    assert_eq!(s.make(decide("l", "perhaps", "ann", Some(3))).await, Code::NotAnOption);
    let CaseState { options, version, word, .. } = case(s).await;
    assert_eq!((options.as_str(), version.get(), word), ("approve,reject,defer", 3, None));
    assert_eq!(s.make(decide("l", "defer", "ann", Some(3))).await, Code::Decided);
    assert_eq!(violations(s).await, [""; 0]);
}

/// In one batch each job sees what those before it did.
#[tokio::test]
async fn a_batch_is_decided_in_its_order() {
    let mut space = Space::new().await;
    let s = &mut space;
    let batch = [
        decide("l", "approve", "ann", None),
        case_open("l"),
        amend("l", None, None),
        decide("l", "reject", "bob", Some(1)),
        decide("l", "reject", "bob", Some(2)),
        decide("l", "approve", "ann", Some(2)),
    ];
    let ids: Vec<JobId> = batch.iter().map(|_| JobId::fresh()).collect();
    let jobs: Vec<_> = ids.iter().zip(&batch).map(|(id, request)| (None, id, request)).collect();
    let answers = s.settle(&jobs).await.unwrap().answers;
    let codes: Vec<_> = answers.iter().filter_map(|answer| answer.code()).collect();
    use Code::*;
    assert_eq!(
        codes,
        [CaseNotFound, CaseOpened, CaseAmended, VersionMismatch, Decided, AlreadyDecided],
        "{answers:?}"
    );
    assert_eq!(last_line(s).await, (Code::AlreadyDecided, Some(2), Some(4)));
    assert_eq!(violations(s).await, [""; 0]);
}

/// 64 at once: officers who disagree, and whoever amends the case meanwhile.
#[tokio::test]
async fn of_many_who_decide_at_once_one_does() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(case_open("l")).await;
    let ask = |n: usize| match n % 4 {
        0 => amend("l", None, Some(1)),
        odd => decide("l", ["approve", "reject"][odd % 2], &format!("officer-{n}"), [None, Some(1)][odd % 2]),
    };
    let answers = race(s, |_| JobId::fresh(), ask).await;
    let with = |code| (0..CLIENTS).filter(|n| answers[*n].code() == Some(code)).collect::<Vec<usize>>();
    let [winner] = with(Code::Decided)[..] else { panic!("{answers:?}") };
    let word = case(s).await.word.unwrap();
    assert_eq!(word.by.as_str(), format!("officer-{winner}"));
    // At most one amended what all of them had read; whoever had read that came too late then.
    let amended = with(Code::CaseAmended).len();
    assert!(amended <= 1 && (amended == 1 || with(Code::VersionMismatch).is_empty()), "{answers:?}");
    assert_eq!(case(s).await.version.get(), 1 + amended as u64);
    assert_eq!(violations(s).await, [""; 0]);
}

/// Whatever is changed past the scripts, the audit sees.
#[tokio::test]
async fn each_field_is_audited() {
    for (words, wrong) in [
        (&["HSET", "decision", "reject"][..], "decision is not what the journal says"),
        (&["HSET", "by", "eve"], "by is not what the journal says"),
        (&["HSET", "reason", ""], "reason is not what the journal says"),
        (&["HSET", "options", "approve"], "options is not what the journal says"),
        (&["HSET", "version", "2"], "version is not what the journal says"),
        (&["HSET", "seq", "99"], "its seq names no line that changed it"),
        (&["HDEL", "by"], "by is not what the journal says"),
        (&["DEL"], "its key is gone"),
    ] {
        let mut space = Space::new().await;
        let s = &mut space;
        s.make(case_open("l")).await;
        s.make(decide("l", "approve", "ann", None)).await;
        let key = s.keys.case(&"l".parse().unwrap());
        let damage = [&[words[0], key.as_str()], &words[1..]].concat();
        s.run(&damage).await;
        let found = violations(s).await;
        assert!(found.iter().any(|found| found.contains(wrong) && found.contains("case:l")), "{found:?}");
    }
    // A key that no line made.
    let mut space = Space::new().await;
    let s = &mut space;
    let key = s.keys.case(&"ghost".parse().unwrap());
    s.run(&["HSET", &key, "version", "1"]).await;
    assert!(violations(s).await.concat().contains("case:ghost"));
}
