//! Depfiles: which output of an action says what the action reads, as interned contents of the engine.
//!
//! The key is not part of an action's identity, which is the reference's. So the definition of an action says nothing
//! of it, and a target mentions the depfile beside the definition. Which actions have one in a build follows from what
//! the targets of the request mention: it holds as soon as a rule is changed, whatever earlier runs mentioned.

use taut_engine::{Hash, Interned};
use taut_value::{Decoder, Encoder, Id, Str};

/// An action has a depfile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Depfile {
    /// The action.
    pub action: Id,
    /// The output, by its path in the definition.
    // By path, not by number: outputs of a definition are sorted, so a further one would change the numbers.
    pub path: Str,
}

impl Depfile {
    /// Names the fact that an output of an action is its depfile: SHA-256 of the action's id and the path.
    pub fn name(action: &Id, path: &str) -> Hash {
        // No separator: an id has a fixed length.
        Hash(Id::of([&action.0, path.as_bytes()].concat()).0)
    }
}

impl Interned for Depfile {
    const NAME: &'static str = "depfile";

    fn hash(&self) -> Hash {
        Depfile::name(&self.action, &self.path)
    }

    /// The id, then the path as text, as [`Encoder`] writes them.
    fn encode(&self, out: &mut Vec<u8>) {
        let mut e = Encoder::new();
        e.id(&self.action);
        e.text(&self.path);
        out.extend(e.finish());
    }

    fn decode(bytes: &[u8]) -> Option<Depfile> {
        let mut d = Decoder::new(bytes);
        let depfile = Depfile { action: d.id()?, path: d.text()? };
        d.is_done().then_some(depfile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_depfile_is_written_as_specified_and_read_again() {
        let depfile = Depfile { action: Id([7; 32]), path: "a.d".into() };
        let mut bytes = Vec::new();
        depfile.encode(&mut bytes);
        assert_eq!(bytes, [&[7; 32][..], b"\x00\x03a.d"].concat());
        assert_eq!(Depfile::decode(&bytes), Some(depfile));
        assert!((0..bytes.len()).all(|end| Depfile::decode(&bytes[..end]).is_none()));
    }

    #[test]
    fn another_action_or_output_is_another_depfile() {
        let name = |byte: u8, path: &str| Depfile::name(&Id([byte; 32]), path);
        assert_eq!(
            Id(name(7, "a.d").0).to_hex(),
            "a789d63eb442a1868e30e60da204f586a8fbcfbf1d3c449bb857b84039b8429d"
        );
        assert_ne!(name(7, "a.d"), name(8, "a.d"));
        assert_ne!(name(7, "a.d"), name(7, "b.d"));
    }
}
