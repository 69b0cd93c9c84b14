//! Configured targets as keys of tasks.
//!
//! A named target is identified by its name and configuration, which are known before its definition is read
//! ("locational" equality, docs/equality.md), so that all its dependents share one task. An anonymous target is
//! identified by its rule map and its node.

use std::{fmt, sync::Arc};

use taut_engine::Key;
use taut_value::{Decoder, Encoder, EntityName, NamedTarget, ReferenceType, Value};

use crate::{Config, Workspace};

/// A target in a configuration.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ConfiguredTarget {
    /// Which target.
    pub name: EntityName,
    /// In which configuration.
    pub config: Config,
}

impl ConfiguredTarget {
    /// The target as messages of the reference have it, with at most so many bytes of its configuration.
    pub fn in_reference(&self, limit: usize) -> String {
        let config = Value::Map(self.config.without_nulls().map().clone());
        format!("[{},{}]", self.name.to_json(), config.to_json_abbreviated(limit))
    }
}

impl fmt::Display for ConfiguredTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{},{}]", self.name.to_json(), self.config.to_label())
    }
}

impl fmt::Debug for ConfiguredTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The first byte of a key; keys are ordered by it.
const ANONYMOUS: u8 = 0;
const NAMED: u8 = 1;
/// A name that contains the byte that separates texts, and so needs another form.
const WITH_ZERO_BYTE: u8 = 2;

impl Key for ConfiguredTarget {
    /// The name, by which keys are ordered, then the configuration (docs/store.md, Targets). Equal keys whose values
    /// share memory differently can have different bytes; then a recorded run is merely not found.
    fn encode(&self, out: &mut Vec<u8>) {
        match &self.name {
            EntityName::Named(named) => {
                // Texts end with a zero byte and come first, so keys of one module are adjacent where keys are
                // sorted.
                let texts = [&named.repository, &named.module, &named.name];
                // The usual form needs no lengths, so keys of one module have a common prefix.
                if texts.iter().any(|text| text.as_bytes().contains(&0)) {
                    out.push(WITH_ZERO_BYTE);
                    let mut encoder = Encoder::new();
                    encoder.named(named);
                    let name = encoder.finish();
                    out.extend((name.len() as u32).to_le_bytes());
                    out.extend(name);
                } else {
                    out.push(NAMED);
                    for text in texts {
                        out.extend(text.as_bytes());
                        out.push(0);
                    }
                    out.push(named.reference as u8);
                }
                // The frequent case, for which no byte is added.
                if self.config.map().is_empty() {
                    return;
                }
                let mut encoder = Encoder::new();
                let whole = encoder.map(self.config.map());
                // Whether the configuration follows, or only its id.
                out.push(u8::from(whole));
                // A configuration nested too deeply to be encoded is represented by its id: the key is still found by
                // its bytes, but cannot be decoded.
                match whole {
                    true => out.extend(encoder.finish()),
                    false => out.extend(self.config.map().id().0),
                }
            }
            EntityName::Anonymous(anonymous) => {
                out.push(ANONYMOUS);
                // The ids identify the target even if it is nested too deeply to be encoded; then it cannot be decoded,
                // but still be found.
                out.extend(anonymous.rule_map.id().0);
                out.extend(anonymous.node.id().0);
                out.extend(self.config.map().id().0);
                let mut encoder = Encoder::new();
                if encoder.name(&self.name) && encoder.map(self.config.map()) {
                    out.extend(encoder.finish());
                }
            }
        }
    }

    fn decode(bytes: &[u8]) -> Option<ConfiguredTarget> {
        let (kind, rest) = bytes.split_first()?;
        let (name, rest) = match *kind {
            ANONYMOUS => {
                // Behind the three ids of 32 bytes.
                let mut decoder = Decoder::new(rest.get(96..)?);
                let (name, config) = (decoder.name()?, Config::new(decoder.map()?));
                return decoder.is_done().then_some(ConfiguredTarget { name, config });
            }
            NAMED => {
                let mut parts = rest.splitn(4, |byte| *byte == 0);
                let mut text = || std::str::from_utf8(parts.next()?).ok();
                let (repository, module, name) = (text()?, text()?, text()?);
                let (reference, config) = parts.next()?.split_first()?;
                let reference = ReferenceType::ALL.into_iter().find(|kind| *kind as u8 == *reference)?;
                (NamedTarget::new(repository, module, name).with_reference(reference), config)
            }
            WITH_ZERO_BYTE => {
                let (len, rest) = rest.split_first_chunk::<4>()?;
                let (name, config) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
                let mut decoder = Decoder::new(name);
                (decoder.named().filter(|_| decoder.is_done())?, config)
            }
            _ => return None,
        };
        let mut decoder = Decoder::new(rest);
        let config = match rest {
            [] => Config::empty(),
            _ => Config::new(decoder.bool()?.then(|| decoder.map())??),
        };
        decoder.is_done().then_some(ConfiguredTarget { name: name.into(), config })
    }
}

/// Analyses configured targets; see `evaluate`.
pub struct TargetRule(pub Arc<Workspace>);

#[cfg(test)]
mod tests {
    use super::*;
    use taut_value::{AnonymousTarget, Map, Node};

    fn round_trip(name: impl Into<EntityName>, config: Map) -> (ConfiguredTarget, Option<ConfiguredTarget>) {
        let target = ConfiguredTarget { name: name.into(), config: Config::new(config) };
        let mut bytes = Vec::new();
        target.encode(&mut bytes);
        let read = ConfiguredTarget::decode(&bytes);
        (target, read)
    }

    fn config() -> Map {
        [("ARCH", Value::string("x")), ("DEBUG", Value::Bool(true))].into_iter().collect()
    }

    #[test]
    fn keys_of_named_targets_are_decoded_as_they_were_encoded() {
        for texts in [["", "", ""], ["r", "a/b", "t"], ["r", "a\0b", "t\0"], ["\0", "m", "ü"]] {
            for reference in ReferenceType::ALL {
                let named = NamedTarget::new(texts[0], texts[1], texts[2]).with_reference(reference);
                for config in [Map::default(), config()] {
                    let (target, read) = round_trip(named.clone(), config);
                    assert_eq!(read, Some(target));
                }
            }
        }
    }

    #[test]
    fn keys_of_anonymous_targets_are_decoded_even_if_the_unfolded_graph_is_huge() {
        let mut node = Node::new_abstract("n".into(), config(), Map::default());
        for _ in 1..=100 {
            let rule_map = [("n", Value::string("rule"))].into_iter().collect();
            let name = EntityName::Anonymous(AnonymousTarget { rule_map, node: node.clone() });
            let (target, read) = round_trip(name, config());
            assert_eq!(read, Some(target));
            let below = Value::list([Value::Node(node.clone()), Value::Node(node)]);
            node = Node::new_abstract("n".into(), Map::default(), [("c", below)].into_iter().collect());
        }
    }
}
