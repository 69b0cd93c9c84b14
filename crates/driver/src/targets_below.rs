//! All targets that the modules below a directory define, as a task for each directory.
//!
//! Directories with hidden names are left out, and those that are workspaces of their own: their targets are those of
//! another repository. Links to directories are not followed, so the walk ends. A target that cannot be analysed in the
//! configuration of the call is one of them: leaving it out would hide that.
//!
//! With a task for each directory, a file that is added costs what lies on the way from its directory to the top. The
//! definitions of targets are not part of it, only their names.

use std::sync::Arc;

use taut_analysis::{NamesRule, Workspace, module_file};
use taut_engine::{Cx, Fail, Hash, Key, Policy, Rule};
use taut_repos::{DirRule, Entry, FileRule, Listing, Repository, RootName, RootPath, WORKSPACE_MARKERS};
use taut_value::{Decoder, Encoder, Id, NamedTarget, Str};

/// Names the targets below a directory of a repository.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct BelowKey {
    /// The global name of the repository.
    pub(crate) repository: Str,
    /// The directory, which need not have a targets file itself, as a path from the root.
    pub(crate) directory: Str,
    /// Whether it was asked for by name: then it is looked at even if it is a workspace of its own.
    pub(crate) is_named: bool,
}

impl BelowKey {
    /// All targets of a repository.
    pub(crate) fn all(repository: &Str) -> BelowKey {
        BelowKey { repository: repository.clone(), directory: Str::default(), is_named: true }
    }
}

impl Key for BelowKey {
    /// A bool, whether the directory was asked for by name; the repository; the directory.
    fn encode(&self, out: &mut Vec<u8>) {
        let mut e = Encoder::new();
        e.bool(self.is_named);
        e.bytes(self.repository.as_bytes());
        e.bytes(self.directory.as_bytes());
        out.extend(e.finish());
    }

    fn decode(bytes: &[u8]) -> Option<BelowKey> {
        let mut d = Decoder::new(bytes);
        let is_named = d.bool()?;
        let mut text = || Some(Str::from(std::str::from_utf8(d.bytes()?).ok()?));
        let (repository, directory) = (text()?, text()?);
        d.is_done().then_some(BelowKey { repository, directory, is_named })
    }
}

/// The names of the targets of some modules, in the order of modules, then of names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct TargetsBelow(Vec<(Str, Arc<[Str]>)>);

impl TargetsBelow {
    /// The targets in a repository.
    pub(crate) fn targets(&self, repository: &Str) -> impl Iterator<Item = NamedTarget> {
        self.0.iter().flat_map(|(module, names)| {
            names.iter().map(|name| NamedTarget::new(repository.clone(), module.clone(), name.clone()))
        })
    }

    /// The number of modules; of each its name and the names of its targets.
    fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.number(self.0.len() as u64);
        for (module, names) in &self.0 {
            e.text(module);
            e.texts(names.iter());
        }
        e.finish()
    }

    fn decode(bytes: &[u8]) -> Option<TargetsBelow> {
        let mut d = Decoder::new(bytes);
        let all: Option<_> = (0..d.number()?).map(|_| Some((d.text()?, d.texts()?.into()))).collect();
        d.is_done().then_some(TargetsBelow(all?))
    }
}

/// Finds the targets below directories.
pub(crate) struct BelowRule(pub(crate) Arc<Workspace>);

impl Rule for BelowRule {
    type Key = BelowKey;
    type Value = Arc<TargetsBelow>;
    const NAME: &'static str = "targets below";

    fn policy(&self, _: &BelowKey) -> Policy {
        // With the values: when one directory changes, those of the others are in memory.
        Policy::constructive(4)
    }

