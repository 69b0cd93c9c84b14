//! Listings of directories below a root, and their hashes.

use std::ops::Deref;

use taut_digest::{Hash as ObjectHash, ObjectInfo};
use taut_engine::{Facets, Hash};
use taut_value::{Encoder, Id, Str};

/// The kind of a directory entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A regular file.
    File,
    /// A link that stays inside (non-upwards).
    Symlink,
    /// A directory.
    Directory,
    /// An entry whose name is not UTF-8; in the listing, the name has replacement characters. It cannot be used, and
    /// does not keep others from being used.
    NotUtf8 {
        /// Whether it is a directory.
        is_directory: bool,
    },
}

/// An entry of a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its name.
    pub name: Str,
    /// Its kind.
    pub entry: Entry,
    /// The object, if the root knows it without reading it.
    // Boxed, as most entries of most roots do not know an object, and listings have many entries.
    pub known: Option<Box<ObjectInfo>>,
}

impl Listed {
    /// An entry of a root that does not know objects.
    pub fn new(name: impl Into<Str>, entry: Entry) -> Listed {
        Listed { name: name.into(), entry, known: None }
    }
}

/// The content of a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
// Three results and no error: that a directory is missing or unreadable is a fact that tasks depend
// on, like any other.
pub enum Listing {
    /// There is no such directory.
    Absent,
    /// It cannot be used as a source of files, and why.
    Unreadable(String),
    /// Its entries.
    Entries(Entries),
}

/// The entries of a directory, sorted by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entries {
    all: Vec<Listed>,
    /// The directory as an object, with everything below it, if the root knows it without reading it and all of it can
    /// be used.
    pub itself: Option<Box<ObjectInfo>>,
    /// The id of the tree whose entries these are, if some of what is in it or below cannot be used.
    filtered: Option<Box<ObjectHash>>,
}

impl Deref for Entries {
    type Target = [Listed];

    fn deref(&self) -> &[Listed] {
        &self.all
    }
}

impl Listing {
    /// A listing of entries, sorted by name, of a directory that may be known as an object.
    pub fn of(entries: Vec<Listed>, itself: Option<ObjectInfo>) -> Listing {
        Listing::Entries(Entries { all: entries, itself: itself.map(Box::new), filtered: None })
    }

    /// A listing of the entries of a tree that can be used, sorted by name, where others may be in it or below.
    pub fn filtered(entries: Vec<Listed>, tree: ObjectHash) -> Listing {
        Listing::Entries(Entries { all: entries, itself: None, filtered: Some(Box::new(tree)) })
    }

    /// The kind of the entry with a name.
    pub fn get(&self, name: &str) -> Option<Entry> {
        self.find(name).map(|listed| listed.entry)
    }

    /// The entry with a name.
    pub fn find(&self, name: &str) -> Option<&Listed> {
        let Listing::Entries(entries) = self else { return None };
        // Entries are sorted where the listing is made, by the bytes of their names in this form.
        let at = entries.binary_search_by(|listed| listed.name.as_str().cmp(name)).ok()?;
        Some(&entries[at])
    }

    /// The directory as an object, if the root knows it.
    pub fn itself(&self) -> Option<ObjectInfo> {
        let Listing::Entries(entries) = self else { return None };
        entries.itself.as_deref().copied()
    }

    /// What two directories of a root have in common only if all that is listed below them is the same, if the root
    /// knows that without reading it. It is read by [`Listing::facet_of_itself`].
    pub fn id_of_all_below(&self) -> Option<ObjectHash> {
        let Listing::Entries(entries) = self else { return None };
        let itself = entries.itself.as_deref().map(|itself| itself.digest.hash);
        itself.or(entries.filtered.as_deref().copied())
    }

    /// The facet of whether there is a listing at all, and if not, why.
    pub const READABLE: Facets = Facets::of(0);

    /// The facets of one entry. Facets are shared by several names, so a change of another entry seldom invalidates a
    /// task that has read one entry of a large directory.
    pub fn facet_of(name: &str) -> Facets {
        // From facet 1 on, since 0 is whether there is a listing.
        Listing::READABLE.and(Facets::of(Facets::shared(1, name)))
    }

