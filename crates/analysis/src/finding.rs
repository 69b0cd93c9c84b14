//! Warnings and export targets as interned contents of the engine: a build that analyses nothing finds them below the
//! request without decoding a target.

use std::sync::Arc;

use taut_engine::{Hash, Interned, Key};
use taut_repos::Roots;
use taut_syntax::Diagnostics;
use taut_value::{Decoder, Encoder, Id};

use crate::{AnalysedTarget, ConfiguredTarget, Export};

/// A fact about a target that each build reports.
#[derive(Clone, Debug)]
pub enum Finding {
    /// The warnings of a target in its effective configuration.
    Warnings(ConfiguredTarget, Diagnostics),
    /// An export target in its effective configuration, and what the target-level cache has of it.
    Export(ConfiguredTarget, Export),
}

/// The first character of the names of files below a root, where they must not contain its location; it is followed by
/// the number of the root, a slash, and the path.
// A zero byte, which no path has: such a name is never taken for that of a file.
const BELOW_ROOT: char = '\0';

impl Finding {
    /// The findings of a target that was requested as `target`. Names of files are relative to their roots.
    pub fn of(target: &ConfiguredTarget, analysed: &AnalysedTarget, roots: &Roots) -> Vec<Finding> {
        // The effective configuration, so that configurations with the same result have the same
        // finding, which is kept once.
        let effective =
            || ConfiguredTarget { name: target.name.clone(), config: target.config.prune(&analysed.vars) };
        let warnings = || Finding::Warnings(effective(), relative(&analysed.warnings, roots));
        let export = analysed.export.map(|export| Finding::Export(effective(), export));
        let warnings = (!analysed.warnings.is_empty()).then(warnings);
        warnings.into_iter().chain(export).collect()
    }
}

/// The diagnostics with the names of files relative to their roots.
pub fn relative(problems: &Diagnostics, roots: &Roots) -> Diagnostics {
    if problems.is_empty() {
        return Diagnostics::none();
    }
    let labels: Vec<Arc<str>> = roots.labels().collect();
    problems.with_files_named(|file| {
        // Of nested roots the first one counts; `located` leads back to the same file whichever it is.
        let below = |(number, root): (usize, &Arc<str>)| {
            let rest = file.strip_prefix(&**root)?;
            let path = rest.strip_prefix('/').or(rest.is_empty().then_some(""))?;
            Some(format!("{BELOW_ROOT}{number}/{path}").into())
        };
        // A file that is below no root keeps its name.
        labels.iter().enumerate().find_map(below).unwrap_or_else(|| file.clone())
    })
}

/// The diagnostics with the names of files at the present locations of their roots.
pub fn located(problems: &Diagnostics, roots: &Roots) -> Diagnostics {
    if problems.is_empty() {
        return Diagnostics::none();
    }
    let labels: Vec<Arc<str>> = roots.labels().collect();
    problems.with_files_named(|file| {
        let full = || {
            // Any other form is a name that was not changed, and is returned as it is.
            let (number, path) = file.strip_prefix(BELOW_ROOT)?.split_once('/')?;
            let root = labels.get(number.parse::<usize>().ok()?)?;
            Some(if path.is_empty() { root.clone() } else { format!("{root}/{path}").into() })
        };
        full().unwrap_or_else(|| file.clone())
    })
}

impl Interned for Finding {
    const NAME: &'static str = "finding";

    fn hash(&self) -> Hash {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        Hash(Id::of(bytes).0)
    }

    /// The bytes are specified in docs/store.md: 0 or 1, the length of the target's key in four bytes, the key, the
    /// bytes of the warnings or what the cache has.
    fn encode(&self, out: &mut Vec<u8>) {
        let (kind, target, rest) = match self {
            Finding::Warnings(target, warnings) => (0, target, warnings.encode()),
            Finding::Export(target, export) => {
                let mut e = Encoder::new();
                Export::encode(Some(export), &mut e);
                (1, target, e.finish())
            }
        };
        let mut key = Vec::new();
        target.encode(&mut key);
        out.push(kind);
        // With its length, since its bytes do not say where it ends.
        out.extend((key.len() as u32).to_le_bytes());
        out.extend(key);
        out.extend(rest);
    }

    fn decode(bytes: &[u8]) -> Option<Finding> {
        let (kind, rest) = bytes.split_first()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        let target = ConfiguredTarget::decode(key)?;
        match kind {
            0 => Some(Finding::Warnings(target, Diagnostics::decode(rest)?)),
            1 => {
                let mut d = Decoder::new(rest);
                let export = Export::decode(&mut d)??;
                d.is_done().then_some(Finding::Export(target, export))
            }
            // Kinds of later versions: the run that mentions one is not good then, and the target
            // is analysed again.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use taut_digest::{Digest, Hash, ObjectInfo, ObjectType};
    use taut_syntax::{Diagnostic, Location};
    use taut_value::NamedTarget;

    use super::*;
    use crate::{CacheKey, Config};

    #[test]
    fn findings_are_written_as_specified() {
        let bytes_of = |finding: &Finding| {
            let mut bytes = Vec::new();
            finding.encode(&mut bytes);
            let read = Finding::decode(&bytes).unwrap();
            assert_eq!(read.hash(), finding.hash());
            bytes
        };
        let name = NamedTarget::new("r", "m", "t").into();
        let target = ConfiguredTarget { name, config: Config::empty() };
        let export = |export| bytes_of(&Finding::Export(target.clone(), export));
        let begin = b"\x01\x08\x00\x00\x00\x01r\x00m\x00t\x00\x00";
        assert_eq!(export(Export::NotEligible), [&begin[..], &[1]].concat());
        let digest = |byte| Digest { hash: Hash::from_bytes(&[byte; 20]).unwrap(), size: 3 };
        let key = CacheKey(digest(7));
        let object = |byte| [&b"f\x14"[..], &[byte; 20], &[3]].concat();
        assert_eq!(export(Export::Uncached(key)), [&begin[..], &[2], &object(7)].concat());
        let entry = ObjectInfo { digest: digest(8), object_type: ObjectType::File };
        assert_eq!(export(Export::Cached(key, entry)), [&begin[..], &[3], &object(7), &object(8)].concat());
        let warnings: Diagnostics = Diagnostic::warning("w").at(Location::file("\u{0}0/TARGETS")).into();
        let encoded = warnings.encode();
        let key = b"\x01r\x00m\x00t\x00\x00";
        let expected = [&b"\x00\x08\x00\x00\x00"[..], key, &encoded].concat();
        assert_eq!(bytes_of(&Finding::Warnings(target, warnings)), expected);
    }
}
