//! `init_meta` and `init_head`: a namespace comes into being in steps that can be cut off and repeated, and
//! never over what is left of a lost one.

use std::time::Duration;

use tollgate::ids::{Bucket, Identity, Namespace};
use tollgate::keys::Keys;
use tollgate::partition::Partitions;
use tollgate::scripts::init::{HeadInit, MetaState, Parameters, head, meta};
use tollgate::scripts::receipts_drop::Pace;
use tollgate::tag::Tag;
use tollgate::{Init, OpenError, Tollgate};

use crate::harness::{cmd, servers, shared};
use crate::space::*;

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn an_initialised_namespace_has_its_retention_changed_and_nothing_else() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 1)).await;
    let before = s.dump().await;
    let namespace = s.tollgate.namespace().clone();
    Tollgate::init(s.server.clone(), namespace.clone(), Partitions::ONE, DAY).await.unwrap();
    let after = s.dump().await;
    assert_eq!(before.changed(&after), ["head"]);
    let mut head = before.hash("head");
    head.insert("retention_ms".to_owned(), DAY.as_millis().to_string());
    assert_eq!(after.hash("head"), head, "the floor stays: only receipts_drop raises it");
    let meta = Keys::meta(&namespace);
    assert_eq!(s.text(&["HGET", &meta, "state"]).await.as_deref(), Some("ready"));
    assert_eq!(s.text(&["HGET", &meta, "retention_ms"]).await.as_deref(), Some("86400000"));

    let more = Partitions::new(4).unwrap();
    let refused = Tollgate::init(s.server.clone(), namespace, more, DAY).await.unwrap_err();
    assert!(matches!(refused, OpenError::OtherPartitions { found: 1, asked: 4, .. }), "{refused}");
    assert!(after.changed(&s.dump().await).is_empty());
    let keys = s.keys.clone();
    let first = Partitions::ONE.get(0).unwrap();
    let made = head_of(s, &keys, first, more).await;
    assert_eq!(made, HeadInit::OtherParameters("partitions 1, not 4".to_owned()));
    let made = head_of(s, &keys, more.get(1).unwrap(), Partitions::ONE).await;
    assert_eq!(made, HeadInit::OtherParameters("partition 0, not 1".to_owned()));
}

async fn head_of(
    s: &mut Space,
    keys: &Keys,
    partition: tollgate::partition::Partition,
    partitions: Partitions,
) -> HeadInit {
    let parameters = Parameters { partitions, ..s.parameters(DAY) };
    head(&mut s.link, keys, partition, &parameters).await.unwrap()
}

#[tokio::test]
async fn what_a_killed_init_began_is_finished() {
    let server = shared();
    let mut link = server.link().await.unwrap();
    let partitions = Partitions::new(3).unwrap();
    let namespace = servers::namespace();
    let opened = Tollgate::open(server.clone(), namespace.clone()).await.unwrap_err();
    assert!(matches!(opened, OpenError::Empty(_)), "{opened}");
    let parameters = Parameters { identity: Identity::fresh(), partitions, retention: DAY };
    let tags = Tag::all(&namespace, partitions);
    meta(&mut link, &namespace, MetaState::Initialising, &parameters, &tags).await.unwrap();
    let second = partitions.get(1).unwrap();
    let keys = Keys::new(&namespace, second, partitions);
    assert_eq!(head(&mut link, &keys, second, &parameters).await.unwrap(), HeadInit::Created);
    let opened = Tollgate::open(server.clone(), namespace.clone()).await.unwrap_err();
    assert!(matches!(opened, OpenError::Initialising(_)), "{opened}");
    Tollgate::init(server.clone(), namespace.clone(), partitions, DAY).await.unwrap();
    let opened = Tollgate::open(server, namespace.clone()).await.unwrap();
    assert_eq!((opened.partitions(), opened.identity()), (partitions, &parameters.identity));
    // A meta of another type is damage, not a new namespace.
    link.run(&cmd(&["SET", &Keys::meta(&namespace), "text"])).await.unwrap();
    let refused = meta(&mut link, &namespace, MetaState::Ready, &parameters, &tags).await.unwrap_err();
    assert_eq!(refused.code(), Some(tollgate::code::Code::CorruptPartition));
}