    /// The facets of the directory as an object: those of the entry "", which no file can have as its name.
    pub fn facet_of_itself() -> Facets {
        Listing::facet_of("")
    }

    /// The bytes that are hashed (docs/store.md, hashes of `dir`):
    /// - 0: there is no directory;
    /// - 1 and a text: why it cannot be used;
    /// - 2, the number of entries, and the entries;
    /// - 3, as after 2, and the object of the directory, if that is known;
    /// - 4, as after 2, and the bytes of the id of the tree, if entries of it are left out here.
    ///
    /// A text is the number of its bytes and the bytes. An entry is its name and its kind: 0 file, 1 link, 2 directory,
    /// 3 a name that is not UTF-8, 4 such a name of a directory. If the object is known, the kind is 8 more, and the
    /// object follows. Numbers and objects are as [`Encoder`] writes them.
    fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        match self {
            Listing::Absent => e.number(0),
            // The reason is hashed, as tasks report it: another reason is another result.
            Listing::Unreadable(why) => {
                e.number(1);
                e.bytes(why.as_bytes());
            }
            Listing::Entries(entries) => {
                let filtered = entries.filtered.as_deref();
                e.number(2 + u64::from(entries.itself.is_some()) + 2 * u64::from(filtered.is_some()));
                e.number(entries.len() as u64);
                entries.iter().for_each(|listed| listed.encode(&mut e));
                entries.itself.iter().for_each(|itself| e.object(itself));
                filtered.iter().for_each(|tree| e.bytes(tree.as_bytes()));
            }
        }
        e.finish()
    }

    pub(crate) fn hash(&self) -> Hash {
        Hash(Id::of(self.encode()).0)
    }

    /// The hashes of all facets. Facet 0, whether it can be read, is encoded as in [`Listing::encode`], without
    /// entries and as if the directory were not known as an object; the others consist of their entries, and of that
    /// object, or the id of the tree, where the entry "" would be. An empty facet has hash 0.
    pub(crate) fn facets(&self) -> Vec<Hash> {
        // One encoder per facet; several names may share one.
        // Without the room that an encoder usually reserves: there is one for each facet of each listing.
        let mut facets: Vec<Encoder> = (0..Facets::MAX_COUNT).map(|_| Encoder::limited(0, 0)).collect();
        match self {
            Listing::Absent => {}
            Listing::Unreadable(why) => {
                facets[0].number(1);
                facets[0].bytes(why.as_bytes());
            }
            Listing::Entries(entries) => {
                facets[0].number(2);
                for listed in entries.iter() {
                    // Names that share a facet come in sorted order, so its hash does not depend on the file system.
                    listed.encode(&mut facets[Facets::shared(1, &listed.name)]);
                }
                if let Some(itself) = &entries.itself {
                    facets[Facets::shared(1, "")].object(itself);
                }
                if let Some(tree) = entries.filtered.as_deref() {
                    facets[Facets::shared(1, "")].bytes(tree.as_bytes());
                }
            }
        }
        let bytes = facets.into_iter().map(Encoder::finish);
        bytes.map(|facet| if facet.is_empty() { Hash::from(0) } else { Hash(Id::of(facet).0) }).collect()
    }
}

