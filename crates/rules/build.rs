//! Writes the table of the files below `rules/` with the id of their git tree, which `src/lib.rs` includes. The id is
//! computed here and not when taut runs, so that a call that needs no rule hashes nothing.
#![allow(clippy::disallowed_methods, reason = "a build script reads the source tree by paths")]

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use taut_digest::{Hash, HashFunction, ObjectType, TreeEntry, encode_git_tree};

/// Adds the files below a directory to the table, in the order of their paths' components; returns the id of its tree.
fn add(directory: &Path, path: &str, table: &mut String) -> Result<Hash, Box<dyn Error>> {
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().into_string().map_err(|name| format!("{name:?} is not UTF-8"))?;
        names.push(name);
    }
    // The file system has no order; the table should be the same wherever it is made.
    names.sort();
    let mut entries: BTreeMap<String, TreeEntry> = BTreeMap::new();
    for name in names {
        let file = directory.join(&name);
        let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        let metadata = fs::symlink_metadata(&file)?;
        let (hash, object_type) = if metadata.is_dir() {
            (add(&file, &below, table)?, ObjectType::Tree)
        } else if metadata.is_file() {
            // The right of the owner, as git decides it.
            let is_executable = metadata.permissions().mode() & 0o100 != 0;
            let file = file.to_str().ok_or("the path of the sources is not UTF-8")?;
            writeln!(table, "    ({below:?}, {is_executable}, include_bytes!({file:?})),")?;
            let object_type = if is_executable { ObjectType::Executable } else { ObjectType::File };
            (HashFunction::GitSha1.blob(&fs::read(file)?), object_type)
        } else {
            return Err(format!("{} is neither a file nor a directory", file.display()).into());
        };
        entries.insert(name, TreeEntry { hash, object_type });
    }
    Ok(HashFunction::GitSha1.tree(&encode_git_tree(&entries)))
}

fn main() -> Result<(), Box<dyn Error>> {
    let rules = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../rules");
    // If this is a directory, cargo looks at all files below it.
    println!("cargo::rerun-if-changed={}", rules.display());
    let mut table = String::new();
    let tree = add(&rules, "", &mut table)?;
    let text = format!(
        "const TREE: &str = \"{}\";\n\nconst FILES: &[(&str, bool, &[u8])] = &[\n{table}];\n",
        tree.to_hex()
    );
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("table.rs"), text)?;
    Ok(())
}
