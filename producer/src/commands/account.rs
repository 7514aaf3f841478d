//! `account open|deposit|refund|show|close|ls`.

mod statement;

use serde::Serialize;
use tollgate::Tollgate;
use tollgate::amount::{Amount, Currency};
use tollgate::code::Code;
use tollgate::ids::{AccountId, JobId};
use tollgate::kinds::{AccountClose, AccountOpen, Deposit, Refund};
use tollgate::resource::Resource;
use tollgate::resources::{self, AccountState, Held};
use tollgate::scripts::payout::of_account;

use super::listing;
use super::payout::view::{self, View};
use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::operation;
use crate::repeat::ChangeId;
use crate::resource_view::Shown;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Open an account; the same again is a replay
    Open {
        /// The account
        id: AccountId,
        /// The opening balance, in decimals of its currency
        #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true, value_parser = arguments::decimals)]
        balance: String,
        /// ISO 4217
        #[arg(long, value_name = "CODE", default_value = "USD")]
        currency: Currency,
    },
    /// Put money on an account
    Deposit {
        /// The account
        id: AccountId,
        /// How much, in decimals of its currency
        #[arg(value_name = "AMOUNT", allow_hyphen_values = true, value_parser = arguments::decimals)]
        amount: String,
        /// Makes the deposit repeatable: the same key deposits once [default: a fresh UUIDv7]
        #[arg(long = "id", value_name = "KEY")]
        key: Option<JobId>,
        /// ISO 4217 [default: the currency of the account]
        #[arg(long, value_name = "CODE")]
        currency: Option<Currency>,
    },
    /// Put back what a withdrawal or a paid payout took from an account, or a part of it
    Refund {
        /// The account
        id: AccountId,
        /// The id of the withdrawal or payout
        of: JobId,
        /// How much of it, in decimals of the account's currency
        #[arg(value_name = "AMOUNT", allow_hyphen_values = true, value_parser = arguments::decimals)]
        amount: String,
        /// Makes the refund repeatable: the same key refunds once [default: a fresh UUIDv7]
        #[arg(long = "id", value_name = "KEY")]
        key: Option<JobId>,
    },
    /// Show one account
    Show {
        /// The account
        id: AccountId,
    },
    /// Close an empty account for good
    Close {
        /// The account
        id: AccountId,
        /// Makes it repeatable: the same key closes once [default: a fresh UUIDv7]
        #[arg(long = "id", value_name = "KEY")]
        key: Option<JobId>,
    },
    /// List all accounts
    Ls,
    /// Every decision about an account, with what was available after it; reads the partition's whole journal
    Statement {
        /// The account
        id: AccountId,
    },
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    match args.verb {
        Verb::Open { id: account, balance, currency } => {
            let balance = Amount::parse_decimal("--balance", &balance, currency)?;
            let change = ChangeId::of_name(JobId::create_account(&account));
            let request = AccountOpen { account, balance, currency }.into();
            operation::run(context, &context.open_or_init().await?, &change, &request).await
        }
        Verb::Deposit { id: account, amount, key, currency } => {
            // Without its currency an amount cannot be read: the account knows it.
            let tollgate = context.open_or_init().await?;
            let currency = match currency {
                Some(currency) => currency,
                None => currency_of(&tollgate, &account).await?,
            };
            let amount = Amount::parse_positive("amount", &amount, currency)?;
            let request = Deposit { account, amount, currency }.into();
            operation::run(context, &tollgate, &ChangeId::given_or_fresh(key), &request).await
        }
        Verb::Refund { id: account, of, amount, key } => {
            let tollgate = context.open_or_init().await?;
            let currency = currency_of(&tollgate, &account).await?;
            let amount = Amount::parse_positive("amount", &amount, currency)?;
            let request = Refund { account, of, amount }.into();
            operation::run(context, &tollgate, &ChangeId::given_or_fresh(key), &request).await
        }
        Verb::Close { id: account, key } => {
            let request = AccountClose { account }.into();
            let change = ChangeId::given_or_fresh(key);
            operation::run(context, &context.open_or_init().await?, &change, &request).await
        }
        Verb::Show { id } => show(context, &id).await,
        Verb::Ls => listing::ls::<AccountState>(context).await,
        Verb::Statement { id } => statement::run(context, &id).await,
    }
}

/// Open payouts that `show` lists; `payout ls` has them all.
const PAYOUTS_SHOWN_MAX: usize = 100;

/// An account with its open payouts.
#[derive(Serialize)]
struct AccountShown<'a> {
    #[serde(flatten)]
    account: AccountView<'a>,
    payouts: Vec<View<'a>>,
}

async fn show(context: &Context, id: &AccountId) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    let partition = tollgate.partition_of(Resource::Account(id));
    let keys = tollgate.keys(partition);
    let mut link = tollgate.server().link().await?;
    let Some((held, status, exit)) = listing::read::<AccountState>(&tollgate, &mut link, keys, id).await?
    else {
        return Ok(Exit::Refused);
    };
    let state = held.state();
    let listed = match state {
        Some(state) if state.held.minor() > 0 => of_account(&mut link, keys, id, PAYOUTS_SHOWN_MAX).await?,
        _ => Vec::new(),
    };
    let payouts: Vec<View<'_>> = listed.iter().map(|listed| View::of(partition, listed)).collect();
    view::hint_at_damage(payouts.iter().any(View::is_damaged));
    let shown = AccountShown { account: AccountState::view(id.as_str(), state, status), payouts };
    context.output().data(&shown, || {
        let line = listing::line(id.as_str(), state, status);
        if shown.payouts.is_empty() { line } else { format!("{line}\n{}", view::table(&shown.payouts)) }
    })?;
    Ok(exit)
}

/// The currency of an account; the default one if it cannot be told, since settle then says what is the matter.
async fn currency_of(tollgate: &Tollgate, account: &AccountId) -> anyhow::Result<Currency> {
    let keys = tollgate.keys(tollgate.partition_of(Resource::Account(account)));
    let mut link = tollgate.server().link().await?;
    let states = resources::read::<AccountState>(&mut link, keys, std::slice::from_ref(account)).await?;
    Ok(match states.first() {
        Some(Held::State(state)) => state.currency,
        _ => Currency::default(),
    })
}

/// An account as `--json` shows it; amounts in minor units, what cannot be read is null.
#[derive(Serialize)]
pub(crate) struct AccountView<'a> {
    account: &'a str,
    available: Option<u64>,
    held: Option<u64>,
    currency: Option<&'static str>,
    status: &'a str,
}

impl Shown for AccountState {
    type View<'a> = AccountView<'a>;
    const NOT_FOUND: Code = Code::AccountNotFound;

    fn view<'a>(id: &'a str, state: Option<&'a Self>, status: &'a str) -> AccountView<'a> {
        AccountView {
            account: id,
            available: state.map(|state| state.available.minor()),
            held: state.map(|state| state.held.minor()),
            currency: state.map(|state| state.currency.code()),
            status,
        }
    }

    fn status(&self) -> &'static str {
        self.status.name()
    }

    fn text(&self) -> String {
        let [available, held] = [self.available, self.held].map(|amount| amount.in_currency(self.currency));
        format!("{available} available, {held} held")
    }
}
