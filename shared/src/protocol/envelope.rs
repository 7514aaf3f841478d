//! The wire format: one JSON object per job, the same in a stream's `job` field and in a line of a file.
//!
//! `docs/protocol.md` describes it. Numbers are judged by their literal text, so that `1e3`, `1.0` and
//! `9007199254740993` are refused and never rounded. Must not talk to Redis.

mod malformed;

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::protocol::code::Code;
use crate::protocol::ids::JobId;
use crate::protocol::input::InputError;
use crate::protocol::instant::Instant;
use crate::protocol::job::Job;
use crate::protocol::json_object::{Name, one_of};
use crate::protocol::json_text::json_text;
use crate::protocol::kinds::{Entrance, Fields, Json, Kind, Request, Value};
use crate::protocol::lines::Lines;
use crate::protocol::options::Options;

/// The version that this release writes and reads.
pub const VERSION: &str = "1";
/// Longest envelope in bytes. The fields together need under 1 KiB; the rest is for ids in escaped text.
pub const ENVELOPE_BYTES_MAX: usize = 64 * 1024;

/// The error of an envelope that has so many bytes, more than [`ENVELOPE_BYTES_MAX`].
pub fn too_long(bytes: u64) -> InputError {
    let allowed = format!("at most {ENVELOPE_BYTES_MAX} bytes");
    InputError::new(Code::PayloadTooLarge, "envelope", &format!("{bytes} bytes"), &allowed)
}

/// What every envelope has beside the fields of its kind, and what those of a stream may have.
const COMMON_FIELDS: [&str; 3] = ["v", "id", "kind"];
const STREAM_FIELD: &str = "at";

/// The fields of all kinds that JSON may ask for.
static FIELDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let mut names = [&COMMON_FIELDS[..], &[STREAM_FIELD]].concat();
    for kind in Kind::ALL.iter().filter(|kind| is_in_files(**kind)) {
        let fields = json_fields(*kind).filter(|name| !names.contains(name));
        let fields: Vec<&str> = fields.collect();
        names.extend(fields);
    }
    names
});

/// Whether JSON may ask for it, be it under another kind's name.
fn is_in_files(kind: Kind) -> bool {
    matches!(kind.entrance(), Entrance::Stream | Entrance::File)
}

fn json_fields(kind: Kind) -> impl Iterator<Item = &'static str> {
    kind.spec().fields.iter().filter(|field| field.json != Json::Never).map(|field| field.name)
}

/// The name under which JSON asks for a kind: to whoever sends it, a payout is a withdrawal with a destination.
pub(crate) fn sent_as(kind: Kind) -> Kind {
    match kind {
        Kind::Payout => Kind::Withdraw,
        kind => kind,
    }
}

/// The names of the kinds that `is_allowed` lets in, as JSON has them.
fn names_of(is_allowed: impl Fn(Kind) -> bool) -> String {
    Kind::names(|kind| is_allowed(kind) && sent_as(kind) == kind)
}

/// A request as it came, its id perhaps still to be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The id, if it has one.
    pub id: Option<JobId>,
    /// Not before this instant.
    pub at: Option<Instant>,
    /// What is asked for.
    pub request: Request,
}

/// Why bytes are no job, and the id they carry if that much could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Poison {
    /// The id, so that the sender finds the job under its own name.
    pub id: Option<JobId>,
    /// What was wrong.
    pub error: InputError,
}

impl Envelope {
    /// Reads one envelope: a line of a file, which may be an admin operation and may lack an id.
    ///
    /// # Errors
    /// The first thing that is wrong, and the id if it could be read.
    pub fn decode(bytes: &[u8]) -> Result<Self, Poison> {
        let poison = |id, error| Poison { id, error };
        let fields = Object::read(bytes).map_err(|error| poison(None, error))?;
        let id = fields.text("id").and_then(|id| id.map(JobId::parse).transpose());
        if let Some(error) = fields.problem {
            return Err(poison(id.ok().flatten(), error));
        }
        let id = id.map_err(|error| poison(None, error))?;
        let (at, request) = fields.envelope().map_err(|error| poison(id.clone(), error))?;
        Ok(Self { id, at, request })
    }

