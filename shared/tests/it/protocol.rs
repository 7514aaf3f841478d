//! `docs/protocol.md` says what the code does: its vectors, limits and examples are read from the page.

use tollgate::amount::NUMBER_MAX;
use tollgate::code::{Class, Code, Stored};
use tollgate::envelope::{ENVELOPE_BYTES_MAX, Envelope};
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{Bucket, ID_BYTES_MAX, JobId, Namespace, QueueName};
use tollgate::keys::Keys;
use tollgate::kinds::{Entrance, Fields, Kind};
use tollgate::partition::{Partition, Partitions};
use tollgate::tag::Tag;

const PAGE: &str = include_str!("../../../docs/protocol.md");

/// The rows of the table whose head begins with `first`, cells without their backticks.
fn table(first: &str) -> Vec<Vec<&'static str>> {
    let head = format!("| {first} |");
    let rows: Vec<Vec<&str>> = PAGE
        .lines()
        .skip_while(|line| !line.starts_with(&head))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .collect();
    assert!(!rows.is_empty(), "no table that begins with {first}");
    rows
}

fn partitions(count: u16) -> Partitions {
    Partitions::new(count).unwrap()
}

#[test]
fn the_kinds_that_only_a_file_may_have() {
    let (_, list) = PAGE.split_once("lines of the same form may have these kinds as well: ").unwrap();
    let (list, _) = list.split_once(". ").unwrap();
    let mut told: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    let mut kinds: Vec<&str> =
        Kind::ALL.iter().filter(|kind| kind.entrance() == Entrance::File).map(|kind| kind.name()).collect();
    told.sort_unstable();
    kinds.sort_unstable();
    assert_eq!(told, kinds);
}

#[test]
fn partition_vectors() {
    for row in table("resource id") {
        let [id, crc, of_4, of_16, of_16384] = row[..] else { panic!("{row:?}") };
        let crc = u16::from_str_radix(crc.strip_prefix("0x").unwrap(), 16).unwrap();
        for (count, expected) in [(4, of_4), (16, of_16), (16_384, of_16384)] {
            let expected: u16 = expected.parse().unwrap();
            assert_eq!(Partition::of(id, partitions(count)).number(), expected, "{id} of {count}");
            assert_eq!(crc % count, expected, "{id} of {count}");
        }
    }
}

#[test]
fn tag_vectors() {
    const CRC: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_XMODEM);
    for row in table("namespace | partitions") {
        let [namespace, count, number, tag, slot] = row[..] else { panic!("{row:?}") };
        let partitions = partitions(count.parse().unwrap());
        let partition = partitions.get(number.parse().unwrap()).unwrap();
        let computed = Tag::of(&Namespace::parse(namespace).unwrap(), partition, partitions);
        assert_eq!(computed.as_str(), tag, "{row:?}");
        let content = tag.trim_matches(|brace| "{}".contains(brace));
        assert_eq!((CRC.checksum(content.as_bytes()) % 16_384).to_string(), slot, "{row:?}");
    }
}

#[test]
fn fingerprint_vectors() {
    use sha2::{Digest, Sha256};
    let mut described = Vec::new();
    for row in table("hashed text") {
        let [text, fingerprint] = row[..] else { panic!("{row:?}") };
        let digest: String =
            Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, fingerprint, "{text}");
        described.push(fingerprint);
    }
    for row in table("envelope") {
        let [json, fingerprint] = row[..] else { panic!("{row:?}") };
        let envelope = Envelope::decode(json.as_bytes()).unwrap();
        assert_eq!(Fingerprint::of(&envelope.request).to_string(), fingerprint, "{json}");
        assert!(described.contains(&fingerprint), "{json}");
    }
}

#[test]
fn list_vectors() {
    use tollgate::quantity::{Limit, Quantity};
    use tollgate::stock::{Stock, StockItem};
    let rows = table("list");
    assert_eq!(rows.len(), 2);
    for row in rows {
        let items = row[0].trim_end_matches(" LF").split(" LF ").map(|line| {
            let words: Vec<&str> = line.split(" TAB ").collect();
            let per_customer = words.get(2).map(|most| Quantity::parse("per_customer", most).unwrap());
            let quantity = Limit::parse("quantity", words[1]).unwrap();
            (words[0].parse().unwrap(), StockItem { quantity, per_customer })
        });
        assert_eq!(Stock::new(items).unwrap().name().as_str(), row[1], "{row:?}");
    }
}

#[test]
fn the_examples_are_jobs_in_the_right_stream() {
    let examples: Vec<&str> = PAGE.lines().filter(|line| line.starts_with("redis-cli XADD")).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        let words: Vec<&str> = example.split('\'').collect();
        let [_, key, _, id, field, json, _] = words[..] else { panic!("{words:?}") };
        assert_eq!((id, field.trim()), ("*", "job"));
        let job = Envelope::decode_job(json.as_bytes()).unwrap();
        let partition = Partition::of(job.request.resource().id(), Partitions::ONE);
        assert_eq!(
            key,
            Keys::new(&Namespace::default(), partition, Partitions::ONE).queue(&QueueName::default())
        );
    }
}

