//! A kind as data: its fields in order, and how its struct is read and written by them.

use std::borrow::Cow;
use std::fmt;

use super::value::{Argument, Json, Value};
use crate::protocol::input::InputError;
use crate::protocol::resource::Resource;

/// One field of a kind.
#[derive(Debug)]
pub struct Field {
    /// Its name in JSON, in the fingerprint, and in what people are told.
    pub name: &'static str,
    /// How JSON has it.
    pub json: Json,
    /// How a script is sent it.
    pub argument: Argument,
    /// Whether it may be absent: left out of JSON and the fingerprint, empty in the journal and for a script.
    pub is_optional: bool,
}

/// What there is to say of a kind beside its name.
#[derive(Debug)]
pub struct Spec {
    /// In the order of the journal. The first names the resource. A further field goes to the end and is optional, so
    /// that fingerprints stay what they were.
    pub fields: &'static [Field],
    /// The text that a journal line shows between the request and the numbers, of a kind that has one: what the decision
    /// found.
    pub was: Option<&'static str>,
    /// The numbers that a journal line shows after the request: what the decision left behind.
    pub after: &'static [&'static str],
    /// How many of these a line must have; what it leaves out is told by another number.
    pub after_least: usize,
    /// The texts that a journal line may show behind the numbers: an empty one says nothing, and the last ones are left out
    /// where they say nothing.
    pub told: &'static [&'static str],
    /// The field that names its other resource, of a kind that acts on two.
    pub also: Option<&'static str>,
    /// Whether it puts money on hold: a call brings the keys of the hold, and how long it may last.
    pub holds: bool,
}

/// Is called with a field and its text; `None` for one that is absent.
pub type Each<'each, 'text> = &'each mut dyn FnMut(&'static Field, Option<Cow<'text, str>>);

/// Answers the literal of a field of a JSON object; `None` for one that is left out.
pub(crate) type Literals<'a> = &'a dyn Fn(&'static str) -> Option<&'a str>;

/// What [`kind`] makes of a kind's list of fields.
pub(crate) trait Shape: fmt::Debug + Sized {
    const SPEC: Spec;

    fn resource(&self) -> Resource<'_>;

    fn other_resource(&self) -> Option<Resource<'_>>;

    fn each_field<'a>(&'a self, each: Each<'_, 'a>);

    fn check(&self) -> Result<(), InputError>;

    fn weight(&self) -> usize;

    /// Reads a JSON object, and checks what it says.
    fn from_json(literal: Literals<'_>) -> Result<Self, InputError>;

    /// Reads the words of a journal line.
    fn from_words(words: &[&str]) -> Option<Self>;
}

/// Declares a kind: its struct and its list of fields, and after them the numbers that the journal shows after the
/// request, and what is true of few: `was`, with the name of a text before these, `told`, with those of texts behind them, `also`, with the field of its other resource, `holds`, and `check` with what no single
/// field can say.
macro_rules! kind {
    (
        $(#[$doc:meta])*
        $type:ident {
            $(#[$first_doc:meta])*
            $first:ident: $first_type:ty
            $(, $(#[$field_doc:meta])* $field:ident: $field_type:ty $(= $default:expr)?)* $(,)?
        }
        $(was $was:literal)?
        after $($after:literal)+ $(; rarely $rare:literal)?
        $(told $($told:literal)+)?
        $(also $also:ident)?
        $(holds $holds:literal)?
        $(check $check:expr)?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $type {
            $(#[$first_doc])*
            pub $first: $first_type,
            $($(#[$field_doc])* pub $field: $field_type,)*
        }

        impl $crate::protocol::kinds::shape::Shape for $type {
            const SPEC: $crate::protocol::kinds::shape::Spec = $crate::protocol::kinds::shape::Spec {
                fields: &[
                    $crate::protocol::kinds::shape::field::<$first_type>(stringify!($first), false),
                    $($crate::protocol::kinds::shape::field::<$field_type>(stringify!($field), kind!(@has $($default)?)),)*
                ],
                was: kind!(@text $($was)?),
                after: &[$($after,)+ $($rare)?],
                after_least: [$($after),+].len(),
                told: &[$($($told),+)?],
                also: kind!(@name $($also)?),
                holds: false $(|| $holds)?,
            };

            fn resource(&self) -> $crate::protocol::resource::Resource<'_> {
                (&self.$first).into()
            }

            fn other_resource(&self) -> Option<$crate::protocol::resource::Resource<'_>> {
                None$(.or(Some((&self.$also).into())))?
            }

            fn each_field<'a>(&'a self, each: $crate::protocol::kinds::shape::Each<'_, 'a>) {
                use $crate::protocol::kinds::value::Value;
                let mut fields = Self::SPEC.fields.iter();
                let mut next = |text| {
                    if let Some(field) = fields.next() {
                        each(field, text);
                    }
                };
                next(self.$first.text());
                $(next(self.$field.text());)*
            }

            fn check(&self) -> Result<(), $crate::protocol::input::InputError> {
                $(
                    let check: fn(&Self) -> Result<(), $crate::protocol::input::InputError> = $check;
                    check(self)?;
                )?
                Ok(())
            }

            fn weight(&self) -> usize {
                use $crate::protocol::kinds::value::Value;
                self.$first.weight() $(+ self.$field.weight())*
            }

            fn from_json(literal: $crate::protocol::kinds::shape::Literals<'_>) -> Result<Self, $crate::protocol::input::InputError> {
                use $crate::protocol::kinds::shape::value_of;
                let request = Self {
                    $first: value_of(stringify!($first), literal, None)?,
                    $($field: value_of(stringify!($field), literal, kind!(@some $($default)?))?,)*
                };
                $crate::protocol::kinds::shape::Shape::check(&request)?;
                Ok(request)
            }

            fn from_words(words: &[&str]) -> Option<Self> {
                use $crate::protocol::kinds::value::Value;
                let mut words = words.iter();
                let request = Self {
                    $first: <$first_type as Value>::from_text(words.next()?)?,
                    $($field: <$field_type as Value>::from_text(words.next()?)?,)*
                };
                words.next().is_none().then_some(request)
            }
        }
    };
    (@some) => { None };
    (@some $default:expr) => { Some($default) };
    (@has) => { false };
    (@text) => { None };
    (@text $text:literal) => { Some($text) };
    (@name) => { None };
    (@name $also:ident) => { Some(stringify!($also)) };
    (@has $default:expr) => { true };
}
pub(super) use kind;

pub(super) const fn field<T: Value>(name: &'static str, has_default: bool) -> Field {
    Field { name, json: T::JSON, argument: T::ARGUMENT, is_optional: T::IS_OPTIONAL || has_default }
}

pub(super) fn value_of<T: Value>(
    field: &'static str,
    literal: Literals<'_>,
    default: Option<T>,
) -> Result<T, InputError> {
    match literal(field) {
        Some(literal) => T::from_json(field, literal),
        None => default.or_else(T::absent).ok_or_else(|| InputError::missing(field)),
    }
}