    /// Reads the `job` field of a stream entry: it must have an id and be of a kind that may be queued.
    ///
    /// # Errors
    /// As [`Envelope::decode`].
    pub fn decode_job(bytes: &[u8]) -> Result<Job, Poison> {
        let Self { id, at, request } = Self::decode(bytes)?;
        let request = match request {
            Request::Job(request) => request,
            Request::Operation(operation) => {
                let allowed = format!("{} in a stream", names_of(Kind::is_queueable));
                let kind = operation.kind().name();
                let error = InputError::new(Code::KindNotQueueable, "kind", kind, &allowed);
                return Err(Poison { id, error });
            }
        };
        match id {
            Some(id) => Ok(Job { id, at, request }),
            None => Err(Poison { id: None, error: InputError::missing("id") }),
        }
    }
}

impl Job {
    /// The envelope of this job, without spaces, fields in a fixed order.
    pub fn encode(&self) -> String {
        let mut json = String::with_capacity(160);
        json.push_str("{\"v\":1,\"id\":");
        push_text(&mut json, self.id.as_str());
        json.push_str(",\"kind\":");
        push_text(&mut json, sent_as(self.request.kind()).name());
        if let Some(at) = self.at {
            json.push_str(",\"at\":");
            push_text(&mut json, &at.to_string());
        }
        self.request.each_field(&mut |field, text| {
            let Some(text) = text else { return };
            json.push_str(",\"");
            json.push_str(field.name);
            json.push_str("\":");
            match field.json {
                Json::Number | Json::Flag => json.push_str(&text),
                Json::Lines => json.push_str(&Lines::json_of(&text)),
                Json::Options => json.push_str(&Options::json_of(&text)),
                Json::Text | Json::Time | Json::Never => push_text(&mut json, &text),
            }
        });
        json.push('}');
        json
    }
}

fn push_text(json: &mut String, text: &str) {
    // Plain ASCII without quotes needs no escaping; that is nearly every id.
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\') {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        json.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// The fields of one object, in their literal text.
struct Object<'a> {
    /// Those that are known, each once. An id that is given twice is none: nobody can tell which is meant.
    known: Vec<(&'static str, &'a RawValue)>,
    /// The first field that is unknown, or that is given twice.
    problem: Option<InputError>,
}

