//! A note that an action printed something, as an interned content of the engine: a build that runs nothing finds the
//! notes below the request, and can show the outputs again.

use taut_digest::{Digest, ObjectInfo, ObjectType};
use taut_engine::{Hash, Interned};
use taut_value::{Decoder, Encoder, Id};

/// The output that an action printed when it ran.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Printed {
    /// The action.
    pub action: Id,
    /// Standard output, unless empty.
    pub stdout: Option<Digest>,
    /// Standard error, unless empty.
    pub stderr: Option<Digest>,
}

impl Printed {
    /// The objects that it consists of.
    pub fn objects(&self) -> impl Iterator<Item = ObjectInfo> {
        let file = |digest| ObjectInfo { digest, object_type: ObjectType::File };
        self.stdout.into_iter().chain(self.stderr).map(file)
    }
}

impl Interned for Printed {
    const NAME: &'static str = "printed";

    fn hash(&self) -> Hash {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        Hash(Id::of(bytes).0)
    }

    /// The id; then for each stream whether there is one, and the object.
    fn encode(&self, out: &mut Vec<u8>) {
        let mut e = Encoder::new();
        // The action is part of the content, so equal output of two actions is two notes.
        e.id(&self.action);
        for stream in [self.stdout, self.stderr] {
            e.bool(stream.is_some());
            if let Some(digest) = stream {
                e.object(&ObjectInfo { digest, object_type: ObjectType::File });
            }
        }
        out.extend(e.finish());
    }

    fn decode(bytes: &[u8]) -> Option<Printed> {
        let mut d = Decoder::new(bytes);
        let action = d.id()?;
        let mut stream =
            || -> Option<Option<Digest>> { Some(if d.bool()? { Some(d.object()?.digest) } else { None }) };
        let (stdout, stderr) = (stream()?, stream()?);
        d.is_done().then_some(Printed { action, stdout, stderr })
    }
}
