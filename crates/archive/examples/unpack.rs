//! Reads archives into a bare git repository, which is made if need be, and prints their trees:
//! `unpack REPOSITORY ARCHIVE…`.
#![allow(clippy::disallowed_methods, reason = "a tool for developers")]

use std::{error::Error, fs::File, path::Path};

use taut_archive::{Kind, Limits, read};
use taut_git::Writer;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let repository = arguments.next().ok_or("a repository is missing")?;
    let writer = Writer::open(Path::new(&repository))?;
    for path in arguments {
        let kind = if path.ends_with(".zip") || path.ends_with(".7z") { Kind::Zip } else { Kind::Tar };
        let mut batch = writer.batch();
        let unpacked = read(&mut File::open(&path)?, kind, &Limits::default(), &mut batch)
            .map_err(|error| format!("{path}: {error}"))?;
        batch.finish()?;
        writer.keep_as_commit(&unpacked.tree, &format!("Content of archive {path}"))?;
        println!("{} {path}", unpacked.tree);
        for warning in unpacked.warnings {
            eprintln!("{path}: {warning}");
        }
    }
    Ok(())
}
