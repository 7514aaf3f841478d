//! What became of a job: from what the partitions know of its id to one word for whoever asks.
//!
//! Relies on the `lookup` script, one call a partition, and on the orders that lie under inventories: they are known for
//! longer than receipts. Reading only.

use std::fmt;

use futures_util::StreamExt;
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::code::{Class, Code};
use crate::protocol::fingerprint::Fingerprint;
use crate::protocol::ids::JobId;
use crate::protocol::partition::Partition;
use crate::reads::abreast::abreast;
use crate::reads::orders::{self, Order};
use crate::scripts::ScriptError;
use crate::scripts::lookup::{IDS_MAX, ParkedState, Trace, lookup};
use crate::tollgate::Tollgate;

/// How far a job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutcomeClass {
    /// Its effect happened, once; final.
    Applied,
    /// Decided against; final.
    Refused,
    /// Known and on its way: it waits for its time, or its money is held until it is paid.
    Pending,
    /// Nobody could decide it; an operator may retry or discard it.
    Dead,
    /// Its id is older than the receipts: not executed now, may have been before; the journal knows.
    Expired,
    /// Waiting in a stream, or never arrived. Sending the same id again is safe.
    NotDecided,
}

impl OutcomeClass {
    fn of_decision(code: Code) -> Self {
        match code.class_of_decision() {
            Class::Applied => Self::Applied,
            Class::Pending => Self::Pending,
            _ => Self::Refused,
        }
    }

    /// The name in `--json` and in the docs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::Pending => "pending",
            Self::Dead => "dead",
            Self::Expired => "expired",
            Self::NotDecided => "not_decided",
        }
    }
}

