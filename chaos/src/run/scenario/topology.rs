//! The scenarios of a cluster and of Sentinels, in the order of docs/chaos.md. Their nodes say themselves where they are, so
//! nothing is on the way to them: what breaks is nodes, and who has what.

use super::{Bite, Ground, Scenario, ms, scenario};
use crate::run::counted::{LOST_LINES, OTHERS_WENT_ON};
use crate::run::fault::Fault;

const CLUSTER: Ground = Ground::Cluster { can_be_cut_off: false };
const SENTINEL: Ground = Ground::Sentinel { can_be_cut_off: false };

/// A replica that takes over lacks what it had not been told yet.
fn loses(scenario: Scenario) -> Scenario {
    Scenario { may_lose: true, ..scenario }.bites(Bite::Counted("rollbacks"))
}

/// Whoever dies comes back with everything, if that was forced to disk.
fn keeps(scenario: Scenario) -> Scenario {
    Scenario { appendfsync: "always", ..scenario }
}

pub(super) fn all() -> Vec<Scenario> {
    let all = [cluster(), sentinel()].concat().into_iter();
    all.map(|scenario| Scenario { smoke: ms(5_000), ..scenario }).collect()
}

fn cluster() -> Vec<Scenario> {
    use Fault::*;
    vec![
        scenario(
            "cluster-reshard",
            "slots move to another master, as operators move them",
            &["slot migration and resharding under load"],
        )
        .on(CLUSTER)
        .fault(Reshard, 1_500, 0),
        scenario(
            "cluster-slot-half-moved",
            "half of a slot's keys are here and half are there",
            &["a slot half moved"],
        )
        .on(CLUSTER)
        .fault(HalfMoveSlot, 1_500, 1_200),
        scenario(
            "cluster-failover",
            "a replica takes over from its master by CLUSTER FAILOVER",
            &["CLUSTER FAILOVER"],
        )
        .on(CLUSTER)
        .fault(FailOverMaster, 1_500, 0),
        loses(scenario(
            "cluster-master-killed",
            "a master dies, and its replica takes over",
            &["kill -9 of a master with a replica"],
        ))
        .on(CLUSTER)
        .fault(KillMaster, 4_000, 1_000),
        loses(scenario(
            "cluster-cut-off",
            "clients reach a master that no node reaches; it comes back as a replica",
            &["a node cut off, back as a replica"],
        ))
        .on(Ground::Cluster { can_be_cut_off: true })
        .fault(CutOffMaster, 4_000, 1_500)
        .bites(Bite::Counted(LOST_LINES)),
        keeps(scenario(
            "cluster-minority-gone",
            "a master and its replica are gone; the other partitions go on",
            &["a minority gone"],
        ))
        .on(CLUSTER)
        .fault(MinorityGone, 4_000, 2_000)
        .bites(Bite::Counted(OTHERS_WENT_ON)),
        Scenario {
            // Of two that come back one after the other, the later may find its replica in its place.
            may_lose: true,
            ..keeps(scenario(
                "cluster-majority-gone",
                "two masters of three are gone, and no replica may take over",
                &["a majority gone"],
            ))
        }
        .on(CLUSTER)
        .fault(MajorityGone, 4_000, 2_500),
        keeps(scenario("cluster-restarted", "all nodes die and are started again", &["all nodes restarted"]))
            .on(CLUSTER)
            .fault(AllRestarted, 4_000, 500),
    ]
}

fn sentinel() -> Vec<Scenario> {
    use Fault::*;
    vec![
        loses(scenario(
            "sentinel-failover",
            "the Sentinels are told to make the replica the master",
            &["SENTINEL FAILOVER"],
        ))
        .on(SENTINEL)
        .fault(FailOverMaster, 4_000, 0),
        loses(scenario(
            "sentinel-master-killed",
            "the master dies, and its replica takes over",
            &["kill -9 of a master with a replica"],
        ))
        .on(SENTINEL)
        .fault(KillMaster, 4_000, 1_000),
        loses(scenario(
            "sentinel-cut-off",
            "clients reach a master that neither its replica nor a Sentinel reaches; it comes back as a replica",
            &["a node cut off, back as a replica"],
        ))
        .on(Ground::Sentinel { can_be_cut_off: true })
        .fault(CutOffMaster, 4_000, 3_000)
        .bites(Bite::Counted(LOST_LINES)),
        loses(scenario(
            "sentinel-minority-gone",
            "one of three Sentinels is gone when the master dies",
            &["a minority gone"],
        ))
        .on(SENTINEL)
        .fault(MinorityGone, 4_000, 1_000),
        keeps(scenario(
            "sentinel-majority-gone",
            "two of three Sentinels are gone when the master dies, and nobody takes over",
            &["a majority gone"],
        ))
        .on(SENTINEL)
        .fault(MajorityGone, 4_000, 2_500),
        keeps(scenario(
            "sentinel-restarted",
            "master, replica and Sentinels die and are started again",
            &["all nodes restarted"],
        ))
        .on(SENTINEL)
        .fault(AllRestarted, 4_000, 500),
    ]
}