impl<'a> Object<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, InputError> {
        if bytes.len() > ENVELOPE_BYTES_MAX {
            return Err(too_long(bytes.len() as u64));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| malformed::no_text(bytes, error))?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let fields =
            reader.deserialize_map(ObjectVisitor).map_err(|error| malformed::no_object(text, &error))?;
        reader.end().map_err(|error| malformed::no_object(text, &error))?;
        Ok(fields)
    }

    fn literal(&self, field: &str) -> Option<&'a str> {
        self.known
            .iter()
            .find(|(name, _)| *name == field)
            .map(|(_, value)| value.get())
            .filter(|text| *text != "null")
    }

    fn text(&self, field: &str) -> Result<Option<Cow<'a, str>>, InputError> {
        self.literal(field).map(|literal| json_text(field, literal)).transpose()
    }

    fn envelope(&self) -> Result<(Option<Instant>, Request), InputError> {
        if let Some(version) = self.literal("v").filter(|version| *version != VERSION) {
            return Err(InputError::new(Code::UnsupportedVersion, "v", version, VERSION));
        }
        let name = self.text("kind")?.ok_or_else(|| InputError::missing("kind"))?;
        let refused = |code| InputError::new(code, "kind", &name, &names_of(is_in_files));
        let sent = Kind::from_name(&name).ok_or_else(|| refused(Code::UnknownKind))?;
        if !is_in_files(sent) || sent_as(sent) != sent {
            return Err(refused(Code::KindNotQueueable));
        }
        let kind = match sent {
            Kind::Withdraw if self.literal("destination").is_some() => Kind::Payout,
            kind => kind,
        };
        self.only(sent)?;
        let request = Request::from_json(kind, &|field| self.literal(field))?;
        let request = request.ok_or_else(|| refused(Code::KindNotQueueable))?;
        let at = self.literal(STREAM_FIELD).map(|at| Instant::from_json(STREAM_FIELD, at)).transpose()?;
        Ok((at, request))
    }

    /// Refuses fields that no kind of this name has.
    fn only(&self, sent: Kind) -> Result<(), InputError> {
        let mut allowed: Vec<&str> = sent.is_queueable().then_some(STREAM_FIELD).into_iter().collect();
        for kind in Kind::ALL.iter().filter(|kind| sent_as(**kind) == sent) {
            let fields: Vec<&str> = json_fields(*kind).filter(|name| !allowed.contains(name)).collect();
            allowed.extend(fields);
        }
        match self.known.iter().find(|(name, _)| !COMMON_FIELDS.contains(name) && !allowed.contains(name)) {
            None => Ok(()),
            Some((name, value)) => {
                let allowed = format!("left out of {sent}, which has {}", allowed.join(", "));
                Err(InputError::new(Code::UnknownField, name, value.get(), &allowed))
            }
        }
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Object { known: Vec::with_capacity(8), problem: None };
        let mut is_id_given_twice = false;
        // The whole object is read also after a problem: JSON that breaks off later is worse news, and the id may
        // come after it.
        while let Some(name) = map.next_key::<Name<'de>>()? {
            let value = map.next_value::<&'de RawValue>()?;
            let code = match FIELDS.iter().find(|known| **known == name.0) {
                Some(known) if fields.known.iter().all(|(name, _)| name != known) => {
                    fields.known.push((*known, value));
                    continue;
                }
                Some(known) => {
                    is_id_given_twice |= *known == "id";
                    (Code::RepeatedField, "given once".to_owned())
                }
                None => (Code::UnknownField, one_of(&FIELDS, &name.0)),
            };
            fields.problem.get_or_insert_with(|| InputError::new(code.0, &name.0, value.get(), &code.1));
        }
        if is_id_given_twice {
            fields.known.retain(|(name, _)| *name != "id");
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ids::{CampaignId, CustomerId};
    use crate::protocol::kinds::Redeem;
    use crate::protocol::quantity::Quantity;
    use proptest::prelude::*;

    fn code(text: &str) -> Code {
        Envelope::decode_job(text.as_bytes()).unwrap_err().error.code
    }

    #[test]
    fn a_job_is_read_whatever_its_spelling() {
        let plain = br#"{"kind":"redeem","id":"j1","campaign":"summer","customer":"c42"}"#;
        let spelled = br#" {"customer":"c\u0034\u0032", "quantity":1,"v":1,"\u0069d":"j1","campaign":"summer","kind":"redeem"} "#;
        let job = Envelope::decode_job(plain).unwrap();
        assert_eq!(job, Envelope::decode_job(spelled).unwrap());
        assert_eq!(
            job.encode(),
            r#"{"v":1,"id":"j1","kind":"redeem","campaign":"summer","customer":"c42","quantity":1}"#
        );
    }

    #[test]
    fn each_fault_has_its_code() {
        let withdraw =
            |amount: &str| format!(r#"{{"kind":"withdraw","id":"w","account":"a","amount":{amount}}}"#);
        for (amount, expected) in [
            ("0", Code::AmountZero),
            ("-1", Code::AmountNegative),
            ("-0", Code::AmountNegative),
            ("1.5", Code::AmountOutOfRange),
            ("1e3", Code::AmountOutOfRange),
            ("9007199254740992", Code::AmountOutOfRange),
            ("9223372036854775808", Code::AmountOutOfRange),
            ("\"12\"", Code::AmountOutOfRange),
            ("true", Code::AmountOutOfRange),
            ("null", Code::MissingField),
            ("0x10", Code::MalformedJson),
            ("NaN", Code::MalformedJson),
            ("", Code::MalformedJson),
        ] {
            assert_eq!(code(&withdraw(amount)), expected, "{amount}");
        }
        for (text, expected) in [
            ("", Code::MalformedJson),
            ("[]", Code::MalformedJson),
            ("{} {}", Code::MalformedJson),
            ("{}", Code::MissingField),
            (
                r#"{"kind":"redeem","id":"r","campaign":"c","customer":"x","quantity":0}"#,
                Code::QuantityOutOfRange,
            ),
            (r#"{"kind":"redeem","id":"r","campaign":"c"}"#, Code::MissingField),
            (r#"{"kind":"redeem","campaign":"c","customer":"x"}"#, Code::MissingField),
            (r#"{"kind":"redeem","id":"r","id":"r","campaign":"c","customer":"x"}"#, Code::RepeatedField),
            (r#"{"kind":"redeem","id":"r","campaign":"c","customer":"x","amount":1}"#, Code::UnknownField),
            (r#"{"kind":"redeem","id":"r","campaign":"c","customer":"x","price":1}"#, Code::UnknownField),
            (r#"{"kind":"redeem","id":"r","campaign":7,"customer":"x"}"#, Code::WrongType),
            (r#"{"kind":"redeem","id":"r","campaign":"{c}","customer":"x"}"#, Code::IdMalformed),
            (r#"{"kind":"redeem","id":"create/x","campaign":"c","customer":"x"}"#, Code::IdReserved),
            (r#"{"kind":"redeem","id":"r","campaign":"c","customer":"x","at":"soon"}"#, Code::TimeMalformed),
            (
                r#"{"kind":"withdraw","id":"w","account":"a","amount":1,"currency":"usd"}"#,
                Code::CurrencyUnknown,
            ),
            (r#"{"kind":"withdraw","id":"w","account":"a","amount":1,"destination":""}"#, Code::IdMalformed),
            (r#"{"kind":"deposit","id":"d","account":"a","amount":1}"#, Code::KindNotQueueable),
            (r#"{"kind":"account_close","id":"d","account":"a"}"#, Code::KindNotQueueable),
            (r#"{"kind":"dance","id":"d"}"#, Code::UnknownKind),
            (r#"{"kind":"redeem","v":2,"id":"r","campaign":"c","customer":"x"}"#, Code::UnsupportedVersion),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
        assert_eq!(code(&" ".repeat(70_000)), Code::PayloadTooLarge);
        assert_eq!(Envelope::decode_job(b"{\"id\":\"\xff\"}").unwrap_err().error.code, Code::MalformedJson);
    }

    #[test]
    fn poison_keeps_the_id_that_could_be_read() {
        let id = |text: &str| {
            let poison = Envelope::decode_job(text.as_bytes()).unwrap_err();
            (poison.id.map(|id| id.to_string()), poison.error.code)
        };
        let w7 = Some("w7".to_owned());
        for (text, expected) in [
            (r#"{"kind":"withdraw","id":"w7","account":"a","amount":0}"#, (w7.clone(), Code::AmountZero)),
            // Whatever is wrong with the fields, before the id or after it.
            (
                r#"{"kind":"redeem","id":"w7","campaign":"c","custommer":"x"}"#,
                (w7.clone(), Code::UnknownField),
            ),
            (
                r#"{"custommer":"x","kind":"redeem","campaign":"c","id":"w7"}"#,
                (w7.clone(), Code::UnknownField),
            ),
            (r#"{"kind":"redeem","kind":"redeem","id":"w7"}"#, (w7.clone(), Code::RepeatedField)),
            (r#"{"v":2,"id":"w7","news":1}"#, (w7.clone(), Code::UnknownField)),
            (r#"{"v":2,"id":"w7"}"#, (w7.clone(), Code::UnsupportedVersion)),
            (r#"{"kind":"dance","id":"w7"}"#, (w7.clone(), Code::UnknownKind)),
            (r#"{"kind":"deposit","id":"w7","account":"a","amount":1}"#, (w7, Code::KindNotQueueable)),
            // Nobody can tell which id is meant, or there is none that may be stored.
            (r#"{"kind":"redeem","id":"w7","id":"w8"}"#, (None, Code::RepeatedField)),
            (r#"{"kind":"redeem","id":"w7","news":1,"id":"w7"}"#, (None, Code::UnknownField)),
            (r#"{"kind":"redeem","id":"create/x","news":1}"#, (None, Code::UnknownField)),
            (r#"{"kind":"redeem","id":"w7","campaign":"c",}"#, (None, Code::MalformedJson)),
        ] {
            assert_eq!(id(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_job_reads_back(id in "\\PC{1,30}", customer in "[^{}\\x00-\\x1f\\x7f-\\x9f]{1,30}", quantity in 1u64..1 << 53, at in prop::option::of(0u64..4_000_000_000_000)) {
            prop_assume!(JobId::parse(id.as_str()).is_ok() && CustomerId::parse(customer.as_str()).is_ok());
            let job = Job {
                id: JobId::parse(id).unwrap(),
                at: at.and_then(Instant::from_ms),
                request: Redeem {
                    campaign: CampaignId::parse("c").unwrap(),
                    customer: CustomerId::parse(customer).unwrap(),
                    quantity: Quantity::new(quantity).unwrap(),
                }
                .into(),
            };
            prop_assert_eq!(Envelope::decode_job(job.encode().as_bytes()).unwrap(), job);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Envelope::decode_job(&bytes);
        }
    }
}
