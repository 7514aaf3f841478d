//! What the tests of commands begin with: namespaces, resources, jobs, workers; and a look at the keys.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use serde_json::Value;
use tollgate::Tollgate;
use tollgate::amount::Amount;
use tollgate::code::Code;
use tollgate::codes_name::CodesName;
use tollgate::envelope::Envelope;
use tollgate::fetch::Take;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{JobId, QueueName};
use tollgate::keys::Keys;
use tollgate::kinds::{AccountOpen, CampaignCreate, JobRequest, Payout, Redeem, Request, Settle};
use tollgate::quantity::Limit;
use tollgate::scripts::park::{Destination, Parked, Parking, park};
use tollgate::scripts::settle::Source;
use tollgate::workers::Description;

use crate::harness::Cli;

/// Files that a command reads or writes, in a folder of their own.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes one; answers its path.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.text(name)
    }
}

impl Cli {
    /// A command of redis-cli on the shared server; its output without the last line end.
    pub(crate) fn redis(&self, args: &[&str]) -> String {
        let words = tollgate_testkit::servers::on_words(args);
        self.redis_bytes(&words.iter().map(OsStr::new).collect::<Vec<_>>())
    }

    fn redis_bytes(&self, args: &[&OsStr]) -> String {
        let socket = self.url.strip_prefix("unix://").unwrap();
        let output = std::process::Command::new(tollgate_testkit::servers::cli_program())
            .args(["-s", socket])
            .args(args)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    pub(crate) fn keys(&self, tollgate: &Tollgate) -> Keys {
        tollgate.keys(tollgate.partitions().get(0).unwrap()).clone()
    }

    /// Enqueues `envelope` and moves it to dead as `id` for `reason`, as a worker named `w1` does.
    pub(crate) async fn bury(&self, id: &JobId, envelope: &[u8], reason: Code) {
        let tollgate = self.tollgate().await;
        let keys = self.keys(&tollgate);
        let mut link = tollgate.server().link().await.unwrap();
        let queue = QueueName::default();
        let stream = keys.queue(&queue);
        let [add, any, field] = ["XADD", "*", "job"].map(OsStr::new);
        let entry = self.redis_bytes(&[add, OsStr::new(&stream), any, field, OsStr::from_bytes(envelope)]);
        let taken = Take::new(&keys, &queue, "w1", 1).run(&mut link).await.unwrap().unwrap();
        let parking = Parking {
            entry: &entry,
            id,
            fingerprint: Envelope::decode_job(envelope)
                .map_or_else(|_| Fingerprint::of_poison(envelope), |job| Fingerprint::of(&job.request)),
            attempts: 2,
            envelope,
            destination: Destination::Dead(reason),
        };
        let source = Source { row: &taken.row, left: &[] };
        let parked = park(&mut link, &keys, &queue, source, &[parking]).await.unwrap();
        assert_eq!(parked, [Parked::Moved]);
    }
}

pub(crate) fn id(text: &str) -> JobId {
    JobId::parse(text).unwrap()
}

pub(crate) fn redeem(campaign: &str, customer: &str) -> JobRequest {
    Redeem {
        campaign: campaign.parse().unwrap(),
        customer: customer.parse().unwrap(),
        quantity: tollgate::quantity::Quantity::ONE,
    }
    .into()
}

/// A namespace with `partitions` and nothing in it.
pub(crate) fn fresh(partitions: &str) -> Cli {
    let cli = Cli::empty();
    cli.run(&["init", "--partitions", partitions]).exits(0);
    cli
}

pub(crate) fn open(account: &str, balance: u64) -> Request {
    AccountOpen {
        account: account.parse().unwrap(),
        balance: Amount::from_minor(balance).unwrap(),
        currency: "USD".parse().unwrap(),
    }
    .into()
}

pub(crate) async fn settle_job(cli: &Cli, job: &str, request: &dyn Settle) -> Code {
    decide(cli, &id(job), request).await
}

pub(crate) async fn decide(cli: &Cli, job: &JobId, request: &dyn Settle) -> Code {
    let tollgate = cli.tollgate().await;
    let mut link = tollgate.server().link().await.unwrap();
    tollgate.settle_one(&mut link, job, request).await.unwrap().direct_code()
}

pub(crate) async fn open_account(cli: &Cli, account: &str, balance: u64) {
    let account = account.parse().unwrap();
    let job = JobId::create_account(&account);
    let balance = Amount::from_minor(balance).unwrap();
    let request = AccountOpen { account, balance, currency: "USD".parse().unwrap() };
    assert_eq!(decide(cli, &job, &request).await, Code::AccountOpened);
}

pub(crate) async fn create_campaign(cli: &Cli, campaign: &str, limit: u64, codes: Option<CodesName>) {
    let campaign = campaign.parse().unwrap();
    let job = JobId::create_campaign(&campaign);
    let limit = Limit::new(limit).unwrap();
    let terms =
        CampaignCreate { campaign, limit, per_customer: None, opens_at: None, closes_at: None, codes };
    assert_eq!(decide(cli, &job, &terms).await, Code::CampaignCreated);
}

/// A worker as its beats describe it.
pub(crate) fn a_worker() -> Description {
    Description {
        host: "box".to_owned(),
        pid: 42,
        boot: "b".to_owned(),
        queues: vec!["default".to_owned()],
        every_queue: false,
        concurrency: 2,
        started_at_ms: 1,
        version: "0.1.0".to_owned(),
        fetching: true,
    }
}

pub(crate) fn withdraw(account: &str, minor: u64, currency: &str) -> Request {
    let (account, amount) = (account.parse().unwrap(), Amount::from_minor(minor).unwrap());
    tollgate::kinds::Withdraw { account, amount, currency: currency.parse().unwrap() }.into()
}

pub(crate) fn payout(account: &str, minor: u64, currency: &str) -> Request {
    Payout {
        account: account.parse().unwrap(),
        amount: Amount::from_minor(minor).unwrap(),
        currency: currency.parse().unwrap(),
        destination: "iban-1".parse().unwrap(),
    }
    .into()
}

pub(crate) fn lines(ran: &str) -> Vec<Value> {
    ran.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