#[test]
fn every_field_of_a_queueable_kind_is_in_the_table() {
    let documented: Vec<(&str, &str)> = table("field").iter().map(|row| (row[0], row[1])).collect();
    let example = |kind: Kind| match kind {
        Kind::Redeem => Some(r#"{"kind":"redeem","id":"j","campaign":"c","customer":"x"}"#),
        // A payout is sent as a withdrawal: the kind with all of its fields.
        Kind::Payout => Some(r#"{"kind":"withdraw","id":"j","account":"a","amount":1,"destination":"d"}"#),
        Kind::Reserve => Some(
            r#"{"kind":"reserve","id":"j","inventory":"s","customer":"x","lines":[{"item":"i"}],"hold_for_ms":1}"#,
        ),
        Kind::Commit => Some(r#"{"kind":"commit","id":"j","inventory":"s","reservation":"r"}"#),
        Kind::Release => Some(r#"{"kind":"release","id":"j","inventory":"s","reservation":"r"}"#),
        Kind::Extend => {
            Some(r#"{"kind":"extend","id":"j","inventory":"s","reservation":"r","hold_for_ms":1}"#)
        }
        Kind::Return => Some(r#"{"kind":"return","id":"j","inventory":"s","order":"o"}"#),
        Kind::Exchange => {
            Some(r#"{"kind":"exchange","id":"j","inventory":"s","order":"o","from":"a","to":"b"}"#)
        }
        Kind::Transfer => Some(r#"{"kind":"transfer","id":"j","from":"a","to":"b","amount":1}"#),
        Kind::Purchase => {
            Some(r#"{"kind":"purchase","id":"j","inventory":"s","customer":"x","lines":[{"item":"i"}]}"#)
        }
        _ => None,
    };
    for kind in Kind::ALL.iter().copied().filter(|kind| *kind != Kind::Withdraw) {
        assert_eq!(kind.is_queueable(), example(kind).is_some(), "{kind}: say in the page how to send it");
        let Some(json) = example(kind) else { continue };
        let sent_as = if kind == Kind::Payout { Kind::Withdraw } else { kind };
        let mut fields = vec!["v", "id", "kind", "at"];
        Envelope::decode_job(json.as_bytes())
            .unwrap()
            .request
            .each_field(&mut |field, _| fields.push(field.name));
        let of_kind = |kinds: &str| kinds == "all" || kinds.split(", ").any(|name| name == sent_as.name());
        let listed: Vec<&str> =
            documented.iter().filter(|(_, kinds)| of_kind(kinds)).map(|(name, _)| *name).collect();
        assert_eq!(listed, fields, "{kind}");
    }
}

#[test]
fn limits_and_ids() {
    assert!(PAGE.contains(&format!("at most {ENVELOPE_BYTES_MAX} bytes")));
    assert!(PAGE.contains(&format!("1 to {ID_BYTES_MAX} bytes of UTF-8")));
    assert_eq!(PAGE.matches(&format!("from 1 to {NUMBER_MAX}")).count(), 2);
    assert!(PAGE.contains(&format!("a list of 1 to {} objects", tollgate::lines::LINES_MAX)));
    let examples = &table("an id")[0];
    assert!(matches!(JobId::parse(examples[1]).unwrap().bucket(), Bucket::Hour(_)));
    assert_eq!(JobId::parse(examples[2]).unwrap().bucket(), Bucket::Kept);
    assert_eq!(tollgate::RETENTION_DEFAULT.as_secs(), 7 * 24 * 3600);
    assert!(PAGE.contains("7 days by default"));
}

/// The codes between the first brackets after `name`, in the source of an example.
fn listed(source: &'static str, name: &str) -> Vec<&'static str> {
    let after = source.split_once(&format!("{name} = ")).unwrap().1;
    after.lines().next().unwrap().split(['\'', '"']).skip(1).step_by(2).collect()
}

#[test]
fn every_code_that_a_queued_job_can_end_with_has_its_class() {
    const PYTHON: &str = include_str!("../../../examples/python/tollgate.py");
    const TYPESCRIPT: &str = include_str!("../../../examples/typescript/tollgate.ts");
    let rows = table("code");
    let of_class = |class: Class| -> Vec<&str> {
        rows.iter().filter(|row| row[1] == class.name()).map(|row| row[0]).collect()
    };
    let (applied, pending) = (of_class(Class::Applied), of_class(Class::Pending));
    assert_eq!(applied.len() + pending.len() + 1, rows.len(), "and the last row is for any other code");
    for code in Code::ALL.iter().filter(|code| code.stored() == Stored::Yes) {
        // What only an operation can answer, which is never queued.
        let of_operation = matches!(
            code,
            Code::Deposited
                | Code::Refunded
                | Code::Reversed
                | Code::AccountOpened
                | Code::Closed
                | Code::CampaignCreated
                | Code::LimitSet
                | Code::CaseOpened
                | Code::CaseAmended
                | Code::Decided
                | Code::InventoryCreated
                | Code::InventoryLoaded
                | Code::Restocked
                | Code::QuantitySet
                | Code::SaleCancelled
                | Code::Archived
                | Code::InventoryOpen
                | Code::ReservationsOpen
        );
        let class = code.class_of_decision();
        assert_eq!(applied.contains(&code.name()), class == Class::Applied && !of_operation, "{code}");
        assert_eq!(pending.contains(&code.name()), class == Class::Pending, "{code}");
    }
    for source in [PYTHON, TYPESCRIPT] {
        assert_eq!(listed(source, "APPLIED"), applied);
        assert_eq!(listed(source, "PENDING"), pending);
    }
}
