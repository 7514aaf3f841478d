//! The rule of `decide`: of a case one decision stands, the first.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::Decide;

use super::rule::{Decision, Rule, Weight};
use crate::case::Word;
use crate::model::Model;

impl Rule for Decide {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        let Some(case) = model.known_case(&self.case)? else {
            return Some(Decision::new(Code::CaseNotFound, None));
        };
        let decided = || {
            let is_option = case.options.as_ref().is_some_and(|options| options.contains(&self.decision));
            (if is_option { Code::Decided } else { Code::NotAnOption }, vec![case.version])
        };
        let (code, after) = case.refusal(self.expect_version).unwrap_or_else(decided);
        Some(Decision::of(code, after))
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code == Code::Decided {
            let Self { decision, by, reason, .. } = self.clone();
            model.changed_case(&self.case, line).word = Some(Word { decision, by, reason });
        }
    }
}
