//! The rule of `case_amend`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::CaseAmend;

use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

impl Rule for CaseAmend {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        let Some(case) = model.known_case(&self.case)? else {
            return Some(Decision::new(Code::CaseNotFound, None));
        };
        let amended = || (Code::CaseAmended, vec![case.version.saturating_add(1)]);
        let (code, after) = case.refusal(self.expect_version).unwrap_or_else(amended);
        Some(Decision::of(code, after))
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code == Code::CaseAmended {
            let case = model.changed_case(&self.case, line);
            case.options = self.options.clone().or(case.options.take());
        }
    }
}