#[tokio::test]
async fn history_without_a_head_is_never_begun_again() {
    for trace in ["journal", "resources", "parked", "kept"] {
        let mut space = Space::new().await;
        let s = &mut space;
        s.make(create("c", 1)).await;
        s.settle_as(&id("mine"), &redeem("c", "u", 1)).await;
        let (head_key, parked) = (s.keys.head(), s.keys.parked());
        s.run(&["HSET", &parked, "x", "y"]).await;
        let all = [
            ("journal", s.keys.journal()),
            ("resources", s.keys.resources()),
            ("parked", parked),
            ("kept", s.keys.receipts(Bucket::Kept)),
        ];
        s.run(&["DEL", &head_key]).await;
        for (_, key) in all.iter().filter(|(name, _)| *name != trace) {
            s.run(&["DEL", key]).await;
        }
        let before = s.dump().await;
        let keys = s.keys.clone();
        let first = Partitions::ONE.get(0).unwrap();
        assert_eq!(head_of(s, &keys, first, Partitions::ONE).await, HeadInit::CorruptState, "{trace}");
        assert!(before.changed(&s.dump().await).is_empty(), "{trace}");
    }
    // A stream alone is no history: someone enqueued before init.
    let mut space = Space::new().await;
    let s = &mut space;
    s.enqueue(&[fresh(redeem("c", "u", 1))]).await;
    let (head_key, keys) = (s.keys.head(), s.keys.clone());
    s.run(&["DEL", &head_key]).await;
    let first = Partitions::ONE.get(0).unwrap();
    assert_eq!(head_of(s, &keys, first, Partitions::ONE).await, HeadInit::Created);
    let floor = s.stats().await.head.receipts_floor_hour;
    assert_eq!(floor, (s.now_ms().await - 86_400_000) / 3_600_000);
}

#[tokio::test]
async fn the_longest_duration_there_is_damages_nothing() {
    let mut space = Space::new().await;
    let s = &mut space;
    let first = Partitions::ONE.get(0).unwrap();
    let parameters = s.parameters(Duration::MAX);
    head(&mut s.link, &s.keys, first, &parameters).await.unwrap();
    let (queues, floor) = (s.queues().await, s.stats().await.head.receipts_floor_hour);
    let drop = tollgate::scripts::receipts_drop::receipts_drop(
        &mut s.link,
        &s.keys,
        &queues,
        floor,
        Pace::ByHand,
        9,
    );
    assert_eq!(drop.await.unwrap().unwrap().floor_hour, floor, "the retention is read back");
}

/// A head that is left over from another namespace of the name is named by whoever opens it, and by the audit.
#[tokio::test]
async fn a_head_of_another_identity_or_format_is_refused_by_name() {
    for (field, value, told) in [
        ("identity", "0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"),
        ("identity", "", "identity"),
        ("format", "1", "format 1, and this release reads format 4 only"),
    ] {
        let mut space = Space::new().await;
        let s = &mut space;
        s.make(create("c", 1)).await;
        let (namespace, head_key) = (s.tollgate.namespace().clone(), s.keys.head());
        s.run(&["HSET", &head_key, field, value]).await;
        let refused = Tollgate::open(s.server.clone(), namespace.clone()).await.unwrap_err().to_string();
        assert!(refused.contains(told), "{refused}");
        let again = Tollgate::init(s.server.clone(), namespace.clone(), Partitions::ONE, DAY).await;
        assert!(again.unwrap_err().to_string().contains(field));
        let tollgate = Tollgate::open_unchecked(s.server.clone(), namespace).await.unwrap();
        let report = tollgate_audit::audit(&tollgate, &[], &|_| {}).await.unwrap();
        let what = format!("{field} of the head is another");
        assert!(report.violations.iter().any(|violation| violation.what == what), "{:#?}", report.violations);
    }
    let mut space = Space::new().await;
    let s = &mut space;
    let namespace = s.tollgate.namespace().clone();
    s.run(&["HSET", &Keys::meta(&namespace), "format", "1"]).await;
    let refused = Tollgate::open(s.server.clone(), namespace.clone()).await.unwrap_err();
    assert!(matches!(&refused, OpenError::OtherFormat { found, .. } if found == "1"), "{refused}");
    let refused = Tollgate::init(s.server.clone(), namespace, Partitions::ONE, DAY).await.unwrap_err();
    assert!(matches!(refused, OpenError::OtherFormat { .. }), "{refused}");
}

