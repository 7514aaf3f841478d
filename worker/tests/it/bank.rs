//! A payout gateway whose every answer a test chooses, and which writes down what it was asked.
//!
//! The seeded bank that misbehaves is `tollgate-chaos bank`; here each answer is the subject of a test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

/// What the bank does with the next request to pay; the last one of the list stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Pays and says so.
    Pay,
    /// Pays, and the caller never hears of it.
    PayAndDrop,
    /// Drops the connection and has not paid.
    Drop,
    /// Says this, in these words, and has not paid.
    Say(u16, &'static str),
    /// Pays after the time, and says so then.
    PayLate(Duration),
}

#[derive(Debug, Default)]
struct Book {
    answers: Vec<Answer>,
    /// Key -> body of what was paid.
    paid: HashMap<String, String>,
    /// Keys and ids in the order in which payments were made.
    payments: Vec<(String, String)>,
    /// Keys in the order in which payments were asked for.
    asked: Vec<String>,
    tokens: Vec<Option<String>>,
    at_once: usize,
    at_once_max: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Bank {
    pub(crate) url: String,
    book: Arc<Mutex<Book>>,
}

impl Bank {
    pub(crate) async fn open(answers: &[Answer]) -> Self {
        Self::open_at("127.0.0.1:0", answers).await
    }

    pub(crate) async fn open_at(address: &str, answers: &[Answer]) -> Self {
        let book = Arc::new(Mutex::new(Book { answers: answers.to_vec(), ..Book::default() }));
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bank = Self { url, book };
        let router = Router::new()
            .route("/payouts", post(pay))
            .route("/payouts/{key}", get(look))
            .with_state(bank.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        bank
    }

    /// Ids that were paid, in order; one that was paid twice is there twice.
    pub(crate) fn payments(&self) -> Vec<String> {
        self.book.lock().unwrap().payments.iter().map(|(_, id)| id.clone()).collect()
    }

    /// The keys under which something was paid, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.book.lock().unwrap().payments.iter().map(|(key, _)| key.clone()).collect()
    }

    /// How often a payment was asked for.
    pub(crate) fn asked(&self) -> usize {
        self.book.lock().unwrap().asked.len()
    }

    pub(crate) fn token(&self) -> Option<String> {
        self.book.lock().unwrap().tokens.last().cloned().flatten()
    }

    pub(crate) fn at_once_max(&self) -> usize {
        self.book.lock().unwrap().at_once_max
    }

    fn record(&self, key: &str, body: &str) {
        let mut book = self.book.lock().unwrap();
        if book.paid.insert(key.to_owned(), body.to_owned()).is_none() {
            let payout: serde_json::Value = serde_json::from_str(body).unwrap();
            book.payments.push((key.to_owned(), payout["id"].as_str().unwrap().to_owned()));
        }
    }
}

async fn pay(State(bank): State<Bank>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let key = header("idempotency-key").unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let answer = {
        let mut book = bank.book.lock().unwrap();
        book.asked.push(key.clone());
        book.tokens.push(header("authorization"));
        book.at_once += 1;
        book.at_once_max = book.at_once_max.max(book.at_once);
        if book.answers.len() > 1 { book.answers.remove(0) } else { book.answers[0] }
    };
    let response = match answer {
        Answer::Say(status, words) => (StatusCode::from_u16(status).unwrap(), words).into_response(),
        Answer::Drop => drop_the_connection(),
        Answer::PayAndDrop => {
            bank.record(&key, &body);
            drop_the_connection()
        }
        Answer::Pay => {
            bank.record(&key, &body);
            (StatusCode::CREATED, body).into_response()
        }
        Answer::PayLate(after) => {
            tokio::time::sleep(after).await;
            bank.record(&key, &body);
            (StatusCode::CREATED, body).into_response()
        }
    };
    bank.book.lock().unwrap().at_once -= 1;
    response
}

/// Unwinds the connection's task, which closes it without an answer.
fn drop_the_connection() -> ! {
    std::panic::resume_unwind(Box::new("dropped on purpose"))
}

async fn look(State(bank): State<Bank>, Path(key): Path<String>) -> Response {
    match bank.book.lock().unwrap().paid.get(&key) {
        Some(body) => (StatusCode::OK, body.clone()).into_response(),
        None => (StatusCode::NOT_FOUND, r#"{"error":"unknown_key"}"#).into_response(),
    }
}
