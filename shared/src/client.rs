//! [`Tollgate`] for services: every call takes a link of its own, and answers in one type of error.
//!
//! Nothing here decides anything: it is `settle`, `lookup` and the resources' own reads, asked for without a link in hand.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::connection::backoff::Backoff;
use crate::lock::{Guarded, LockNodes, Locks};
use crate::protocol::amount::{Amount, Currency};
use crate::protocol::ids::{AccountId, CampaignId, CaseId, CustomerId, JobId, LockName, QueueName};
use crate::protocol::job::Job;
use crate::protocol::kinds::{
    AccountOpen, CampaignCreate, CaseOpen, Decide, Fields, Redeem, Refund, Reverse, Settle, Withdraw,
};
use crate::protocol::quantity::Quantity;
use crate::protocol::resource::Resource;
use crate::reads::case::CaseState;
use crate::reads::outcome::Outcome;
use crate::reads::resources::{self, AccountState, CampaignState, Held, Listed};
use crate::tollgate::Tollgate;

mod builder;
mod decision;
mod error;
mod sales;

pub use builder::Builder;
pub use decision::Decision;
pub use error::Error;

/// The pauses between two looks for an outcome: a worker decides in about a millisecond.
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(2);
const LOOK_PAUSE_MAX: Duration = Duration::from_millis(250);

