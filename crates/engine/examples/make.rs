//! A make for C: `cargo run -p taut-engine --example make -- DIR` compiles the C files of a directory, each into
//! an object beside it, and links them. Which headers a file needs is found by the compiler and recorded as what
//! the task read; a second call, of another process too, compiles what changed and nothing else.
#![allow(clippy::disallowed_methods, reason = "an example does not depend on taut-sys")]

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use taut_engine::{Agreement, Curr, Cx, Engine, Fail, Hash, Options, Policy, Rule, Store};

/// What is in a file. An example may take 64 bits for a hash.
fn hash_of(path: &Path) -> Option<Hash> {
    let mut hasher = DefaultHasher::new();
    fs::read(path).ok()?.hash(&mut hasher);
    Some(Hash::from(hasher.finish()))
}

/// Size and times: evidence that a file is as it was.
fn stat(path: &str) -> Vec<u8> {
    let stat = fs::metadata(path).map(|m| format!("{} {} {}", m.len(), m.mtime_nsec(), m.ctime_nsec()));
    stat.unwrap_or_default().into_bytes()
}

/// A source file or header: a leaf.
struct Source;

impl Rule for Source {
    type Key = String;
    type Value = ();
    const NAME: &'static str = "source";

    fn policy(&self, _: &String) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, _: &String, _: Cx) -> Result<(), Fail> {
        Ok(())
    }

    // The hash is computed without a value, so a value is never requested.
    async fn hash(&self, path: &String, cx: taut_engine::HashCx<Source>) -> Result<Hash, Fail> {
        cx.witness(stat(path));
        hash_of(Path::new(path)).ok_or_else(|| Fail::transient(format!("cannot read {path}")))
    }

    fn agrees(&self, path: &String, witness: &[u8], hash: Hash) -> Agreement {
        match stat(path) {
            same if same == witness => Agreement::Yes,
            other if hash_of(Path::new(path)) == Some(hash) => Agreement::YesBy(other),
            _ => Agreement::No,
        }
    }
}

/// What lies at a path, for tasks whose values are files.
fn file(path: PathBuf) -> Curr<PathBuf> {
    if !path.exists() {
        return Curr::None;
    }
    let value = path.clone();
    Curr::There { value, hash: Box::new(move || hash_of(&path)) }
}

fn run(command: &mut Command) -> Result<(), Fail> {
    println!("{command:?}");
    let status = command.status().map_err(|error| Fail::transient(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(Fail::transient(format!("{command:?} failed"))) }
}

/// The object file of a C file.
struct Object;

impl Rule for Object {
    type Key = String;
    type Value = PathBuf;
    const NAME: &'static str = "object";

    fn policy(&self, _: &String) -> Policy {
        Policy::verifying(3).stored(Store::File)
    }

    async fn value(&self, source: &String, cx: Cx) -> Result<PathBuf, Fail> {
        let object = Path::new(source).with_extension("o");
        let deps = Path::new(source).with_extension("d");
        cx.hash_of::<Source>(source.clone()).await?;
        run(Command::new("cc").args(["-MD", "-c", source, "-o"]).arg(&object))?;
        // Dynamic dependencies: the compiler reports what it read, and the task reads these files, which is recorded.
        let text = fs::read_to_string(&deps).map_err(|error| Fail::transient(error.to_string()))?;
        let headers = text.split([' ', '\n', '\\']).filter(|word| word.ends_with(".h"));
        headers.for_each(|header| cx.depend::<Source>(header.to_owned()));
        Ok(object)
    }

    fn content_hash(&self, _: &String, object: &PathBuf) -> Option<Hash> {
        hash_of(object)
    }

    fn curr(&self, source: &String) -> Curr<PathBuf> {
        file(Path::new(source).with_extension("o"))
    }
}

/// The program of a directory: all its C files, linked.
struct Program;

impl Rule for Program {
    type Key = (String, Vec<u8>);
    type Value = PathBuf;
    const NAME: &'static str = "program";

    fn policy(&self, _: &Self::Key) -> Policy {
        Policy::verifying(3).stored(Store::File)
    }

    async fn value(&self, (program, sources): &Self::Key, cx: Cx) -> Result<PathBuf, Fail> {
        let sources = String::from_utf8_lossy(sources).lines().map(str::to_owned).collect();
        let objects: Result<Vec<PathBuf>, Fail> = cx.all::<Object>(sources).await.into_iter().collect();
        run(Command::new("cc").args(objects?).arg("-o").arg(program))?;
        Ok(program.into())
    }

    fn content_hash(&self, _: &Self::Key, program: &PathBuf) -> Option<Hash> {
        hash_of(program)
    }

    fn curr(&self, (program, _): &Self::Key) -> Curr<PathBuf> {
        file(program.into())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = PathBuf::from(env::args().nth(1).ok_or("give a directory with C files")?);
    let entries = fs::read_dir(&directory)?.map(|entry| entry.map(|entry| entry.path()));
    let mut sources: Vec<PathBuf> = entries.collect::<Result<_, _>>()?;
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    sources.sort();
    let sources: Vec<String> = sources.iter().map(|path| path.display().to_string()).collect();
    let key = (directory.join("program").display().to_string(), sources.join("\n").into_bytes());
    let engine = Engine::builder().rule(Source).rule(Object).rule(Program).open(&directory.join(".make"));
    let build = engine.begin().commit(Options::default());
    let program = build.get::<Program>(key)?;
    println!("{} is up to date; {} tasks ran", program.display(), build.ran().len());
    Ok(engine.commit().map(drop)?)
}