    async fn value(&self, key: &BelowKey, cx: Cx) -> Result<Arc<TargetsBelow>, Fail> {
        // Names of repositories come from the configuration, and the engine's file is used with the same names only.
        let Some(repository) = self.0.repositories.repositories.get(&key.repository) else {
            return Ok(Arc::default());
        };
        let Listing::Entries(entries) = &*listing(&cx, repository, &key.directory).await? else {
            return Ok(Arc::default());
        };
        let has = |name: &str| entries.iter().any(|listed| listed.name.as_str() == name);
        // Known from the listing, without a look at the file system: the markers are entries of it.
        if !key.is_named && WORKSPACE_MARKERS.iter().any(|marker| has(marker)) {
            return Ok(Arc::default());
        }
        let below = entries
            .iter()
            .filter(|listed| listed.entry == Entry::Directory && !listed.name.starts_with('.'))
            .map(|listed| BelowKey {
                repository: key.repository.clone(),
                directory: match key.directory.is_empty() {
                    true => listed.name.clone(),
                    false => format!("{}/{}", key.directory, listed.name).into(),
                },
                is_named: false,
            });
        // Before the module itself: the directories below are listed in parallel with it.
        let below = cx.all::<BelowRule>(below.collect()).await;
        let mut all = Vec::new();
        let file = module_file(&repository.target_root, &key.directory, &repository.target_file_name);
        let listed = entries.iter().find(|listed| listed.name == repository.target_file_name);
        if is_file(&cx, listed.map(|listed| listed.entry), &repository.target_file_name, &file).await? {
            all.push((key.directory.clone(), cx.get::<NamesRule>(file).await?));
        }
        for answer in below {
            all.extend(answer?.0.iter().cloned());
        }
        // Of "a" and "a b", what is below the first comes after the second.
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Arc::new(TargetsBelow(all)))
    }

    fn content_hash(&self, _: &BelowKey, below: &Arc<TargetsBelow>) -> Option<Hash> {
        Some(Hash(Id::of(below.encode()).0))
    }

    fn encode_value(&self, _: &BelowKey, below: &Arc<TargetsBelow>) -> Option<Vec<u8>> {
        Some(below.encode())
    }

    fn decode_value(&self, _: &BelowKey, bytes: &[u8]) -> Option<Arc<TargetsBelow>> {
        TargetsBelow::decode(bytes).map(Arc::new)
    }
}

/// The listing of a directory; of one with an entry that cannot be used as a source, without such entries.
async fn listing(cx: &Cx, repository: &Repository, directory: &Str) -> Result<Arc<Listing>, Fail> {
    let root = repository.target_root.name;
    let listing = cx.get::<DirRule>(RootPath { root, path: directory.clone() }).await?;
    if !matches!(&*listing, Listing::Unreadable(_)) || root.ignore_special {
        return Ok(listing);
    }
    let root = RootName { ignore_special: true, ..root };
    cx.get::<DirRule>(RootPath { root, path: directory.clone() }).await
}

/// Whether the name of targets files in a directory is that of a file, or of a link to one. Where special entries are
/// ignored, links are not listed, but a targets file may be one.
async fn is_file(cx: &Cx, listed: Option<Entry>, name: &str, file: &RootPath) -> Result<bool, Fail> {
    match listed {
        Some(Entry::File) => Ok(true),
        // A name of targets files may lead to another directory.
        None if !file.root.ignore_special && !name.contains('/') => Ok(false),
        None | Some(Entry::Symlink) => {
            let hash = cx.hash_of::<FileRule>(file.clone()).await?;
            Ok(!hash.is_some_and(FileRule::is_absence))
        }
        Some(Entry::Directory | Entry::NotUtf8 { .. }) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_written_as_specified() {
        let key = BelowKey { repository: "r".into(), directory: "a/b".into(), is_named: true };
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        assert_eq!(bytes, b"\x01\x01r\x03a/b");
        assert_eq!(BelowKey::decode(&bytes), Some(key));
        let below = TargetsBelow(vec![("".into(), ["t".into()].into()), ("a".into(), [].into())]);
        let bytes = below.encode();
        assert_eq!(bytes, b"\x02\x00\x00\x01\x00\x01t\x00\x01a\x00");
        assert_eq!(TargetsBelow::decode(&bytes), Some(below));
        assert!((0..bytes.len()).all(|end| TargetsBelow::decode(&bytes[..end]).is_none()));
    }
}
