//! The rule of `case_open`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::CaseOpen;

use super::rule::{Decision, Rule, Weight};
use crate::case::Case;
use crate::model::Model;

impl Rule for CaseOpen {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        Some(match model.known_case(&self.case)? {
            Some(case) => Decision::new(Code::CaseExists, Some(case.version)),
            None => Decision::new(Code::CaseOpened, Some(1)),
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code == Code::CaseOpened {
            let version = line.after("version").unwrap_or_default();
            let options = Some(self.options.clone());
            let opened = Case { version, options, seq: line.seq, ..Case::default() };
            model.cases.insert(self.case.clone(), opened);
        }
    }
}
