//! What a case can be decided as. Must not talk to Redis.

use std::fmt;
use std::str::FromStr;

use serde_json::value::RawValue;

use crate::protocol::code::Code;
use crate::protocol::ids::CaseOption;
use crate::protocol::input::InputError;
use crate::protocol::json_text::json_text;

/// Most options of a case.
pub const OPTIONS_MAX: usize = 16;

/// The options of a case: 1 to 16, each once, in the order in which they were given.
///
/// Their text, in the journal, in the fingerprint and under the case's key, has a comma between two: no option holds one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    text: String,
    options: Vec<CaseOption>,
}

impl Options {
    /// Takes them in this order.
    ///
    /// # Errors
    /// There is none, there are too many, or one is there twice.
    pub fn new(options: impl IntoIterator<Item = CaseOption>) -> Result<Self, InputError> {
        let options: Vec<CaseOption> = options.into_iter().collect();
        let text = options.iter().map(CaseOption::as_str).collect::<Vec<_>>().join(",");
        let is_twice = |(at, option): (usize, &CaseOption)| options[..at].contains(option);
        if options.is_empty() || options.len() > OPTIONS_MAX || options.iter().enumerate().any(is_twice) {
            let allowed = format!("1 to {OPTIONS_MAX} options, each once");
            return Err(InputError::new(Code::OptionsMalformed, "options", &text, &allowed));
        }
        Ok(Self { text, options })
    }

    /// Each, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &CaseOption> {
        self.options.iter()
    }

    /// Whether it is one of them.
    pub fn contains(&self, option: &CaseOption) -> bool {
        self.options.contains(option)
    }

    /// The one text of these options.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads `["approve","reject"]`.
    ///
    /// # Errors
    /// Names the option, from 1, and what is wrong with it.
    pub(crate) fn from_json(field: &str, literal: &str) -> Result<Self, InputError> {
        let raw: Vec<&RawValue> = serde_json::from_str(literal).map_err(|_| {
            InputError::new(Code::WrongType, field, literal, r#"a JSON list, ["approve","reject"]"#)
        })?;
        let option = |(number, raw): (usize, &RawValue)| {
            let name = format!("{field}[{number}]");
            let option = json_text(&name, raw.get()).and_then(CaseOption::parse);
            option.map_err(|error| InputError { field: name, ..error })
        };
        Self::new((1..).zip(raw).map(option).collect::<Result<Vec<_>, _>>()?)
    }

    /// The JSON of options that have this text.
    pub(crate) fn json_of(text: &str) -> String {
        let options: Vec<String> = text.split(',').map(|option| format!("\"{option}\"")).collect();
        format!("[{}]", options.join(","))
    }
}

impl Default for Options {
    /// `approve` and `reject`.
    fn default() -> Self {
        let text = "approve,reject";
        Self { text: text.to_owned(), options: text.split(',').flat_map(CaseOption::parse).collect() }
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Options {
    type Err = InputError;

    /// Reads `approve,reject`.
    fn from_str(text: &str) -> Result<Self, InputError> {
        let option = |option| {
            CaseOption::parse(option).map_err(|error| InputError { field: "options".to_owned(), ..error })
        };
        match text {
            "" => Self::new([]),
            text => Self::new(text.split(',').map(option).collect::<Result<Vec<_>, _>>()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_one_to_sixteen_names_each_once() {
        let default: Options = "approve,reject".parse().unwrap();
        assert_eq!((&default, default.iter().len()), (&Options::default(), 2));
        assert_eq!(Options::from_json("options", r#"["approve","reject"]"#).unwrap(), default);
        assert_eq!(Options::json_of(default.as_str()), r#"["approve","reject"]"#);
        let many: Vec<String> = (0..17).map(|n| format!("o{n}")).collect();
        assert!(many[1..].join(",").parse::<Options>().is_ok());
        for (bad, code) in [
            ("", Code::OptionsMalformed),
            ("a,a", Code::OptionsMalformed),
            (&many.join(","), Code::OptionsMalformed),
            ("a,,b", Code::NameMalformed),
            ("a, b", Code::NameMalformed),
        ] {
            let error = bad.parse::<Options>().unwrap_err();
            assert_eq!((error.code, &*error.field), (code, "options"), "{bad}");
        }
        for (bad, code, field) in [
            ("\"a,b\"", Code::WrongType, "options"),
            ("[1]", Code::WrongType, "options[1]"),
            (r#"["a","b c"]"#, Code::NameMalformed, "options[2]"),
            ("[]", Code::OptionsMalformed, "options"),
        ] {
            let error = Options::from_json("options", bad).unwrap_err();
            assert_eq!((error.code, &*error.field), (code, field), "{bad}");
        }
    }
}
