//! Git repositories made by hand: loose objects, written without git, so that tests depend on no installed program and
//! no configuration of git, and can write what git refuses to.

use std::{
    fs, io,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use sha1::{Digest, Sha1};

/// A git directory: that of a bare repository, or of a worktree.
#[derive(Debug)]
pub struct GitRepository(PathBuf);

impl GitRepository {
    /// A git directory without objects, which is created.
    ///
    /// # Panics
    /// It cannot be created.
    pub fn new(directory: impl Into<PathBuf>) -> GitRepository {
        let directory = directory.into();
        for name in ["objects/info", "objects/pack", "refs/heads"] {
            fs::create_dir_all(directory.join(name)).expect("a directory");
        }
        // Git and libgit2 take a directory for a repository only if it has HEAD, `objects` and `refs`.
        fs::write(directory.join("HEAD"), "ref: refs/heads/master\n").expect("HEAD");
        let config = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n";
        fs::write(directory.join("config"), config).expect("config");
        GitRepository(directory)
    }

    /// The git directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The file of a loose object.
    pub fn file(&self, id: &str) -> PathBuf {
        let (shard, rest) = id.split_at(2);
        self.0.join("objects").join(shard).join(rest)
    }

    /// Writes a loose object, whatever its content. Returns its id.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn object(&self, kind: &str, content: &[u8]) -> String {
        let encoded = [format!("{kind} {}\0", content.len()).as_bytes(), content].concat();
        let id = hex(&Sha1::digest(&encoded));
        self.write(&id, &encoded);
        id
    }

    /// Writes a file of a loose object: its header and content as they are, under any id.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, id: &str, encoded: &[u8]) {
        let file = self.file(id);
        fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        fs::write(file, zlib(encoded)).expect("an object");
    }

    /// A blob.
    pub fn blob(&self, content: impl AsRef<[u8]>) -> String {
        self.object("blob", content.as_ref())
    }

    /// A tree of entries as mode, name and id, in the order in which git sorts them.
    ///
    /// # Panics
    /// An id is malformed.
    pub fn tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut entries = entries.to_vec();
        // Git compares the name of a directory as if it ended in `/` (`base_name_compare` in its sources).
        entries.sort_by_key(|(mode, name, _)| {
            name.iter().copied().chain((*mode == "40000").then_some(b'/')).collect::<Vec<u8>>()
        });
        let mut content = Vec::new();
        for (mode, name, id) in entries {
            // An entry is its mode as octal digits, a blank, the name, a zero byte, and the bytes of the id.
            content.extend(mode.bytes());
            content.push(b' ');
            content.extend(name);
            content.push(0);
            content.extend((0..20).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).expect("an id")));
        }
        self.object("tree", &content)
    }

    /// The tree of a directory with everything in it: files, executables, links, directories. Empty directories are
    /// left out, as git does, and so is `.git`.
    ///
    /// # Panics
    /// It cannot be read.
    pub fn snapshot(&self, directory: &Path) -> String {
        self.try_snapshot(directory).expect("a readable directory").unwrap_or_else(|| self.tree(&[]))
    }

    fn try_snapshot(&self, directory: &Path) -> io::Result<Option<String>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let (mode, id) = if entry.file_name() == ".git" {
                continue;
            } else if kind.is_dir() {
                // No tree names an empty directory, so one with only such directories in it is left out as well.
                let Some(id) = self.try_snapshot(&path)? else { continue };
                ("40000", id)
            } else if kind.is_symlink() {
                ("120000", self.blob(fs::read_link(&path)?.as_os_str().as_bytes()))
            } else {
                // Git keeps one bit of the permissions: whether the owner may execute the file.
                let is_executable = entry.metadata()?.permissions().mode() & 0o100 != 0;
                (if is_executable { "100755" } else { "100644" }, self.blob(fs::read(&path)?))
            };
            entries.push((mode, entry.file_name(), id));
        }
        let entries: Vec<(&str, &[u8], &str)> =
            entries.iter().map(|(mode, name, id)| (*mode, name.as_bytes(), id.as_str())).collect();
        Ok((!entries.is_empty()).then(|| self.tree(&entries)))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes in the format of zlib (RFC 1950), in blocks that are not compressed (RFC 1951).
fn zlib(content: &[u8]) -> Vec<u8> {
    // Deflate with a window of 32 KiB and no dictionary; the second byte makes the pair a multiple of 31.
    let mut out = vec![0x78, 0x01];
    // The length of a stored block has 16 bits.
    let mut blocks = content.chunks(0xffff).peekable();
    // A stream has at least one block: only a block can be the last one.
    if blocks.peek().is_none() {
        out.extend([1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("a short block");
        // The lowest bit marks the last block; the two above it are zero for a stored one, which begins at the next
        // byte.
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    // The checksum is Adler-32: two sums modulo the greatest prime below 2^16.
    let (mut a, mut b) = (1u32, 0u32);
    for byte in content {
        a = (a + u32::from(*byte)) % 65521;
        b = (b + a) % 65521;
    }
    out.extend((b << 16 | a).to_be_bytes());
    out
}
