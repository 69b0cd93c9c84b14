//! Installing results into a directory that may hold them already, and removing what they no longer have.
//!
//! What was installed into a directory is recorded in the build root (`docs/store.md` has the record byte by byte): for
//! each path the object, its owners, and evidence of the file as it was left. An owner is a request, by its targets and
//! the root they lie in. Where the evidence holds, the file is right without a look into it; else it is compared, and
//! written only if it differs. The record is never needed to install rightly: without it, everything is compared. It is
//! needed to remove, and what is there must still be what was installed: anything else belongs to the user.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use taut_digest::{ObjectInfo, ObjectType};
use taut_store::{MIN_COUNTED_PATHS, Store};
use taut_sys::{At, Dir, Evidence, FileKind, if_exists};
use taut_value::{Decoder, Encoder, Id, Str};

/// What installing did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Installed {
    /// How many paths were not in place already.
    pub written: usize,
    /// Paths below the directory that were removed.
    pub removed: Vec<String>,
    /// Paths that were to be removed, but were changed since they were installed.
    pub kept: Vec<String>,
}

/// A file or link that was installed.
#[derive(Clone, PartialEq, Debug)]
struct Leaf {
    info: ObjectInfo,
    evidence: Option<Evidence>,
    /// The requests that it was installed for.
    owners: BTreeSet<Str>,
}

/// What was installed into a directory, by path below it.
type Leaves = BTreeMap<Str, Leaf>;

/// Installs objects into `directory`, which exists, one after the other: where two have the same path, the later
/// one wins. With `prune`, what was installed for the same `owner` before, and is not now, is removed.
///
/// # Errors
/// An object cannot be put where it belongs.
pub fn install<'o>(
    store: &Store,
    objects: impl Iterator<Item = (&'o str, ObjectInfo)>,
    directory: &Dir,
    owner: &str,
    prune: bool,
) -> taut_store::Result<Installed> {
    let owner: Str = owner.into();
    let record = Record::of(store, directory);
    let before = record.as_ref().map(Record::read).unwrap_or_default();
    let objects: Vec<(&str, ObjectInfo)> = objects.collect();
    let infos: Vec<ObjectInfo> = objects.iter().map(|(_, info)| *info).collect();
    // Directories first: only they say which files belong to a tree.
    store.bring_directories(&infos)?;
    let mut wanted: HashMap<PathBuf, ObjectInfo> = HashMap::new();
    let mut leaves_of: Vec<Option<Vec<(PathBuf, ObjectInfo)>>> = Vec::new();
    for (path, info) in &objects {
        let leaves = leaves(store, path, info)?;
        // A later object replaces an earlier one at the same path, here as in the directory.
        wanted.extend(leaves.iter().flatten().cloned());
        leaves_of.push(leaves);
    }
    let mut after = before.clone();
    let mut done = Installed::default();
    let pruning = Pruning { store, directory, owner: &owner, wanted: &wanted };
    if prune {
        // A file in the place of a new directory, or the reverse, must be removed first.
        let above: HashSet<&Path> = wanted.keys().flat_map(|path| path.ancestors().skip(1)).collect();
        let is_in_the_way =
            |path: &Path| above.contains(path) || path.ancestors().skip(1).any(|up| wanted.contains_key(up));
        pruning.prune(&mut after, &mut done, is_in_the_way)?;
    }
    let installer = store.installer(directory);
    let mut evidence: HashMap<PathBuf, Evidence> = HashMap::new();
    let mut written: HashSet<&str> = HashSet::new();
    // Without opening the file: a change since then alters the evidence, which includes the change time.
    let is_right = |place: &Path, info: &ObjectInfo| {
        let known = before.get(place.to_str()?).filter(|known| known.info == *info)?;
        known.evidence.filter(|then| then.still_holds(Some(directory.at(place)), false))
    };
    // Only what is not in place has to be here, and all of it is asked for at once.
    let absent = wanted.iter().filter(|(place, info)| is_right(place, info).is_none()).map(|(_, info)| *info);
    store.bring(&absent.collect::<Vec<_>>())?;
    for ((path, info), leaves) in objects.iter().zip(&leaves_of) {
        let mut right = leaves.is_some();
        for (place, info) in leaves.iter().flatten().filter(|(place, info)| wanted.get(place) == Some(info)) {
            match is_right(place, info) {
                Some(then) => {
                    evidence.insert(place.clone(), then);
                }
                None => right = false,
            }
        }
        if !right {
            if installer.install(info, path)? {
                written.insert(path);
            }
            // Perhaps replaced: the evidence is gathered again below.
            leaves.iter().flatten().for_each(|(place, _)| {
                evidence.remove(place);
            });
        }
    }
    done.written = written.len();
    note_installed(&mut after, &wanted, &evidence, directory, &owner);
    if prune {
        // The rest comes after installation: an interrupted call leaves too much rather than too little.
        pruning.prune(&mut after, &mut done, |_| true)?;
        done.removed.sort();
    }
    // Last: if the call is killed before, the old record describes less than there is, and later calls compare more.
    if let Some(record) = record.filter(|_| after != before) {
        record.write(&after);
    }
    Ok(done)
}

