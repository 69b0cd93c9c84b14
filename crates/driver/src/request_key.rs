//! A request as the key of tasks: targets in a configuration. Nothing else of a call is part of it, so a build in a
//! terminal, in a pipe, from another directory, or with a profile replays the same runs.

use taut_engine::Key;
use taut_value::{Decoder, Encoder, Id, Map};

use crate::{Request, Targets};

/// Targets in a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RequestKey {
    pub(crate) targets: Targets,
    pub(crate) configuration: Map,
}

impl RequestKey {
    /// The key of a request.
    pub(crate) fn of(request: &Request) -> RequestKey {
        RequestKey { targets: request.targets.clone(), configuration: request.configuration.clone() }
    }
}

impl std::hash::Hash for RequestKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.targets.hash(state);
        self.configuration.id().hash(state);
    }
}

impl Key for RequestKey {
    /// The targets and the configuration, as [`Encoder`] writes them; of a configuration that is nested too deeply, its
    /// id.
    fn encode(&self, out: &mut Vec<u8>) {
        let mut e = Encoder::new();
        self.targets.encode(&mut e);
        if e.map(&self.configuration) {
            out.extend(e.finish());
            return;
        }
        // The encoder bounds nesting, so that decoding needs no unbounded stack. Such a key cannot be decoded, but its
        // task is found by these bytes when the request is made again.
        let mut e = Encoder::new();
        self.targets.encode(&mut e);
        out.extend(e.finish());
        out.extend(Id::of(self.configuration.id().0).0);
    }

    fn decode(bytes: &[u8]) -> Option<RequestKey> {
        let mut d = Decoder::new(bytes);
        let (targets, configuration) = (Targets::decode(&mut d)?, d.map()?);
        d.is_done().then_some(RequestKey { targets, configuration })
    }
}
