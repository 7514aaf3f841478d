//! The values of fields, each in its forms: as JSON has it, and as the text over which the fingerprint is taken, which the
//! journal keeps, and which a script is sent.

use std::borrow::Cow;

use crate::protocol::amount::{Amount, Currency};
use crate::protocol::code::Code;
use crate::protocol::codes_name::CodesName;
use crate::protocol::ids::{
    AccountId, Actor, CampaignId, CaseId, CaseOption, CustomerId, Destination, InventoryId, ItemId, JobId,
    OrderId, ReservationId,
};
use crate::protocol::input::InputError;
use crate::protocol::instant::Instant;
use crate::protocol::json_text::json_text;
use crate::protocol::keys::Keys;
use crate::protocol::lines::Lines;
use crate::protocol::options::Options;
use crate::protocol::quantity::{Limit, Quantity, Version};
use crate::protocol::reason::Reason;
use crate::protocol::span_ms::SpanMs;
use crate::protocol::stock_name::StockName;

/// How JSON has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Json {
    /// A string, with the value's text.
    Text,
    /// A number, with the value's text.
    Number,
    /// A list of items and quantities; the text is that of [`Lines`].
    Lines,
    /// A list of names; the text is that of [`Options`].
    Options,
    /// `true`, or left out.
    Flag,
    /// A string with a time by RFC 3339; the text is in milliseconds since the Unix epoch.
    Time,
    /// Not at all: a command alone gives it.
    Never,
}

/// How a script is sent a value.
#[derive(Debug, Clone, Copy)]
pub enum Argument {
    /// Its text.
    Text,
    /// The position of the key that this makes of its text.
    Key(fn(&Keys, &str) -> String),
    /// It is the id of a job that was decided: the position of its receipts, then its text.
    Receipt,
    /// Its text, and behind all fields the lines taken apart: a list of what begins the
    /// item in a bucket's text, quantity and the item's hash in turn.
    Lines,
}

/// A value of a field.
pub trait Value: Sized {
    /// Its form in JSON.
    const JSON: Json;
    /// Its form in a script's arguments.
    const ARGUMENT: Argument = Argument::Text;
    /// Whether it may be absent.
    const IS_OPTIONAL: bool = false;

    /// Its text; `None` if it is absent.
    fn text(&self) -> Option<Cow<'_, str>>;

    /// Reads its text; an absent one has none.
    fn from_text(text: &str) -> Option<Self>;

    /// Reads a literal of JSON.
    ///
    /// # Errors
    /// The field, the literal, and what is allowed.
    fn from_json(field: &'static str, literal: &str) -> Result<Self, InputError> {
        Err(InputError::new(Code::UnknownField, field, literal, "left out: a command gives it"))
    }

    /// How many items a script looks at for it.
    fn weight(&self) -> usize {
        0
    }

    /// What it is where JSON leaves it out; `None` if it must be given.
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: Value> Value for Option<T> {
    const JSON: Json = T::JSON;
    const ARGUMENT: Argument = T::ARGUMENT;
    const IS_OPTIONAL: bool = true;

    fn text(&self) -> Option<Cow<'_, str>> {
        self.as_ref().and_then(T::text)
    }

    fn from_text(text: &str) -> Option<Self> {
        if text.is_empty() { Some(None) } else { T::from_text(text).map(Some) }
    }

    fn from_json(field: &'static str, literal: &str) -> Result<Self, InputError> {
        T::from_json(field, literal).map(Some)
    }

    fn weight(&self) -> usize {
        self.as_ref().map_or(0, T::weight)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

macro_rules! texts {
    (weight $weight:literal of $($type:ident)*) => {$(
        impl Value for $type {
            const JSON: Json = Json::Text;

            fn text(&self) -> Option<Cow<'_, str>> {
                Some(self.as_str().into())
            }

            fn from_text(text: &str) -> Option<Self> {
                Self::parse(text).ok()
            }

            fn from_json(field: &'static str, literal: &str) -> Result<Self, InputError> {
                Self::parse(json_text(field, literal)?)
            }

            fn weight(&self) -> usize {
                $weight
            }
        }
    )*};
}
texts!(weight 0 of CampaignId AccountId InventoryId CaseId CustomerId Destination CaseOption Actor);
texts!(weight 1 of ItemId);
// The order is read, all of it: as many lines as most orders have at most.
texts!(weight 8 of ReservationId OrderId);

macro_rules! numbers {
    ($($type:ident $new:ident $get:ident $parse:ident)*) => {$(
        impl Value for $type {
            const JSON: Json = Json::Number;

            fn text(&self) -> Option<Cow<'_, str>> {
                Some(self.$get().to_string().into())
            }

            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok().and_then(Self::$new)
            }

            fn from_json(field: &'static str, literal: &str) -> Result<Self, InputError> {
                Self::$parse(field, literal)
            }
        }
    )*};
}
numbers!(Amount from_minor minor parse_minor  Quantity new get parse  Limit new get parse  Version new get parse  SpanMs new get parse);

