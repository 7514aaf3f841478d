//! Things that are equal have one number, and are kept once.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

#[derive(Debug)]
pub(super) struct Numbered<T> {
    all: Vec<Rc<T>>,
    numbers: HashMap<u64, u32>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { all: Vec::new(), numbers: HashMap::new() }
    }
}

impl<T> Numbered<T> {
    pub(super) fn get(&self, number: u32) -> &Rc<T> {
        &self.all[number as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The number of what has this hash.
    pub(super) fn find(&self, hash: u64) -> Option<u32> {
        self.numbers.get(&hash).copied()
    }

    /// Numbers what has this hash; what has it already keeps its number.
    pub(super) fn add(&mut self, hash: u64, thing: T) -> u32 {
        *self.numbers.entry(hash).or_insert_with(|| {
            self.all.push(Rc::new(thing));
            self.all.len() as u32 - 1
        })
    }
}

impl<T: Hash> Numbered<T> {
    pub(super) fn number(&mut self, thing: T) -> u32 {
        self.add(hash(&thing), thing)
    }
}

pub(super) fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
