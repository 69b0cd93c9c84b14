//! The encoding of values, for files that outlive the process (docs/store.md, Values).
//!
//! What is shared stays shared: a list, map, result or node is written at its first occurrence and referred to by
//! number afterwards, and so are texts and the ids of definitions. So a graph whose unfolding is exponential is as
//! small here as in memory. Only taut reads the encoding, and only the same version of taut: the files that contain it
//! have the version in their names.

mod decode;
mod encode;

pub use decode::Decoder;
pub use encode::Encoder;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        AnonymousTarget, Artifact, EntityName, Id, Map, NamedTarget, Node, ReferenceType, TargetResult, Value,
    };

    fn round_trip(value: &Value) -> Value {
        let mut encoder = Encoder::new();
        assert!(encoder.value(value));
        let bytes = encoder.finish();
        for end in 0..bytes.len() {
            let mut decoder = Decoder::new(&bytes[..end]);
            assert!(decoder.value().is_none() || !decoder.is_done() || end == bytes.len(), "cut at {end}");
        }
        let mut decoder = Decoder::new(&bytes);
        let value = decoder.value().expect("what was written");
        assert!(decoder.is_done());
        value
    }

    fn sample() -> Value {
        let named = NamedTarget::new("r", "m", "n").with_reference(ReferenceType::Glob);
        let info = "[4e3dffe834ac70600a7cb71fbc1f6a694c9d041f:12:x]".parse().unwrap();
        let artifacts = [
            Artifact::Local { path: "p".into(), repository: "r".into() },
            Artifact::Known(info),
            Artifact::Action { id: Id::of("a"), path: "o".into() },
            Artifact::Tree(Id::of("t")),
            Artifact::TreeOverlay(Id::of("o")),
        ];
        let artifacts: Map =
            artifacts.into_iter().enumerate().map(|(at, a)| (at.to_string(), Value::artifact(a))).collect();
        let result = TargetResult::new(artifacts.clone(), Map::default(), artifacts.clone());
        let fields: Map = [("f", Value::list([Value::string("x")]))].into_iter().collect();
        let nodes: Map =
            [("d", Value::list([Value::Node(Node::Value(result.clone()))]))].into_iter().collect();
        let node = Node::new_abstract("type".into(), fields.clone(), nodes);
        let anonymous = AnonymousTarget { rule_map: fields, node: node.clone() };
        Value::list([
            Value::Null,
            Value::Bool(true),
            Value::Bool(false),
            Value::Number(-0.5),
            Value::string("text"),
            Value::string("text"),
            Value::Map(artifacts),
            Value::Result(result),
            Value::Node(node.clone()),
            Value::Node(node),
            Value::Name(EntityName::Named(named)),
            Value::Name(EntityName::Anonymous(anonymous)),
            Value::list([]),
            Value::list([]),
            Value::Map(Map::default()),
        ])
    }

    #[test]
    fn values_are_decoded_as_they_were_encoded() {
        assert_eq!(round_trip(&sample()), sample());
    }

    #[test]
    fn the_encoding_of_values_is_stable() {
        let mut encoder = Encoder::new();
        assert!(encoder.value(&sample()));
        encoder.bytes(b"\xff/p");
        encoder.object(&"[4e3dffe834ac70600a7cb71fbc1f6a694c9d041f:12:x]".parse().unwrap());
        assert_eq!(
            Id::of(encoder.finish()).to_hex(),
            "77d8bfcaef4c619d3c6ab6b500d18c7ccd8d1ed50df403481e99ff0f0b9befbc"
        );
    }

    #[test]
    fn sharing_is_preserved_by_the_encoding() {
        let mut value = Value::string("leaf");
        let mut node = Node::new_abstract("n".into(), Map::default(), Map::default());
        for _ in 0..60 {
            value = Value::list([value.clone(), value]);
            let children = Value::list([Value::Node(node.clone()), Value::Node(node.clone())]);
            node = Node::new_abstract("n".into(), Map::default(), [("c", children)].into_iter().collect());
        }
        let both = Value::list([value, Value::Node(node)]);
        let mut encoder = Encoder::new();
        assert!(encoder.value(&both));
        let bytes = encoder.finish();
        assert!(bytes.len() < 3_000, "{}", bytes.len());
        assert_eq!(Decoder::new(&bytes).value().unwrap(), both);
    }

    #[test]
    fn a_limited_encoder_refuses_long_texts_and_large_nodes() {
        let long = Value::list((0..1_000).map(|n| Value::string(n.to_string())));
        assert!(!Encoder::limited(100, 0).value(&long));
        assert!(Encoder::limited(10_000, 0).value(&long));
        let node = |below: Vec<Value>| {
            let below = [("c", Value::list(below))].into_iter().collect();
            Value::Node(Node::new_abstract("n".into(), Map::default(), below))
        };
        let one = node(vec![]);
        let two = node(vec![one.clone(), one]);
        assert!(!Encoder::limited(10_000, 2).value(&two));
        assert!(Encoder::limited(10_000, 3).value(&two));
    }

    #[test]
    fn values_that_are_nested_too_deeply_are_not_encoded() {
        let mut value = Value::Null;
        for _ in 0..100_000 {
            value = Value::list([value]);
        }
        assert!(!Encoder::new().value(&value));
    }

    #[test]
    fn damaged_bytes_are_refused_without_panic() {
        let mut encoder = Encoder::new();
        assert!(encoder.value(&sample()));
        let bytes = encoder.finish();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let _ = Decoder::new(&damaged).value();
            }
        }
    }
}
