//! A bare repository that is written, and made if it is not there.

use std::path::Path;

use taut_digest::Hash;
use taut_sys::{Dir, Links, if_exists};

use crate::{
    Batch, Error, Kind, Repository, Result,
    keep::{KEEP, commit, tag},
    temporary::Temporary,
};

/// A bare git repository that objects are written to. Several threads and processes can write at the same time.
pub struct Writer {
    repository: Repository,
    directory: Dir,
    objects: Dir,
    packs: Dir,
    rewrites: bool,
}

impl Writer {
    /// The bare repository at an absolute path, which is made if need be, with the directories above it.
    ///
    /// # Errors
    /// It cannot be made, or something else is there.
    pub fn open(path: &Path) -> Result<Writer> {
        let unwritable =
            |error: taut_sys::Error| Error::Unwritable { path: path.to_owned(), why: error.to_string() };
        let directory = Dir::made_of_user(path).map_err(unwritable)?;
        make(&directory).map_err(unwritable)?;
        let objects = directory.sub("objects", Links::Beneath).map_err(unwritable)?;
        let packs = objects.at("pack").make_dir_if_absent().map_err(unwritable)?;
        Ok(Writer { repository: Repository::new(path), directory, objects, packs, rewrites: false })
    }

    /// The writer that, if `rewrites`, also writes what is there: parts of the repository are lost or damaged, so that
    /// a tree in it says nothing of what is below.
    #[must_use]
    pub fn rewriting(self, rewrites: bool) -> Writer {
        Writer { rewrites, ..self }
    }

    pub(crate) fn rewrites(&self) -> bool {
        self.rewrites
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.repository.path()
    }

    /// The repository, for reading.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Begins to write objects.
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(self)
    }

    /// Protects a tree from `git gc`: makes a commit of it with this message and without parents, and a tag
    /// `keep-<commit>`. Commit and tag are those that just-mr 1.6 makes. Returns the commit.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn keep_as_commit(&self, tree: &Hash, message: &str) -> Result<Hash> {
        let mut batch = self.batch();
        let commit = batch.object(Kind::Commit, &commit(tree, message))?;
        batch.finish()?;
        self.keep(Kind::Commit, &commit)?;
        Ok(commit)
    }

    /// Protects an object and all below it from `git gc` by a tag `keep-<id>`, which is the one that just-mr 1.6 makes.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, kind: Kind, id: &Hash) -> Result<()> {
        // A second tag would be the same: what was kept before costs a look-up, and no write. If something is lost, the
        // object of the tag may be.
        if !self.rewrites && self.is_kept(id)? {
            return Ok(());
        }
        let name = format!("{KEEP}{}", id.to_hex());
        let mut batch = self.batch();
        let tag = batch.object(Kind::Tag, &tag(&name, kind, id))?;
        batch.finish()?;
        // The object comes first: a reference without its object makes `git fsck` and `git gc` fail.
        let tags = self.directory.make_all("refs/tags").map_err(|error| self.unwritable(error))?;
        // Its temporary name is outside of the directories of references, since git takes any file there for one.
        let content = format!("{}\n", tag.to_hex());
        write_file(&self.directory, &tags, &name, content.as_bytes()).map_err(|error| self.unwritable(error))
    }

    /// Whether an object has the tag that [`Writer::keep`] makes.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn is_kept(&self, id: &Hash) -> Result<bool> {
        let name = format!("{KEEP}{}", id.to_hex());
        // Loose first: while `git pack-refs` moves it, it is written to the packed file before the loose one is
        // removed.
        let tag = if_exists(self.directory.at(&format!("refs/tags/{name}")).lstat());
        if tag.map_err(|error| self.unwritable(error))?.is_some() {
            return Ok(true);
        }
        // `git gc` moves references into one file.
        let packed = if_exists(self.directory.at("packed-refs").read());
        let packed = packed.map_err(|error| self.unwritable(error))?.unwrap_or_default();
        let line = format!(" refs/tags/{name}");
        Ok(packed.split(|&byte| byte == b'\n').any(|packed| packed.ends_with(line.as_bytes())))
    }

    pub(crate) fn directory(&self) -> &Dir {
        &self.directory
    }

    pub(crate) fn objects(&self) -> &Dir {
        &self.objects
    }

    pub(crate) fn packs(&self) -> &Dir {
        &self.packs
    }

    pub(crate) fn unwritable(&self, error: taut_sys::Error) -> Error {
        Error::Unwritable { path: self.path().to_owned(), why: error.to_string() }
    }
}

/// Makes a directory a bare repository, unless it is one. Several processes may do so at the same time: each writes the
/// same contents, and `HEAD`, by which git knows a repository, comes last.
fn make(directory: &Dir) -> taut_sys::Result<()> {
    if directory.at("HEAD").exists()? {
        return Ok(());
    }
    for name in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info"] {
        directory.make_all(name)?;
    }
    // The lines of `git init --bare` that have a meaning on Linux.
    let config = b"[core]\n\tbare = true\n\trepositoryformatversion = 0\n\tfilemode = true\n";
    write_file(directory, directory, "config", config)?;
    write_file(directory, directory, "HEAD", b"ref: refs/heads/master\n")
}

fn write_file(top: &Dir, directory: &Dir, name: &str, content: &[u8]) -> taut_sys::Result<()> {
    use std::io::Write;

    let (temporary, mut file) = Temporary::create(top, "tmp_file_")?;
    // Synced before it has its name: if `HEAD` were empty after a crash, this would no longer be a repository.
    let written = file.write_all(content).and_then(|()| file.sync_all());
    written.map_err(|error| temporary.error("write", error))?;
    temporary.rename_to(directory, name)
}