/// What a client in another language reads.
#[tokio::test]
async fn the_metadata_lists_the_tags_and_the_identity() {
    let namespace = servers::namespace();
    let (server, partitions) = (shared(), Partitions::new(4).unwrap());
    let tollgate = Tollgate::init(server.clone(), namespace.clone(), partitions, DAY).await.unwrap();
    let mut link = server.link().await.unwrap();
    let mut ask = async |field| -> String {
        link.query(&cmd(&["HGET", &Keys::meta(&namespace), field])).await.unwrap()
    };
    let tags: Vec<String> = ask("tags").await.split(' ').map(str::to_owned).collect();
    assert_eq!((tags.len(), ask("format").await.as_str()), (4, "4"));
    assert_eq!(ask("identity").await, tollgate.identity().as_str());
    for (tag, partition) in tags.iter().zip(partitions.iter()) {
        assert_eq!(tollgate.keys(partition).head(), format!("{tag}:head"));
        assert_eq!(Tag::of(&namespace, partition, partitions).as_str(), tag);
    }
    link.run(&cmd(&["HSET", &Keys::meta(&namespace), "tags", &tags[..3].join(" ")])).await.unwrap();
    let refused = Tollgate::open(server, namespace).await.unwrap_err();
    assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused}");
}

/// What is left of a namespace whose metadata is gone: nothing begins from zero beside it unasked.
#[tokio::test]
async fn init_begins_over_remains_only_if_told_so_and_lists_them() {
    let namespace = servers::namespace();
    let server = shared();
    let mut link = server.link().await.unwrap();
    let tag = format!("{{{namespace}.0}}");
    let keys = [format!("{tag}:queue:default"), format!("{tag}:workers")];
    link.run(&cmd(&["XADD", &keys[0], "*", "job", "{}"])).await.unwrap();
    link.run(&cmd(&["HSET", &keys[1], "w", "1"])).await.unwrap();
    let asked = Init::default();
    let refused = Tollgate::init_with(server.clone(), namespace.clone(), asked).await.unwrap_err();
    assert!(matches!(&refused, OpenError::Remains { count: 2, .. }), "{refused}");
    assert!(keys.iter().all(|key| refused.to_string().contains(key)), "{refused}");
    let meta: u64 = link.query(&cmd(&["EXISTS", &Keys::meta(&namespace)])).await.unwrap();
    assert_eq!(meta, 0, "nothing was begun");
    let asked = Init { over_remains: true, ..asked };
    Tollgate::init_with(server.clone(), namespace.clone(), asked).await.unwrap();
    let queue: u64 = link.query(&cmd(&["XLEN", &keys[0]])).await.unwrap();
    assert_eq!(queue, 1, "what was sent before is a job");
    // Another namespace whose name begins alike is none of ours.
    let other = Namespace::parse(format!("{namespace}-b")).unwrap();
    Tollgate::init_with(server, other, Init::default()).await.unwrap();
}

/// The heads say everything that the lost metadata said.
#[tokio::test]
async fn lost_metadata_alone_is_mended_by_what_the_heads_say() {
    let namespace = servers::namespace();
    let (server, partitions) = (shared(), Partitions::new(4).unwrap());
    let tollgate = Tollgate::init(server.clone(), namespace.clone(), partitions, DAY).await.unwrap();
    let mut link = server.link().await.unwrap();
    let meta = Keys::meta(&namespace);
    let before: std::collections::BTreeMap<String, String> =
        link.query(&cmd(&["HGETALL", &meta])).await.unwrap();
    link.run(&cmd(&["DEL", &meta])).await.unwrap();
    let one = Init { partitions: Some(Partitions::ONE), ..Init::default() };
    let refused = Tollgate::init_with(server.clone(), namespace.clone(), one).await.unwrap_err();
    assert!(matches!(refused, OpenError::OtherPartitions { found: 4, asked: 1, .. }), "{refused}");
    Tollgate::init_with(server.clone(), namespace.clone(), Init::default()).await.unwrap();
    let after: std::collections::BTreeMap<String, String> =
        link.query(&cmd(&["HGETALL", &meta])).await.unwrap();
    assert_eq!(after, before);
    // One head short, it is no longer the metadata alone.
    link.run(&cmd(&["DEL", &meta])).await.unwrap();
    link.run(&cmd(&["DEL", &tollgate.keys(partitions.get(2).unwrap()).head()])).await.unwrap();
    let refused = Tollgate::init_with(server, namespace, Init::default()).await.unwrap_err();
    assert!(matches!(refused, OpenError::Remains { .. }), "{refused}");
}
