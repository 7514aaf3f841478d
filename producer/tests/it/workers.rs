//! `worker ls`: workers by their beats and by what they hold.

use serde_json::{Value, json};
use tollgate::fetch::Take;
use tollgate::ids::QueueName;
use tollgate::scripts::beat::beat;
use tollgate::workers::Description;

use crate::fixtures::{a_worker, fresh};

#[tokio::test]
async fn workers_are_told_by_their_beats_and_what_they_hold() {
    let cli = fresh("1");
    let tollgate = cli.tollgate().await;
    let keys = cli.keys(&tollgate);
    let mut link = tollgate.server().link().await.unwrap();
    let description = a_worker();
    beat(&mut link, &keys, "w-live", &description.encode()).await.unwrap();
    let quiet = Description { fetching: false, ..description.clone() };
    beat(&mut link, &keys, "w-quiet", &quiet.encode()).await.unwrap();
    cli.redis(&["HSET", &keys.workers(), "w-old", &format!("1000\t{}", description.encode())]);
    let stream = keys.queue(&QueueName::default());
    cli.redis(&["XADD", &stream, "*", "job", "{}"]);
    Take::new(&keys, &QueueName::default(), "w-killed", 9).run(&mut link).await.unwrap().unwrap();

    let listed = cli.run(&["worker", "ls", "--json"]).json();
    let told: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["worker"].as_str().unwrap(),
                row["state"].as_str().unwrap(),
                row["in_flight"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [("w-killed", "silent", 1), ("w-live", "alive", 0), ("w-old", "silent", 0), ("w-quiet", "quiet", 0)]
    );
    assert_eq!((&listed[1]["host"], &listed[1]["pid"]), (&json!("box"), &json!(42)));
    assert_eq!(listed[0]["beat_age_ms"], Value::Null);
    cli.run(&["worker", "ls"]).exits(0);
}
