//! A reply, read by position, and the words of which a script answers one.

use redis::Value;

use crate::connection::failure::Failure;

/// Words of which a script answers one; declared by [`keywords!`].
pub(crate) trait Keyword: Copy + 'static {
    /// Each with what it means.
    const ALL: &'static [(&'static str, Self)];
    /// Each.
    const WORDS: &'static [&'static str];

    /// What this one means.
    fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning)
    }

    /// The word.
    fn word(self) -> &'static str;
}

/// Declares an enum of such words, which whoever reads a reply matches whole:
/// `keywords!(enum Status { Reaped = "reaped", Alive = "alive" })`.
macro_rules! keywords {
    (
        $(#[$about:meta])*
        $vis:vis enum $name:ident { $($(#[$means:meta])* $variant:ident = $word:literal),+ $(,)? }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name { $($(#[$means])* $variant),+ }

        impl $crate::connection::reply::Keyword for $name {
            const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),+];
            const WORDS: &'static [&'static str] = &[$($word),+];

            fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }
    };
}
pub(crate) use keywords;

/// The rest of a reply, read by position.
#[derive(Debug)]
pub(crate) struct Reply(pub(crate) std::vec::IntoIter<Value>);

impl Reply {
    pub(crate) fn of(value: Value) -> Result<Self, Failure> {
        match value {
            Value::Array(items) => Ok(Self(items.into_iter())),
            other => Err(odd("an array", &other)),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What is next, where that is a text.
    pub(crate) fn peek(&self) -> Option<&[u8]> {
        match self.0.as_slice().first()? {
            Value::BulkString(bytes) => Some(bytes),
            Value::SimpleString(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    pub(crate) fn next(&mut self, what: &str) -> Result<Value, Failure> {
        self.0.next().ok_or_else(|| Failure::unknown(format!("a reply without its {what}")))
    }

    pub(crate) fn bytes(&mut self, what: &str) -> Result<Vec<u8>, Failure> {
        match self.next(what)? {
            Value::BulkString(bytes) => Ok(bytes),
            Value::SimpleString(text) => Ok(text.into_bytes()),
            Value::Int(number) => Ok(number.to_string().into_bytes()),
            other => Err(odd(what, &other)),
        }
    }

    pub(crate) fn text(&mut self, what: &str) -> Result<String, Failure> {
        let bytes = self.bytes(what)?;
        String::from_utf8(bytes).map_err(|_| Failure::unknown(format!("a reply whose {what} is no text")))
    }

    /// One of these words.
    pub(crate) fn keyword<T: Keyword>(&mut self, what: &str) -> Result<T, Failure> {
        let text = self.text(what)?;
        T::of(&text)
            .ok_or_else(|| Failure::unknown(format!("a {what} that this release does not know: {text}")))
    }

    pub(crate) fn number(&mut self, what: &str) -> Result<u64, Failure> {
        let text = self.text(what)?;
        text.parse().map_err(|_| Failure::unknown(format!("a reply whose {what} is {text:?}")))
    }

    pub(crate) fn list(&mut self, what: &str) -> Result<Self, Failure> {
        Self::of(self.next(what)?)
    }
}

fn odd(expected: &str, found: &Value) -> Failure {
    Failure::unknown(format!("a reply with {found:?} where {expected} should be"))
}