/// Notes that what is wanted is in place. `evidence`: of what was right already, which need not be looked at again.
fn note_installed(
    leaves: &mut Leaves,
    wanted: &HashMap<PathBuf, ObjectInfo>,
    evidence: &HashMap<PathBuf, Evidence>,
    directory: &Dir,
    owner: &Str,
) {
    for (place, info) in wanted {
        // A record has texts only: other names are compared each time, and never removed.
        let Some(name) = place.to_str() else { continue };
        let evidence = match evidence.get(place) {
            Some(known) => Some(*known),
            // After it was installed: evidence of the new file.
            None => Evidence::gather(Some(directory.at(place)), false).ok(),
        };
        let leaf = leaves.entry(name.into()).or_insert_with(|| Leaf {
            info: *info,
            evidence,
            owners: BTreeSet::new(),
        });
        if leaf.info != *info {
            // What was installed there for other requests is no longer there.
            leaf.owners.clear();
        }
        (leaf.info, leaf.evidence) = (*info, evidence);
        leaf.owners.insert(owner.clone());
    }
}

/// What an owner no longer wants.
struct Pruning<'p> {
    store: &'p Store,
    directory: &'p Dir,
    owner: &'p Str,
    wanted: &'p HashMap<PathBuf, ObjectInfo>,
}

impl Pruning<'_> {
    /// Removes what is no longer wanted at some of the paths.
    fn prune(
        &self,
        leaves: &mut Leaves,
        done: &mut Installed,
        at: impl Fn(&Path) -> bool,
    ) -> taut_store::Result<()> {
        let is_gone = |(path, leaf): &(&Str, &Leaf)| {
            let path = Path::new(path.as_str());
            leaf.owners.contains(self.owner) && !self.wanted.contains_key(path) && at(path)
        };
        let gone: Vec<Str> = leaves.iter().filter(is_gone).map(|(path, _)| path.clone()).collect();
        for path in gone {
            let Some(leaf) = leaves.get_mut(&path) else { continue };
            leaf.owners.remove(self.owner);
            if leaf.owners.is_empty() {
                let leaf = leaf.clone();
                leaves.remove(&path);
                remove(self.store, self.directory, &path, &leaf, done)?;
            }
        }
        Ok(())
    }
}

/// The files and links that an object consists of, below the directory it is installed to. `None` if that is
/// for the store to refuse.
fn leaves(
    store: &Store,
    path: &str,
    info: &ObjectInfo,
) -> taut_store::Result<Option<Vec<(PathBuf, ObjectInfo)>>> {
    let mut place = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => place.push(part),
            Component::CurDir => {}
            // Only within the path: one that leads out is refused by the store, with its message.
            Component::ParentDir if place.pop() => {}
            _ => return Ok(None),
        }
    }
    let (mut leaves, mut pending) = (Vec::new(), vec![(place, *info)]);
    let (object, mut has_counted) = (info, false);
    while let Some((place, info)) = pending.pop() {
        if !has_counted && leaves.len() + pending.len() >= MIN_COUNTED_PATHS {
            store.check_paths(object, path)?;
            has_counted = true;
        }
        if info.object_type != ObjectType::Tree {
            leaves.push((place, info));
            continue;
        }
        let Some(entries) = store.read_tree(&info.digest.hash)? else { return Ok(None) };
        for (name, entry) in entries {
            // Sizes do not matter here: contents are identified by their hashes.
            let digest = taut_digest::Digest { hash: entry.hash, size: 0 };
            let below = place.join(std::ffi::OsStr::from_bytes(&name));
            pending.push((below, ObjectInfo { digest, object_type: entry.object_type }));
        }
    }
    Ok(Some(leaves))
}

/// Removes what was installed at a path, if it is still that; then the directories that this leaves empty. No link is
/// followed on the way: what lies behind one was not installed here.
fn remove(
    store: &Store,
    directory: &Dir,
    path: &str,
    leaf: &Leaf,
    done: &mut Installed,
) -> taut_store::Result<()> {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let opened = match above {
        "" => directory.try_clone(),
        above => directory.sub(above, taut_sys::Links::Refused),
    };
    let opened = match opened {
        Err(error) if error.is_absent() || error.is_link_in_the_way() => return Ok(()),
        other => other?,
    };
    let place = opened.at(name);
    let Some(stat) = if_exists(place.lstat())? else { return Ok(()) };
    let hash = &leaf.info.digest.hash;
    let is_the_same = match (stat.kind, leaf.info.object_type) {
        (FileKind::Symlink, ObjectType::Symlink) => {
            store.hash_function().blob(place.read_link()?.as_os_str().as_bytes()) == *hash
        }
        (FileKind::File, ObjectType::File) => !stat.is_executable() && store.has_content(place, hash)?,
        (FileKind::File, ObjectType::Executable) => stat.is_executable() && store.has_content(place, hash)?,
        _ => false,
    };
    if !is_the_same {
        done.kept.push(path.to_owned());
        return Ok(());
    }
    // A change since the comparison is lost: there is no system call that removes a file by content.
    place.remove_file()?;
    done.removed.push(path.to_owned());
    for above in Path::new(path).ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
        if directory.at(above).remove_dir().is_err() {
            // Something else is in it: the directories above are not empty, either.
            break;
        }
    }
    Ok(())
}

