//! One process of an explored fleet: a runtime of its own on this thread, whose every call waits until it is answered.
//!
//! Its time is paused, and moved only when nothing in it can go on: far enough that each of its loops waits for a call
//! again. So pauses and rests are over as soon as anybody looks, and when a call is made is the explorer's choice
//! alone. Relies on tokio to say that it is about to park, which it does when no task can go on.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use redis::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tollgate::failure::Failure;
use tollgate::gate::{Gate, Replies, Request};
use tollgate::random::Seeded;
use tollgate_worker::explore::{Bank, BankReply, Question};

/// Longer than any pause of a worker that waits for nothing but time.
const PAUSE: Duration = Duration::from_secs(2);
/// How often its time is moved by that after each answer: a rest may follow a pause.
const PAUSES: usize = 3;

/// What a process waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    Redis(Request),
    Bank(Question),
}

/// What it is told.
#[derive(Debug, Clone)]
pub(super) enum Told {
    Redis(Result<Vec<Value>, Failure>),
    Bank(Option<(u16, String)>),
}

/// A call that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) no: u32,
    pub(super) asked: Asked,
    answer: oneshot::Sender<Told>,
}

/// Where the calls of one process wait.
#[derive(Debug, Default)]
struct Booth(Mutex<(u32, Vec<Waiting>)>);

impl Booth {
    fn wait(&self, asked: Asked) -> oneshot::Receiver<Told> {
        let (answer, told) = oneshot::channel();
        let mut booth = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        booth.0 += 1;
        let no = booth.0;
        booth.1.push(Waiting { no, asked, answer });
        told
    }
}

impl Gate for Booth {
    fn call(&self, request: Request) -> Replies {
        let told = self.wait(Asked::Redis(request));
        Box::pin(async move {
            match told.await {
                Ok(Told::Redis(replies)) => replies,
                _ => Err(Failure::unknown("the explorer has gone")),
            }
        })
    }
}

impl Bank for Booth {
    fn ask(&self, question: Question) -> BankReply {
        let told = self.wait(Asked::Bank(question));
        Box::pin(async move {
            match told.await {
                Ok(Told::Bank(answer)) => answer,
                _ => None,
            }
        })
    }
}

/// Says when no task of a runtime can go on.
#[derive(Debug, Default)]
struct Parked {
    is_parking: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Parked {
    fn parking(&self) {
        self.is_parking.store(true, Ordering::Relaxed);
        if let Some(waker) = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }

    async fn wait(&self) {
        self.is_parking.store(false, Ordering::Relaxed);
        std::future::poll_fn(|context| {
            if self.is_parking.load(Ordering::Relaxed) {
                return Poll::Ready(());
            }
            *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

pub(super) struct Process {
    /// Its first task, and the runtime of all the others.
    runtime: (LocalSet, Runtime),
    booth: Arc<Booth>,
    parked: Arc<Parked>,
    seeded: Seeded,
    /// A hash of all that it was told, in order: with its seed that is all that it knows.
    pub(super) history: u64,
}

impl Process {
    /// Begins it; `life` makes what it does, given the gate and the bank of its calls.
    pub(super) fn start(
        seed: u64,
        life: impl FnOnce(Arc<dyn Gate>, Arc<dyn Bank>) -> Life,
    ) -> anyhow::Result<Self> {
        let (booth, parked) = (Arc::new(Booth::default()), Arc::new(Parked::default()));
        let parking = parked.clone();
        let runtime = Builder::new_current_thread()
            // With I/O, though nothing here uses it: a park for no time is then a poll, not a sleep.
            .enable_all()
            .start_paused(true)
            .on_thread_park(move || parking.parking())
            .build()?;
        let first = LocalSet::new();
        first.spawn_local(life(booth.clone(), booth.clone()));
        let seeded = Seeded::new(seed);
        let mut process = Self { runtime: (first, runtime), booth, parked, seeded, history: seed };
        process.go_on();
        Ok(process)
    }

    /// The calls that wait, in the order in which they were asked for.
    pub(super) fn waiting<T>(&self, look: impl FnMut(&Waiting) -> T) -> Vec<T> {
        self.lock().1.iter().map(look).collect()
    }

    /// Takes a call out, to answer it.
    pub(super) fn take(&self, no: u32) -> Option<Waiting> {
        let mut booth = self.lock();
        let place = booth.1.iter().position(|waiting| waiting.no == no)?;
        Some(booth.1.remove(place))
    }

    /// Tells it what became of a call, and lets it go on until it waits for calls alone.
    pub(super) fn tell(&mut self, waiting: Waiting, told: Told) {
        let mut hasher = DefaultHasher::new();
        (self.history, waiting.no).hash(&mut hasher);
        match &told {
            Told::Redis(Ok(values)) => {
                for value in values {
                    match (&waiting.asked, value) {
                        // The nonce of a script's reply says nothing.
                        (Asked::Redis(Request { script: Some(_), .. }), Value::Array(items)) => {
                            format!("{:?}", items.get(1..)).hash(&mut hasher);
                        }
                        _ => format!("{value:?}").hash(&mut hasher),
                    }
                }
            }
            other => format!("{other:?}").hash(&mut hasher),
        }
        self.history = hasher.finish();
        // Nobody listens if the caller has given it up meanwhile.
        let _ = waiting.answer.send(told);
        self.go_on();
    }

    fn go_on(&mut self) {
        let (first, runtime) = &self.runtime;
        let parked = &self.parked;
        self.seeded.during(|| {
            first.block_on(runtime, async {
                parked.wait().await;
                for _ in 0..PAUSES {
                    tokio::time::advance(PAUSE).await;
                    parked.wait().await;
                }
            });
        });
        // What its caller gave up is not made.
        self.lock().1.retain(|waiting| !waiting.answer.is_closed());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (u32, Vec<Waiting>)> {
        self.booth.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a scripted process does, from its first call to its last.
pub(super) type Life = Pin<Box<dyn Future<Output = ()>>>;