impl fmt::Display for OutcomeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is known of one id, as JSON `{id, partition, class, code, seq, given_back?, reservation?}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The id.
    pub id: JobId,
    /// The partition that knows it.
    pub partition: Option<Partition>,
    /// How far it has come.
    pub class: OutcomeClass,
    /// Why, by a stable name: a [`Code`], or where a pending job is; `None` while nothing is known.
    pub code: Option<&'static str>,
    /// The journal line that decided it.
    pub seq: Option<u64>,
    /// Of the request that the partition knows under this id.
    pub fingerprint: Option<Fingerprint>,
    /// How much of it was given back: minor units of a withdrawal or payout, the quantity of a redemption.
    pub given_back: Option<u64>,
    /// Of a reservation: `open`, `committed`, `released`, `expired`, `cancelled`, `returned` or `damaged`.
    pub reservation: Option<&'static str>,
}

impl Outcome {
    fn new(id: &JobId, class: OutcomeClass, code: Option<&'static str>) -> Self {
        let (seq, fingerprint, given_back, reservation) = Default::default();
        Self { id: id.clone(), partition: None, class, code, seq, fingerprint, given_back, reservation }
    }

    /// Of an id that nobody knows.
    pub(crate) fn unknown(id: &JobId) -> Self {
        Self::new(id, OutcomeClass::NotDecided, None)
    }

    /// What one partition's trace means. A job that was put back into its stream is not decided, like any other
    /// that waits there.
    fn of_trace(id: &JobId, partition: Partition, trace: &Trace) -> Self {
        let (class, code, seq, fingerprint, given_back) = match trace {
            Trace::Receipt { fingerprint, code, seq, given_back } => (
                OutcomeClass::of_decision(*code),
                Some(code.name()),
                Some(*seq),
                Some(*fingerprint),
                *given_back,
            ),
            Trace::Parked { state, fingerprint, reason, .. } => {
                let (class, code) = match state {
                    ParkedState::Scheduled => (OutcomeClass::Pending, Some("scheduled")),
                    ParkedState::Dead => (OutcomeClass::Dead, reason.map(Code::name)),
                    ParkedState::Queued => (OutcomeClass::NotDecided, None),
                };
                (class, code, None, Some(*fingerprint), None)
            }
            Trace::Expired => return Self::new(id, OutcomeClass::Expired, Some(Code::IdExpired.name())),
            Trace::None => return Self::new(id, OutcomeClass::NotDecided, None),
        };
        let (id, partition) = (id.clone(), Some(partition));
        Self { id, partition, class, code, seq, fingerprint, given_back, reservation: None }
    }

    /// Of an order whose receipt was dropped: it answers as the receipt would.
    fn of_order(id: &JobId, partition: Partition, order: &Order<'_>) -> Self {
        let code = order.code();
        Self {
            partition: Some(partition),
            seq: Some(order.seq),
            fingerprint: order.fingerprint,
            reservation: order.fingerprint.map(|_| order.state.name()),
            ..Self::new(id, OutcomeClass::of_decision(code), Some(code.name()))
        }
    }

    /// Is there no more to come?
    pub fn is_final(&self) -> bool {
        !matches!(self.class, OutcomeClass::Pending | OutcomeClass::NotDecided)
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let optional = usize::from(self.given_back.is_some()) + usize::from(self.reservation.is_some());
        let mut fields = serializer.serialize_struct("Outcome", 5 + optional)?;
        fields.serialize_field("id", self.id.as_str())?;
        fields.serialize_field("partition", &self.partition.map(Partition::number))?;
        fields.serialize_field("class", self.class.name())?;
        fields.serialize_field("code", &self.code)?;
        fields.serialize_field("seq", &self.seq)?;
        if let Some(given_back) = self.given_back {
            fields.serialize_field("given_back", &given_back)?;
        }
        if let Some(reservation) = self.reservation {
            fields.serialize_field("reservation", &reservation)?;
        }
        fields.end()
    }
}

impl Tollgate {
    /// What one partition knows of `ids`: its seq when it was asked last, and one outcome for each id, in order.
    ///
    /// # Errors
    /// As [`lookup`]; asking again is safe.
    pub async fn lookup_in(
        &self,
        link: &mut Link,
        partition: Partition,
        ids: &[JobId],
    ) -> Result<(u64, Vec<Outcome>), ScriptError> {
        let mut seq = 0;
        let mut outcomes = Vec::with_capacity(ids.len());
        // Without ids there is one call all the same: for the seq.
        let chunks = if ids.is_empty() { vec![ids] } else { ids.chunks(IDS_MAX).collect() };
        for chunk in chunks {
            let (now, traces) = lookup(link, self.keys(partition), chunk).await?;
            seq = now;
            outcomes
                .extend(chunk.iter().zip(&traces).map(|(id, trace)| Outcome::of_trace(id, partition, trace)));
        }
        Ok((seq, outcomes))
    }

    /// What becomes of `ids`, for each one the outcomes, in the order asked.
    ///
    /// An id belongs to a partition together with its resource, which is not known here, so all partitions are
    /// asked, several at a time. Nearly always that gives one outcome; an id that was used in several partitions has one for each
    /// of them. If none knows it: expired if one of them has dropped the receipts of its time, else not decided.
    ///
    /// A partition that is damaged hides no outcome that another one knows. An order answers for its id also when its
    /// receipt was dropped, and of a reservation it is told what has become of it, unless this user may not read orders.
    ///
    /// # Errors
    /// As [`lookup`]; asking again is safe. Also where a partition is damaged and no other knows one of the ids: that it
    /// is not decided cannot be said then.
    pub async fn lookup(&self, ids: &[JobId]) -> Result<Vec<Vec<Outcome>>, ScriptError> {
        let Looked { found, mut unread } = self.look_up(ids).await?;
        match unread.pop() {
            Some((_, error)) if !found.iter().all(|outcomes| is_known(outcomes)) => Err(error),
            _ => Ok(found),
        }
    }

    /// The same, with the partitions that could not be asked: of an id that none of the others knows, nothing is known
    /// then.
    ///
    /// # Errors
    /// What is not of one partition alone; asking again is safe.
    #[doc(hidden)]
    pub async fn look_up(&self, ids: &[JobId]) -> Result<Looked, ScriptError> {
        let mut found: Vec<Vec<Outcome>> = ids.iter().map(|_| Vec::new()).collect();
        let mut unread = Vec::new();
        let mut asked =
            abreast(self.partitions().iter(), |partition| self.look_up_in(partition, ids)).boxed();
        while let Some((partition, outcomes)) = asked.next().await {
            match outcomes {
                Ok(outcomes) => {
                    found.iter_mut().zip(outcomes).for_each(|(known, outcome)| known.push(outcome));
                }
                Err(error) if error.is_of_partition() => unread.push((partition, error)),
                Err(error) => return Err(error),
            }
        }
        // Where no partition could be asked, nobody knows anything of any id.
        let is_silent = |(outcomes, _): &(&mut Vec<Outcome>, &JobId)| outcomes.is_empty();
        found.iter_mut().zip(ids).filter(is_silent).for_each(|(of, id)| of.push(Outcome::unknown(id)));
        found.iter_mut().for_each(keep_what_is_known);
        Ok(Looked { found, unread })
    }

    async fn look_up_in(&self, partition: Partition, ids: &[JobId]) -> Result<Vec<Outcome>, ScriptError> {
        let mut link = self.server().link().await?;
        let (_, mut outcomes) = self.lookup_in(&mut link, partition, ids).await?;
        match self.ask_orders(&mut link, partition, &mut outcomes).await {
            Err(failure) if failure.is_denied() => {}
            done => done?,
        }
        Ok(outcomes)
    }
}

/// What the partitions know of some ids.
#[doc(hidden)]
#[derive(Debug)]
pub struct Looked {
    /// For each id its outcomes, in the order asked.
    pub found: Vec<Vec<Outcome>>,
    /// The partitions that could not be asked, each with why.
    pub unread: Vec<(Partition, ScriptError)>,
}

/// Whether a partition knows an id.
#[doc(hidden)]
pub fn is_known(outcomes: &[Outcome]) -> bool {
    outcomes.iter().any(|outcome| outcome.partition.is_some())
}

impl Tollgate {
    /// What the orders of a partition know beside its receipts.
    async fn ask_orders(
        &self,
        link: &mut Link,
        partition: Partition,
        outcomes: &mut [Outcome],
    ) -> Result<(), Failure> {
        let keys = self.keys(partition);
        for outcome in outcomes.iter_mut() {
            outcome.reservation = match (outcome.code.and_then(Code::from_name), outcome.seq) {
                (Some(Code::Reserved), Some(seq)) => orders::of_reserve(link, keys, &outcome.id, seq).await?,
                _ => None,
            };
        }
        let expired = |outcome: &&mut Outcome| outcome.class == OutcomeClass::Expired;
        let mut expired: Vec<&mut Outcome> = outcomes.iter_mut().filter(expired).collect();
        if expired.is_empty() {
            return Ok(());
        }
        let ids: Vec<&JobId> = expired.iter().map(|outcome| &outcome.id).collect();
        let rows = orders::find(link, keys, &ids).await?;
        for outcome in &mut expired {
            if let Some(order) = rows.get(&outcome.id).and_then(|row| Order::parse(row)) {
                **outcome = Outcome::of_order(&outcome.id, partition, &order);
            }
        }
        Ok(())
    }
}

/// Of what all partitions say about one id, what somebody knows; if nobody does, one word for all of them.
fn keep_what_is_known(outcomes: &mut Vec<Outcome>) {
    if is_known(outcomes) {
        outcomes.retain(|outcome| outcome.partition.is_some());
    } else {
        let expired = outcomes.iter().position(|outcome| outcome.class == OutcomeClass::Expired);
        outcomes.swap(0, expired.unwrap_or(0));
        outcomes.truncate(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::partition::Partitions;

    fn outcomes(traces: &[Trace]) -> Vec<Outcome> {
        let id = JobId::parse("j").unwrap();
        let partitions = Partitions::new(traces.len() as u16).unwrap();
        let mut all: Vec<Outcome> =
            partitions.iter().zip(traces).map(|(p, trace)| Outcome::of_trace(&id, p, trace)).collect();
        keep_what_is_known(&mut all);
        all
    }

    fn receipt(code: Code) -> Trace {
        Trace::Receipt { fingerprint: Fingerprint::of_poison(b""), code, seq: 7, given_back: None }
    }

    fn parked(state: ParkedState) -> Trace {
        let fingerprint = Fingerprint::of_poison(b"");
        Trace::Parked { state, fingerprint, at_ms: 1, reason: Some(Code::WorkerLost) }
    }

    #[test]
    fn every_trace_has_its_class() {
        for (trace, class, code) in [
            (receipt(Code::Redeemed), OutcomeClass::Applied, Some("redeemed")),
            (receipt(Code::InsufficientFunds), OutcomeClass::Refused, Some("insufficient_funds")),
            (receipt(Code::Held), OutcomeClass::Pending, Some("held")),
            (parked(ParkedState::Scheduled), OutcomeClass::Pending, Some("scheduled")),
            (parked(ParkedState::Dead), OutcomeClass::Dead, Some("worker_lost")),
            (parked(ParkedState::Queued), OutcomeClass::NotDecided, None),
            (Trace::Expired, OutcomeClass::Expired, Some("id_expired")),
            (Trace::None, OutcomeClass::NotDecided, None),
        ] {
            let outcome = outcomes(std::slice::from_ref(&trace)).remove(0);
            assert_eq!((outcome.class, outcome.code), (class, code), "{trace:?}");
        }
    }

    #[test]
    fn what_one_partition_knows_wins_over_those_that_know_nothing() {
        let all = outcomes(&[Trace::None, receipt(Code::Redeemed), Trace::Expired]);
        assert_eq!(all.len(), 1);
        assert_eq!(
            serde_json::to_string(&all[0]).unwrap(),
            r#"{"id":"j","partition":1,"class":"applied","code":"redeemed","seq":7}"#
        );
        assert_eq!(outcomes(&[receipt(Code::Redeemed), Trace::None, receipt(Code::Withdrawn)]).len(), 2);
        assert_eq!(outcomes(&[Trace::None, Trace::Expired])[0].class, OutcomeClass::Expired);
        assert_eq!(
            serde_json::to_string(&outcomes(&[Trace::None, Trace::None])[0]).unwrap(),
            r#"{"id":"j","partition":null,"class":"not_decided","code":null,"seq":null}"#
        );
    }
}
