//! The files that reach one another by imports.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use crate::modules::Imports;

/// Files of which each reaches all the others, with the imports among them.
pub(crate) struct Circle(Imports);

impl Circle {
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|(from, _)| from.as_str()).collect::<BTreeSet<_>>().into_iter()
    }
}

impl Display for Circle {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} files:", self.files().count())?;
        for ((from, to), names) in &self.0 {
            writeln!(f, "  {from} -> {to}: {}", names.iter().cloned().collect::<Vec<_>>().join(", "))?;
        }
        Ok(())
    }
}

pub(crate) fn of(imports: &Imports) -> Vec<Circle> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in imports.keys() {
        next.entry(from).or_default().insert(to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        next.keys().map(|from| (*from, reached_from(from, &next))).collect();
    let reaches = |from: &str, to: &str| reached.get(from).is_some_and(|files| files.contains(to));

    let mut found: BTreeMap<BTreeSet<&str>, Imports> = BTreeMap::new();
    for ((from, to), names) in imports {
        if reaches(to, from) {
            // All that is reached from here and reaches back is one circle.
            let circle = reached[from.as_str()].iter().copied().filter(|file| reaches(file, from)).collect();
            found.entry(circle).or_default().insert((from.clone(), to.clone()), names.clone());
        }
    }
    found.into_values().map(Circle).collect()
}

fn reached_from<'a>(from: &str, next: &BTreeMap<&str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut ahead: Vec<&str> = next.get(from).into_iter().flatten().copied().collect();
    while let Some(file) = ahead.pop() {
        if reached.insert(file) {
            ahead.extend(next.get(file).into_iter().flatten());
        }
    }
    reached
}
