//! The hash tag of a partition: the part of each of its keys that decides its slot. Part of the wire format: see
//! `docs/protocol.md`.
//!
//! With several partitions the tags are chosen so that they lie evenly over the slots of a Redis Cluster, whatever
//! the namespace is called: otherwise the luck of its name would say how many masters share the work. They are
//! computed once, by `init`, and read from then on.

use std::fmt;

use crate::protocol::ids::Namespace;
use crate::protocol::partition::{Partition, Partitions};
use crate::protocol::slot::{CRC, SLOTS, Slot};

/// The tag of one partition with its braces: `{<namespace>.0}` of a namespace with one, else
/// `{<namespace>.<partition>.<k>}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag(String);

impl Tag {
    /// The tag of `partition`: of several partitions the one with the smallest `k` whose slot lies in the partition's
    /// part of the slots. Tries about as many as there are partitions.
    pub fn of(namespace: &Namespace, partition: Partition, partitions: Partitions) -> Self {
        if partitions == Partitions::ONE {
            return Self(format!("{{{namespace}.{partition}}}"));
        }
        let prefix = format!("{namespace}.{partition}.");
        let mut digest = CRC.digest();
        digest.update(prefix.as_bytes());
        let k = (0_u64..).find(|k| {
            let mut digest = digest.clone();
            digest.update(k.to_string().as_bytes());
            part_of(digest.finalize(), partitions) == u32::from(partition.number())
        });
        Self(format!("{{{prefix}{}}}", k.unwrap_or_default()))
    }

    /// The tags of all partitions, in their order.
    pub fn all(namespace: &Namespace, partitions: Partitions) -> Vec<Self> {
        partitions.iter().map(|partition| Self::of(namespace, partition, partitions)).collect()
    }

    /// Reads what `meta` lists: all tags in the order of their partitions, a space between two. `None` if one is not
    /// of its form, or its slot not in its part.
    pub fn parse_all(text: &str, namespace: &Namespace, partitions: Partitions) -> Option<Vec<Self>> {
        let tags: Vec<Self> = text.split(' ').map(|tag| Self(tag.to_owned())).collect();
        let is_sound = tags.len() == usize::from(partitions.count())
            && tags.iter().zip(partitions.iter()).all(|(tag, partition)| {
                tag.number_in(namespace) == Some(partition.number())
                    && (partitions == Partitions::ONE || tag.is_in_its_part(partition, partitions))
            });
        is_sound.then_some(tags)
    }

    /// The number of the partition that a tag is of, if it is one of `namespace`.
    pub fn number_of(tag: &str, namespace: &Namespace) -> Option<u16> {
        Self(tag.to_owned()).number_in(namespace)
    }

    fn number_in(&self, namespace: &Namespace) -> Option<u16> {
        let rest = self.content().strip_prefix(namespace.as_str())?.strip_prefix('.')?;
        let (number, k) = match rest.split_once('.') {
            Some((number, k)) => (number, Some(k)),
            None => (rest, None),
        };
        let plain = |text: &str| text.parse::<u64>().is_ok_and(|parsed| parsed.to_string() == text);
        (plain(number) && k.is_none_or(plain)).then(|| number.parse().ok())?
    }

    fn content(&self) -> &str {
        self.0.trim_start_matches('{').trim_end_matches('}')
    }

    fn is_in_its_part(&self, partition: Partition, partitions: Partitions) -> bool {
        part_of(CRC.checksum(self.content().as_bytes()), partitions) == u32::from(partition.number())
    }

    /// As it stands in keys and in `meta`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// In which of `partitions` equal parts of the slots a CRC falls.
fn part_of(crc: u16, partitions: Partitions) -> u32 {
    u32::from(Slot::of_crc(crc).number()) * u32::from(partitions.count()) / u32::from(SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_lie_evenly_whatever_the_namespace_is_called() {
        for name in ["tollgate", "a", "shop-eu", "x.y_z"] {
            let namespace = Namespace::parse(name).unwrap();
            for count in [2, 3, 4, 16, 100] {
                let partitions = Partitions::new(count).unwrap();
                let tags = Tag::all(&namespace, partitions);
                let list = tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(" ");
                assert_eq!(
                    Tag::parse_all(&list, &namespace, partitions),
                    Some(tags.clone()),
                    "{name} {count}"
                );
                let mut swapped: Vec<&str> = tags.iter().map(Tag::as_str).collect();
                swapped.swap(0, 1);
                assert_eq!(Tag::parse_all(&swapped.join(" "), &namespace, partitions), None);
            }
            let one = Tag::of(&namespace, Partitions::ONE.get(0).unwrap(), Partitions::ONE);
            assert_eq!(one.as_str(), format!("{{{name}.0}}"));
        }
    }

    #[test]
    fn only_our_own_tags_are_read() {
        let namespace = Namespace::parse("shop").unwrap();
        for (tag, number) in [("{shop.0}", Some(0)), ("{shop.3.17}", Some(3)), ("{shop.70000.1}", None)] {
            assert_eq!(Tag::number_of(tag, &namespace), number, "{tag}");
        }
        for other in
            ["{shop.eu.0}", "{shop.01}", "{shop.1.+1}", "{shop}", "{shops.0}", "{shop.1.2.3}", "shop.x"]
        {
            assert_eq!(Tag::number_of(other, &namespace), None, "{other}");
        }
    }
}
