//! One client: its connections to everything that it is asked to use, opened when they are needed first.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail};

use super::cure::{Cure, Service, Store};
use super::lock::{Lock, open};
use super::matrix::Cell;
use super::scenario::Round;
use super::servers::Addresses;
use super::store::postgres::Postgres;
use super::store::redis::Redis;
use super::store::tollgate::Jobs;
use super::store::{Records, Tried, Way};
use super::trace::State;

/// One client.
pub(super) struct Hands {
    addresses: Addresses,
    /// After how long without a sign of life a lock of this client ends.
    lock_ttl: Duration,
    postgres: Option<Postgres>,
    redis: Option<Redis>,
    jobs: Option<Jobs>,
    locks: HashMap<Service, Box<dyn Lock>>,
}

impl Hands {
    pub(super) fn new(addresses: Addresses, lock_ttl: Duration) -> Self {
        Self { addresses, lock_ttl, postgres: None, redis: None, jobs: None, locks: HashMap::new() }
    }

    /// Opens what this cell needs.
    pub(super) async fn reach_for(&mut self, cell: Cell) -> anyhow::Result<()> {
        let service = cell.cure.service();
        if self.postgres.is_none() && (cell.store == Store::Postgres || service == Some(Service::Advisory)) {
            let dir = self.addresses.postgres.as_deref().context("PostgreSQL does not run")?;
            self.postgres = Some(Postgres::connect(dir).await?);
        }
        if self.redis.is_none() && cell.store == Store::Redis {
            self.redis = Some(Redis::connect(&self.addresses.redis).await?);
        }
        if self.jobs.is_none() && cell.cure == Cure::Tollgate {
            self.jobs = Some(Jobs::open(&self.addresses.tollgate).await?);
        }
        if let Some(service) = service
            && !self.locks.contains_key(&service)
        {
            let lock = open::open(service, &self.addresses, self.lock_ttl, self.postgres.as_ref()).await;
            self.locks.insert(service, lock.with_context(|| service.name())?);
        }
        Ok(())
    }

    pub(super) fn records(&mut self, store: Store) -> anyhow::Result<&mut dyn Records> {
        let records = match store {
            Store::Postgres => self.postgres.as_mut().map(|postgres| postgres as &mut dyn Records),
            Store::Redis => self.redis.as_mut().map(|redis| redis as &mut dyn Records),
        };
        records.with_context(|| format!("{} is not connected", store.name()))
    }

    pub(super) fn lock(&mut self, service: Service) -> anyhow::Result<&mut Box<dyn Lock>> {
        self.locks.get_mut(&service).with_context(|| format!("{} is not connected", service.name()))
    }

    pub(super) fn jobs(&mut self) -> anyhow::Result<&mut Jobs> {
        self.jobs.as_mut().context("Tollgate is not connected")
    }

    /// Makes the records of a round, where this cell has them.
    pub(super) async fn set_up(&mut self, cell: Cell, round: &Round) -> anyhow::Result<()> {
        match cell.cure {
            Cure::Tollgate => self.jobs()?.set_up(&round.records).await,
            _ => self.records(cell.store)?.set_up(&round.records).await,
        }
    }

    /// What became of them.
    pub(super) async fn states(&mut self, cell: Cell, round: &Round) -> anyhow::Result<Vec<State>> {
        if cell.cure == Cure::Tollgate {
            return self.jobs()?.states(&round.records).await;
        }
        let keys: Vec<&str> = round.records.iter().map(|record| record.key.as_str()).collect();
        match self.records(cell.store)?.read(Way::Plain, &keys).await? {
            Tried::Done(states) => Ok(states),
            Tried::Overtaken | Tried::Fenced => bail!("a plain read was refused"),
        }
    }
}
