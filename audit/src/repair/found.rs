//! What is under a key that is to be repaired.

use std::collections::BTreeMap;

use redis::Value;
use tollgate::failure::Failure;
use tollgate::link::Link;

use crate::read::fields_or_words;

/// Fields of one HSET or HSCAN.
pub(super) const FIELDS: usize = 500;

/// What is under a key that should be a hash, or a text of as many words as there are fields.
pub(super) enum Found {
    Hash(BTreeMap<String, String>),
    OtherType(String),
}

impl Found {
    pub(super) async fn read_words(link: &mut Link, key: &str, names: &[&str]) -> Result<Self, Failure> {
        let text = match link.run(redis::cmd("GET").arg(key)).await {
            Err(Failure::Server { code, .. }) if code == "WRONGTYPE" => {
                return Ok(Self::OtherType("another type".to_owned()));
            }
            reply => reply?,
        };
        let words = fields_or_words(text, names.len()).into_iter();
        let named = names.iter().zip(words).filter_map(|(name, word)| {
            Some(((*name).to_owned(), String::from_utf8_lossy(&word?).into_owned()))
        });
        Ok(Self::Hash(named.collect()))
    }

    pub(super) async fn read(link: &mut Link, key: &str) -> Result<Self, Failure> {
        let mut fields = BTreeMap::new();
        let mut cursor = "0".to_owned();
        loop {
            let mut command = redis::cmd("HSCAN");
            command.arg(key).arg(&cursor).arg("COUNT").arg(FIELDS);
            let (next, page): (String, Vec<Vec<u8>>) = match link.run(&command).await {
                Err(Failure::Server { code, .. }) if code == "WRONGTYPE" => {
                    return Ok(Self::OtherType("another type".to_owned()));
                }
                reply => parsed(reply?)?,
            };
            let mut words = page.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned());
            while let (Some(name), Some(value)) = (words.next(), words.next()) {
                fields.insert(name, value);
            }
            if next == "0" {
                return Ok(Self::Hash(fields));
            }
            cursor = next;
        }
    }
}

pub(super) fn parsed<T: redis::FromRedisValue>(value: Value) -> Result<T, Failure> {
    redis::from_redis_value(value).map_err(|error| Failure::unknown(error.to_string()))
}
