//! One connection: requests one way, replies the other, and a queue of what is to happen to the replies.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

use super::control::{Control, has, lock};
use super::weather::{Fate, Silence, Weather, source};
use crate::resp::{Frame, frame, words};

/// Where the nonce ends in the reply of a script: `*n`, `$16`, sixteen digits, each with its line end.
const BEGINNING: usize = 4 + 5 + 16;

/// What is carried at once.
const PIECE: usize = 65_536;

struct Connection {
    control: Arc<Control>,
    number: u64,
    weather: watch::Receiver<Weather>,
    /// What is to happen to the replies that are still to come, in their order.
    fates: Arc<Mutex<VecDeque<Fate>>>,
}

/// Carries until either side closes, something closes it on purpose, or its generation is over.
pub(super) async fn run(control: Arc<Control>, number: u64, client: UnixStream, server: UnixStream) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut generation = control.generation.subscribe();
    let fates = Arc::new(Mutex::default());
    let side = || Connection {
        weather: control.weather.subscribe(),
        control: Arc::clone(&control),
        number,
        fates: Arc::clone(&fates),
    };
    let (requests, replies) = (side(), side());
    tokio::select! {
        _ = requests.requests(from_client, to_server) => {}
        _ = replies.replies(from_server, to_client) => {}
        _ = generation.changed() => {}
    }
}

impl Connection {
    async fn requests(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut buffer = Vec::new();
        let mut random = source(!self.control.seed, self.number, 0);
        let (mut number, mut has_lost) = (0, false);
        let mut held = self.control.held.subscribe();
        while read(&mut from, &mut buffer).await? {
            self.pause(&mut random).await;
            let mut passed = Vec::new();
            loop {
                let length = match frame(&buffer) {
                    Frame::Whole(length) => length,
                    Frame::Partial => break,
                    Frame::Garbage => buffer.len(),
                };
                let command: Vec<u8> = buffer.drain(..length).collect();
                let waits =
                    |held: &Option<Vec<u8>>| held.as_ref().is_some_and(|text| has(&words(&command), text));
                // It fails only without its proxy, and then nobody holds anything any more.
                let _ = held.wait_for(|held| !waits(held)).await;
                let fate = self.control.fate(self.number, number, &words(&command), has_lost);
                number += 1;
                has_lost |= matches!(fate, Fate::ReplyLost | Fate::Hang | Fate::Cut);
                if fate == Fate::Hold {
                    self.control.count(fate);
                    if buffer.is_empty() {
                        break;
                    }
                    continue;
                }
                if fate == Fate::RequestLost {
                    self.control.count(fate);
                    to.write_all(&passed).await?;
                    return Ok(());
                }
                lock(&self.fates).push_back(fate);
                passed.extend(command);
                if buffer.is_empty() {
                    break;
                }
            }
            if self.is_silent(&[Silence::Requests, Silence::Both]) {
                // They are gone for good: the connection is closed when the silence ends.
                continue;
            }
            to.write_all(&passed).await?;
        }
        Ok(())
    }

    async fn replies(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut buffer = Vec::new();
        let mut random = source(!self.control.seed, self.number, 1);
        while read(&mut from, &mut buffer).await? {
            self.pause(&mut random).await;
            let mut passed = Vec::new();
            loop {
                let length = match frame(&buffer) {
                    Frame::Whole(length) => length,
                    Frame::Partial => break,
                    Frame::Garbage => buffer.len(),
                };
                let mut reply: Vec<u8> = buffer.drain(..length).collect();
                let fate = lock(&self.fates).pop_front().unwrap_or(Fate::Pass);
                self.control.count(fate);
                self.control.garble(&mut reply);
                match fate {
                    Fate::Hang => {
                        self.send(&mut to, &passed).await?;
                        // Its replies are read, and go nowhere.
                        while read(&mut from, &mut buffer).await? {
                            buffer.clear();
                        }
                        return Ok(());
                    }
                    Fate::ReplyLost => return self.send(&mut to, &passed).await,
                    Fate::Cut => {
                        passed.extend(&reply[..random.random_range(0..reply.len())]);
                        return self.send(&mut to, &passed).await;
                    }
                    Fate::Flip => {
                        let place = random.random_range(0..reply.len().min(BEGINNING));
                        reply[place] ^= 1 << random.random_range(0..7);
                    }
                    Fate::Double => reply.extend(reply.clone()),
                    Fate::Pass | Fate::RequestLost | Fate::Hold => {}
                }
                passed.extend(reply);
                if buffer.is_empty() {
                    break;
                }
            }
            if !self.is_silent(&[Silence::Replies, Silence::Both]) {
                self.send(&mut to, &passed).await?;
            }
        }
        Ok(())
    }

    /// Whether nothing passes this way.
    fn is_silent(&self, of: &[Silence]) -> bool {
        if self.number < self.control.swallowed.load(Ordering::SeqCst) {
            return true;
        }
        let weather = self.weather.borrow();
        weather.hits(self.number) && weather.silence.is_some_and(|silence| of.contains(&silence))
    }

    async fn pause(&mut self, random: &mut ChaCha8Rng) {
        let delay = {
            let weather = self.weather.borrow();
            weather.delay.filter(|_| weather.hits(self.number))
        };
        if let Some((least, most)) = delay {
            let range = least.as_micros() as u64..=most.max(least).as_micros() as u64;
            let delay = Duration::from_micros(random.random_range(range));
            // Better weather is not waited for.
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                _ = self.weather.changed() => {}
            }
        }
    }

    async fn send(&self, to: &mut OwnedWriteHalf, bytes: &[u8]) -> io::Result<()> {
        let rate = self.weather.borrow().bytes_a_second;
        if let Some(rate) = rate.filter(|_| self.weather.borrow().hits(self.number)) {
            for piece in bytes.chunks(PIECE) {
                let seconds = piece.len() as f64 / f64::from(rate.max(1));
                tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
                to.write_all(piece).await?;
            }
            return Ok(());
        }
        let drip = self.weather.borrow().drip.filter(|_| self.weather.borrow().hits(self.number));
        let Some((piece, pause)) = drip else { return to.write_all(bytes).await };
        for piece in bytes.chunks(piece.max(1)) {
            to.write_all(piece).await?;
            if self.weather.borrow().drip.is_some() {
                tokio::time::sleep(pause).await;
            }
        }
        Ok(())
    }
}

/// Reads what has come, more onto `buffer`; false at the end.
async fn read(from: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut piece = vec![0; PIECE];
    let count = from.read(&mut piece).await?;
    buffer.extend(&piece[..count]);
    Ok(count > 0)
}