/// The record of what was installed into a directory.
struct Record {
    directory: Dir,
    name: String,
}

/// The format and its version: a record of another version counts as none.
const MAGIC: &[u8; 16] = b"taut installed 2";

impl Record {
    fn of(store: &Store, directory: &Dir) -> Option<Record> {
        // By the path without links: two names of one directory have one record.
        let path = directory.real_path().ok()?;
        let name = Id::of(path.as_os_str().as_bytes()).to_hex();
        Some(Record { directory: store.lasting_directory("installed").ok()?, name })
    }

    fn file(&self) -> At<'_> {
        self.directory.at(&self.name)
    }

    fn read(&self) -> Leaves {
        let bytes = self.file().read().unwrap_or_default();
        let body = || {
            let (sealed, body) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<32>()?;
            // What is removed goes by the record, so a damaged one counts as none.
            (Id::of(body).0 == *sealed).then_some(body)
        };
        body().and_then(decode).unwrap_or_default()
    }

    /// Writes the record, as a whole or not at all: without one, later calls compare more and remove less.
    fn write(&self, leaves: &Leaves) {
        let body = encode(leaves);
        // An error costs time in later calls, and is not a reason to fail an installation that has succeeded.
        let _ = self.file().replace(&[&MAGIC[..], &Id::of(&body).0, &body].concat());
    }
}

fn encode(leaves: &Leaves) -> Vec<u8> {
    let mut e = Encoder::new();
    e.number(leaves.len() as u64);
    for (path, leaf) in leaves {
        e.text(path);
        e.artifact(&taut_value::Artifact::Known(leaf.info));
        let evidence = leaf.evidence.map(|evidence| evidence.encode()).unwrap_or_default();
        e.number(evidence.len() as u64);
        evidence.iter().for_each(|byte| e.number(u64::from(*byte)));
        e.texts(&leaf.owners);
    }
    e.finish()
}

fn decode(body: &[u8]) -> Option<Leaves> {
    let mut d = Decoder::new(body);
    let mut leaves = Leaves::new();
    for _ in 0..d.number()? {
        let path = d.text()?;
        let taut_value::Artifact::Known(info) = d.artifact()? else { return None };
        let mut evidence = Vec::new();
        for _ in 0..d.number()? {
            evidence.push(u8::try_from(d.number()?).ok()?);
        }
        let evidence = Evidence::decode(&evidence);
        leaves.insert(path, Leaf { info, evidence, owners: d.texts()?.into_iter().collect() });
    }
    d.is_done().then_some(leaves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_written_as_specified() {
        let info: ObjectInfo = "[4e3dffe834ac70600a7cb71fbc1f6a694c9d041f:12:x]".parse().unwrap();
        // Firm; size 1, times 2 and 3, device 4, inode 5, mode 0o100755.
        let mut seen = vec![1];
        seen.extend(1_u64.to_le_bytes());
        seen.extend(2_i128.to_le_bytes());
        seen.extend(3_i128.to_le_bytes());
        seen.extend([4_u64, 5].map(u64::to_le_bytes).as_flattened());
        seen.extend(0o100_755_u32.to_le_bytes());
        let evidence = Evidence::decode(&seen);
        assert!(evidence.is_some());
        let owners = ["one", "two"].map(Str::from).into_iter().collect();
        let leaves = Leaves::from([
            ("a".into(), Leaf { info, evidence, owners }),
            ("b/c".into(), Leaf { info, evidence: None, owners: [Str::from("two")].into_iter().collect() }),
        ]);
        let hash = b"\x4e\x3d\xff\xe8\x34\xac\x70\x60\x0a\x7c\xb7\x1f\xbc\x1f\x6a\x69\x4c\x9d\x04\x1f";
        let object = [&b"\x01x\x14"[..], hash, b"\x0c"].concat();
        // The mode is 0x81ed: bytes from 128 on take two.
        let mut numbers = seen.clone();
        let mode = numbers.split_off(numbers.len() - 4);
        assert_eq!(mode, [0xed, 0x81, 0, 0]);
        numbers.extend([0xed, 1, 0x81, 1, 0, 0]);
        let parts = [
            &b"\x02\x00\x01a"[..],
            &object,
            &[61],
            &numbers,
            b"\x02\x00\x03one\x00\x03two\x00\x03b/c",
            &object,
            b"\x00\x01\x03",
        ];
        let body = encode(&leaves);
        assert_eq!(body, parts.concat());
        assert_eq!(decode(&body), Some(leaves));
        assert!((0..body.len()).all(|end| decode(&body[..end]).is_none()));
    }
}
