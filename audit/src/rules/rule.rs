//! What a rule is.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::Fields;

use crate::model::Model;
pub(super) use crate::weight::Weight;

/// The rule of a kind.
pub(super) trait Rule: Fields {
    /// What `settle` must have answered; `None` where the journal does not tell enough.
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision>;

    /// What a cancelled job leaves behind: what was there. Nobody can say that it was not to be cancelled.
    fn cancelled(&self, model: &Model, _: &Line) -> Option<Decision> {
        let resource = self.resource();
        (!model.is_unknown(resource)).then(|| Decision::new(Code::Cancelled, model.after(resource)))
    }

    /// Takes over what the line says it did, whether or not it should have.
    fn take_over(&self, model: &mut Model, line: &Line, weight: Weight<'_>);
}

/// What a line must say, by the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) code: Code,
    /// What it left behind, as [`Line::after`] has it.
    pub(crate) after: Vec<u64>,
    /// What it says behind these, as [`Line::told`] has it.
    pub(crate) told: Option<String>,
}

impl Decision {
    /// Where the journal shows one number; `None` if there is no such resource.
    pub(super) fn new(code: Code, after: Option<u64>) -> Self {
        Self::of(code, after.into_iter().collect())
    }

    /// Where it shows some numbers, and nothing behind them.
    pub(super) fn of(code: Code, after: Vec<u64>) -> Self {
        Self { code, after, told: None }
    }

    /// With these texts behind the numbers, as far as there are some.
    pub(super) fn telling<const N: usize>(self, texts: [Option<String>; N]) -> Self {
        let texts = texts.map(Option::unwrap_or_default);
        let said = texts.iter().rposition(|text| !text.is_empty()).map_or(0, |last| last + 1);
        Self { told: (said > 0).then(|| texts[..said].join("\t")), ..self }
    }

    /// Whether the line says so.
    pub(super) fn agrees(&self, line: &Line) -> bool {
        line.code == self.code && line.after == self.after && line.told == self.told
    }
}