impl Value for Currency {
    const JSON: Json = Json::Text;

    fn text(&self) -> Option<Cow<'_, str>> {
        Some(self.code().into())
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn from_json(field: &'static str, literal: &str) -> Result<Self, InputError> {
        json_text(field, literal)?.parse()
    }
}

impl Value for Instant {
    const JSON: Json = Json::Time;

    fn text(&self) -> Option<Cow<'_, str>> {
        Some(self.ms().to_string().into())
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().and_then(Self::from_ms)
    }

    fn from_json(field: &'static str, literal: &str) -> Result<Self, InputError> {
        Self::parse(field, &json_text(field, literal)?)
    }
}

macro_rules! content_names {
    ($($type:ident $argument:expr;)*) => {$(
        impl Value for $type {
            const JSON: Json = Json::Never;
            const ARGUMENT: Argument = $argument;

            fn text(&self) -> Option<Cow<'_, str>> {
                Some(self.as_str().into())
            }

            fn from_text(text: &str) -> Option<Self> {
                Self::parse(text)
            }
        }
    )*};
}
content_names! {
    CodesName Argument::Key(Keys::codes_named);
    StockName Argument::Text;
}

impl Value for Lines {
    const JSON: Json = Json::Lines;
    const ARGUMENT: Argument = Argument::Lines;

    fn text(&self) -> Option<Cow<'_, str>> {
        Some(self.as_str().into())
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::from_text(text)
    }

    fn from_json(field: &'static str, literal: &str) -> Result<Self, InputError> {
        Self::from_json(field, literal)
    }

    fn weight(&self) -> usize {
        self.count()
    }
}

impl Value for Options {
    const JSON: Json = Json::Options;

    fn text(&self) -> Option<Cow<'_, str>> {
        Some(self.as_str().into())
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn from_json(field: &'static str, literal: &str) -> Result<Self, InputError> {
        Self::from_json(field, literal)
    }
}

impl Value for Reason {
    const JSON: Json = Json::Text;

    fn text(&self) -> Option<Cow<'_, str>> {
        Some(self.as_str().into())
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }

    fn from_json(field: &'static str, literal: &str) -> Result<Self, InputError> {
        Self::parse(json_text(field, literal)?)
    }
}

/// The job that something is given back of.
impl Value for JobId {
    const JSON: Json = Json::Text;
    const ARGUMENT: Argument = Argument::Receipt;

    fn text(&self) -> Option<Cow<'_, str>> {
        Some(self.as_str().into())
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }

    fn from_json(field: &'static str, literal: &str) -> Result<Self, InputError> {
        Self::parse(json_text(field, literal)?)
            .map_err(|error| InputError { field: field.to_owned(), ..error })
    }
}

/// What is not so is absent.
impl Value for bool {
    const JSON: Json = Json::Flag;
    const IS_OPTIONAL: bool = true;

    fn text(&self) -> Option<Cow<'_, str>> {
        self.then(|| "true".into())
    }

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "" => Some(false),
            "true" => Some(true),
            _ => None,
        }
    }

    fn from_json(field: &'static str, literal: &str) -> Result<Self, InputError> {
        literal.parse().map_err(|_| InputError::new(Code::WrongType, field, literal, "true or false"))
    }

    fn absent() -> Option<Self> {
        Some(false)
    }
}

/// Attempts and fences.
impl Value for u64 {
    const JSON: Json = Json::Number;

    fn text(&self) -> Option<Cow<'_, str>> {
        Some(self.to_string().into())
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A gateway's words, an operator's reason.
impl Value for String {
    const JSON: Json = Json::Text;

    fn text(&self) -> Option<Cow<'_, str>> {
        Some(self.as_str().into())
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}
