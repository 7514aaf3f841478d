//! The name of a list of coupon codes. Must not talk to Redis.

/// A name that is the SHA-256 of what it names, in lower-case hex.
macro_rules! content_name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $type(String);

        impl $type {
            /// Takes 64 lower-case hex digits.
            pub fn parse(text: &str) -> Option<Self> {
                let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                (text.len() == 64 && text.bytes().all(hex)).then(|| Self(text.to_owned()))
            }

            /// The 64 hex digits.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}
pub(crate) use content_name;

content_name!(
    /// The name of an uploaded list of codes: the SHA-256 of its content in lower-case hex (see `codes`).
    CodesName
);