impl Tollgate {
    /// Opens the namespace `tollgate` on the Redis at `url` (`redis://`, `rediss://`, `unix://`), and initialises it with
    /// one partition if it is completely empty. With more to say, see [`Tollgate::builder`].
    ///
    /// The server is asked, now and while it is used, whether it may lose or evict what it holds; an unfit one is refused.
    ///
    /// # Errors
    /// [`Error::Connect`] for a URL that is wrong; [`Error::Open`] for a namespace, or a server, that cannot be used.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::builder().url(url).connect().await
    }

    /// Where Redis is, which namespace is meant, who asks; nothing is connected yet.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Decides a request at once: no queue and no worker, one call of Redis. The same id and request again have no second
    /// effect and answer the same decision, [replayed](Decision::replayed).
    ///
    /// # Errors
    /// [`Error::may_have_happened`] tells whether the decision may have been made: then ask again, under the same id.
    ///
    /// # Cancel safety
    /// If the future is dropped it may have been decided; asking again under the same id is safe.
    pub async fn decide(&self, id: &JobId, request: &dyn Settle) -> Result<Decision, Error> {
        request.check()?;
        self.check_partitions(request)?;
        let mut link = self.server().link().await?;
        Ok(Decision::of(self.settle_one(&mut link, id, request).await?))
    }

    /// [`Tollgate::decide`] of a redemption: `quantity` coupons of `campaign` for `customer`.
    ///
    /// # Errors
    /// As [`Tollgate::decide`].
    ///
    /// # Cancel safety
    /// As [`Tollgate::decide`].
    pub async fn redeem(
        &self,
        id: &JobId,
        campaign: CampaignId,
        customer: CustomerId,
        quantity: Quantity,
    ) -> Result<Decision, Error> {
        self.decide(id, &Redeem { campaign, customer, quantity }).await
    }

    /// [`Tollgate::decide`] of a withdrawal: `amount` in minor units of `currency` from `account`, spent for good.
    ///
    /// # Errors
    /// As [`Tollgate::decide`].
    ///
    /// # Cancel safety
    /// As [`Tollgate::decide`].
    pub async fn withdraw(
        &self,
        id: &JobId,
        account: AccountId,
        amount: Amount,
        currency: Currency,
    ) -> Result<Decision, Error> {
        self.decide(id, &Withdraw { account, amount, currency }).await
    }

    /// [`Tollgate::decide`] of a refund: `amount`, in minor units, of what the withdrawal or the paid payout `of` took from
    /// `account`. However many there are, together they never exceed it.
    ///
    /// # Errors
    /// As [`Tollgate::decide`].
    ///
    /// # Cancel safety
    /// As [`Tollgate::decide`].
    pub async fn refund(
        &self,
        id: &JobId,
        account: AccountId,
        of: JobId,
        amount: Amount,
    ) -> Result<Decision, Error> {
        self.decide(id, &Refund { account, of, amount }).await
    }

    /// [`Tollgate::decide`] of a reversal: the redemption `of` is taken back, all of it. A code that
    /// it was handed stays void; to hand it out again, decide a [`Reverse`] that says so.
    ///
    /// # Errors
    /// As [`Tollgate::decide`].
    ///
    /// # Cancel safety
    /// As [`Tollgate::decide`].
    pub async fn reverse(&self, id: &JobId, of: JobId, redemption: Redeem) -> Result<Decision, Error> {
        let Redeem { campaign, customer, quantity } = redemption;
        let reissue_code = false;
        self.decide(id, &Reverse { campaign, customer, quantity, of, reissue_code }).await
    }

    /// Creates a campaign, under an id that its name gives: the same again is a replay, and on other terms it is refused.
    ///
    /// # Errors
    /// As [`Tollgate::decide`].
    ///
    /// # Cancel safety
    /// As [`Tollgate::decide`].
    pub async fn create_campaign(&self, campaign: &CampaignCreate) -> Result<Decision, Error> {
        self.decide(&JobId::create_campaign(&campaign.campaign), campaign).await
    }

    /// Opens an account, likewise.
    ///
    /// # Errors
    /// As [`Tollgate::decide`].
    ///
    /// # Cancel safety
    /// As [`Tollgate::decide`].
    pub async fn open_account(&self, account: &AccountOpen) -> Result<Decision, Error> {
        self.decide(&JobId::create_account(&account.account), account).await
    }

    /// Opens a case, likewise.
    ///
    /// # Errors
    /// As [`Tollgate::decide`].
    ///
    /// # Cancel safety
    /// As [`Tollgate::decide`].
    pub async fn open_case(&self, case: &CaseOpen) -> Result<Decision, Error> {
        self.decide(&JobId::open_case(&case.case), case).await
    }

    /// [`Tollgate::decide`] of a case: the first decision stands. With [`Code::AlreadyDecided`] comes the case as it
    /// stands, for good: as what, by whom, why and by which line. With any other refusal, the case as it is now.
    ///
    /// [`Code::AlreadyDecided`]: crate::code::Code::AlreadyDecided
    ///
    /// # Errors
    /// As [`Tollgate::decide`]. Where the decision was made and the case cannot be read, it is left out.
    ///
    /// # Cancel safety
    /// As [`Tollgate::decide`].
    pub async fn decide_case(
        &self,
        id: &JobId,
        request: &Decide,
    ) -> Result<(Decision, Option<CaseState>), Error> {
        let decision = self.decide(id, request).await?;
        Ok((decision, self.case(&request.case).await.ok().flatten()))
    }

    /// Sends jobs to a queue, for the workers; they are decided in the order in which the workers come to them. A job sent
    /// twice is decided once.
    ///
    /// # Errors
    /// One that is wrong in itself: then nothing was sent. Otherwise any number of them may have been sent: send the same
    /// jobs again, under their ids.
    ///
    /// # Cancel safety
    /// Likewise.
    pub async fn send(&self, queue: &QueueName, jobs: &[Job]) -> Result<(), Error> {
        for job in jobs {
            job.request.check()?;
            self.check_partitions(&job.request)?;
        }
        let mut link = self.server().link().await?;
        let sent = self.enqueue(&mut link, queue, jobs).await?;
        Ok(sent.into_iter().collect::<Result<(), _>>()?)
    }

    /// What is known of a job now. One under whose id several partitions know something (it was used for resources of
    /// each) shows what is not final yet before what is.
    ///
    /// # Errors
    /// As any read; asking again is safe.
    pub async fn outcome(&self, id: &JobId) -> Result<Outcome, Error> {
        let all = self.lookup(std::slice::from_ref(id)).await?.pop().unwrap_or_default();
        let open = all.iter().position(|outcome| !outcome.is_final());
        Ok(all.into_iter().nth(open.unwrap_or(0)).unwrap_or_else(|| Outcome::unknown(id)))
    }

    /// Waits until a job is decided, dead, or otherwise [at its end](Outcome::is_final), but for `within` at most: then
    /// what is known by then. An outage that passes within that time is waited for.
    ///
    /// # Errors
    /// As [`Tollgate::outcome`], if the last look failed.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn wait(&self, id: &JobId, within: Duration) -> Result<Outcome, Error> {
        let until = Instant::now() + within;
        let mut backoff = Backoff::new(LOOK_PAUSE_MIN, LOOK_PAUSE_MAX);
        loop {
            let looked = self.outcome(id).await;
            let is_over = match &looked {
                Ok(outcome) => outcome.is_final(),
                Err(error) => !error.is_transient(),
            };
            let left = until.saturating_duration_since(Instant::now());
            if is_over || left.is_zero() {
                return looked;
            }
            sleep(backoff.next_pause().min(left)).await;
        }
    }

    /// A campaign as it is; `None` if there is none.
    ///
    /// # Errors
    /// As any read; [`Error::Corrupt`] if its key was damaged.
    pub async fn campaign(&self, id: &CampaignId) -> Result<Option<CampaignState>, Error> {
        self.resource(id, Resource::Campaign(id)).await
    }

    /// An account as it is; `None` if there is none.
    ///
    /// # Errors
    /// As any read; [`Error::Corrupt`] if its key was damaged.
    pub async fn account(&self, id: &AccountId) -> Result<Option<AccountState>, Error> {
        self.resource(id, Resource::Account(id)).await
    }

    /// A case as it is; `None` if there is none.
    ///
    /// # Errors
    /// As any read; [`Error::Corrupt`] if its key was damaged.
    pub async fn case(&self, id: &CaseId) -> Result<Option<CaseState>, Error> {
        self.resource(id, Resource::Case(id)).await
    }

    async fn resource<T: Listed>(&self, id: &T::Id, resource: Resource<'_>) -> Result<Option<T>, Error>
    where
        T::Id: Clone,
    {
        let keys = self.keys(self.partition_of(resource));
        let mut link = self.server().link().await?;
        match resources::read::<T>(&mut link, keys, std::slice::from_ref(id)).await?.pop() {
            Some(Held::State(state)) => Ok(Some(state)),
            Some(Held::Corrupt(what)) => Err(Error::Corrupt { resource: resource.to_string(), what }),
            Some(Held::Absent) | None => Ok(None),
        }
    }

    /// Locks on this Redis alone; they are lost when it fails over. For locks on several servers: [`Locks::new`].
    pub fn locks(&self) -> Locks {
        Locks::new(LockNodes::with_data(self.server().clone()), self.namespace().clone())
    }

    /// The guarded value of this name: what a holder of the lock whose lease is over cannot overwrite.
    pub fn guarded(&self, name: LockName) -> Guarded {
        Guarded::new(self.server().clone(), self.namespace(), name)
    }
}