impl Listed {
    fn encode(&self, e: &mut Encoder) {
        let Listed { name, entry, known } = self;
        e.bytes(name.as_bytes());
        let kind = match entry {
            Entry::File => 0,
            Entry::Symlink => 1,
            Entry::Directory => 2,
            Entry::NotUtf8 { is_directory } => 3 + u64::from(*is_directory),
        };
        match known {
            None => e.number(kind),
            Some(known) => {
                // An object changes the kind, so roots with and without known objects never have equal listings.
                e.number(kind + 8);
                e.object(known);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_listings_are_stable() {
        let hex = |hash: Hash| Id(hash.0).to_hex();
        let entries = vec![
            Listed::new("a", Entry::File),
            Listed::new("b", Entry::Symlink),
            Listed::new("c", Entry::Directory),
            Listed::new("d\u{fffd}", Entry::NotUtf8 { is_directory: false }),
            Listed::new("e\u{fffd}", Entry::NotUtf8 { is_directory: true }),
        ];
        let all = [Listing::Absent, Listing::Unreadable("why".to_owned()), Listing::of(entries, None)];
        let hashes: Vec<String> = all.iter().map(|listing| hex(listing.hash())).collect();
        assert_eq!(
            hashes,
            [
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "02cdaaace2cc6002248178384398f860500234356bf5eb58356f8010e1f8017a",
                "5adb2a7d4465afea491dfc8c8abe8c9724832e6175ab86d077abdcf521006fb6"
            ]
        );
        // All facets of the last one.
        let facets: Vec<u8> = all[2].facets().iter().flat_map(|facet| facet.0).collect();
        assert_eq!(
            Id::of(facets).to_hex(),
            "a2c35ea9bc0e93f77bf72edb5d2b989901420b33a06a385931173c2326358722"
        );
    }

    #[test]
    fn the_known_object_of_an_entry_is_part_of_its_hash() {
        let listing = |known: Option<&str>| {
            let known = known.map(|text| Box::new(text.parse().unwrap()));
            Listing::of(vec![Listed { known, ..Listed::new("a", Entry::File) }], None)
        };
        let one = listing(Some("[4e3dffe834ac70600a7cb71fbc1f6a694c9d041f:12:f]"));
        let other = listing(Some("[4e3dffe834ac70600a7cb71fbc1f6a694c9d0420:12:f]"));
        assert_eq!(
            Id(one.hash().0).to_hex(),
            "f3b0d8b44c164a6abc9336ee7aaf393f7c28aeff7c06c714d4b3f3b709f52e87"
        );
        let facet = Facets::shared(1, "a");
        for (a, b) in [(&one, &other), (&one, &listing(None))] {
            assert_ne!(a.hash(), b.hash());
            assert_ne!(a.facets()[facet], b.facets()[facet]);
        }
    }

    #[test]
    fn the_tree_that_entries_are_left_out_of_is_in_the_facet_of_the_directory() {
        let tree = |digit: &str| ObjectHash::from_hex(&digit.repeat(40)).unwrap();
        let listing = |digit: &str| Listing::filtered(vec![Listed::new("a", Entry::File)], tree(digit));
        let (one, other) = (listing("1"), listing("2"));
        assert_eq!((one.itself(), one.id_of_all_below()), (None, Some(tree("1"))));
        assert_ne!(one.hash(), other.hash());
        let differing: Vec<usize> =
            (0..Facets::MAX_COUNT).filter(|facet| one.facets()[*facet] != other.facets()[*facet]).collect();
        assert_eq!(differing, [Facets::shared(1, "")]);
        assert_eq!(
            Id(one.hash().0).to_hex(),
            "705981784629a583e409ccba41cd8c73300565aa92e68e62cc102f0ffda0784e"
        );
    }

    #[test]
    fn the_object_of_the_directory_is_a_facet_of_its_own() {
        let listing = |itself: Option<&str>| {
            Listing::of(vec![Listed::new("a", Entry::File)], itself.map(|text| text.parse().unwrap()))
        };
        let known = Some("[4b825dc642cb6eb9a060e54bf8d69288fbee4904:0:t]");
        let (one, other) = (listing(known), listing(None));
        assert_eq!(one.itself(), known.map(|text| text.parse().unwrap()));
        assert_ne!(one.hash(), other.hash());
        let differing: Vec<usize> =
            (0..Facets::MAX_COUNT).filter(|facet| one.facets()[*facet] != other.facets()[*facet]).collect();
        assert_eq!(differing, [Facets::shared(1, "")]);
        assert_eq!(
            Id(one.hash().0).to_hex(),
            "0d32a2d29286435813082bf7adc5fe544517a06b28a9153c6d779f007f515c80"
        );
    }
}
