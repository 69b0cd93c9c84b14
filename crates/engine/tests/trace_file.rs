//! The file of kept runs: what is done with it when something else lies in its place, and which operations
//! the engine uses on one that has no path.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use taut_engine::{
    Agreement, Builder, Cx, Engine, Fail, FileProblem, Hash, Options, Policy, Rule, TraceFile, TraceRead,
    TraceWrite,
};

/// A leaf that is its key, and knows it.
struct Leaf;

impl Rule for Leaf {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "leaf";

    fn policy(&self, _: &u64) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        cx.witness([]);
        Ok(*key)
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn agrees(&self, _: &u64, _: &[u8], _: Hash) -> Agreement {
        Agreement::Yes
    }
}

/// The sum of the leaves up to the key.
struct Sum;

impl Rule for Sum {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "sum";

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        let mut sum = 0;
        for leaf in 0..=*key {
            // A leaf is its key: its value, which no process keeps, is of no interest.
            cx.hash_of::<Leaf>(leaf).await?;
            sum += leaf;
        }
        Ok(sum)
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }
}

fn rules() -> Builder {
    Engine::builder().rule(Leaf).rule(Sum)
}

/// Asks for the hash of a sum; returns how many tasks ran.
fn ask(engine: &Engine, key: u64) -> usize {
    let build = engine.begin().commit(Options { jobs: 1, ..Options::default() });
    assert_eq!(build.hash_of::<Sum>(key).unwrap(), Some(Hash::from((0..=key).sum::<u64>())));
    build.ran().len()
}

/// A directory in which the file of a process lies.
fn with_file() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let engine = rules().open(&directory.path().join("traces"));
    assert_eq!(ask(&engine, 2), 4);
    engine.commit().unwrap();
    directory
}

fn is_regular(path: &Path) -> bool {
    fs::symlink_metadata(path).unwrap().is_file()
}

#[cfg(unix)]
mod hostile {
    use super::*;
    use std::os::unix::fs::{FileTypeExt, symlink};

    fn fifo(path: &Path) {
        let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success() && fs::symlink_metadata(path).unwrap().file_type().is_fifo());
    }

    /// What lies there counts as damaged: it costs time, and is replaced by the next commit.
    fn is_replaced(directory: &Path) {
        let file = directory.join("traces");
        let engine = rules().open(&file);
        assert_eq!(ask(&engine, 2), 4, "nothing of it is used");
        assert_eq!(engine.file_problem(), Some(FileProblem::Damaged));
        engine.commit().unwrap();
        assert!(is_regular(&file));
        let again = rules().open(&file);
        assert_eq!((ask(&again, 2), again.file_problem()), (0, None));
    }

    #[test]
    fn a_link_in_the_place_of_the_file_is_replaced_and_not_followed() {
        let directory = with_file();
        let (file, decoy) = (directory.path().join("traces"), directory.path().join("decoy"));
        for dangles in [false, true] {
            fs::rename(&file, &decoy).unwrap();
            let before = fs::read(&decoy).unwrap();
            if dangles {
                fs::remove_file(&decoy).unwrap();
            }
            symlink(&decoy, &file).unwrap();
            is_replaced(directory.path());
            assert_eq!(fs::read(&decoy).ok(), (!dangles).then_some(before), "what it leads to is as it was");
        }
    }

    /// The file is exchanged after it was read: the commit must not add to what the link leads to.
    #[test]
    fn a_link_that_comes_between_reading_and_writing_is_not_followed() {
        let directory = with_file();
        let (file, decoy) = (directory.path().join("traces"), directory.path().join("decoy"));
        let engine = rules().open(&file);
        assert_eq!(ask(&engine, 5), 4);
        fs::rename(&file, &decoy).unwrap();
        let before = fs::read(&decoy).unwrap();
        symlink(&decoy, &file).unwrap();
        engine.commit().unwrap();
        assert!(is_regular(&file));
        assert_eq!(fs::read(&decoy).unwrap(), before);
    }

    #[test]
    fn a_fifo_in_the_place_of_the_file_is_replaced_and_not_waited_for() {
        let directory = with_file();
        fs::remove_file(directory.path().join("traces")).unwrap();
        fifo(&directory.path().join("traces"));
        is_replaced(directory.path());
    }

    #[test]
    fn a_directory_in_the_place_of_the_file_stays_and_the_commit_says_so() {
        let directory = with_file();
        let file = directory.path().join("traces");
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        fs::write(file.join("decoy"), "kept").unwrap();
        let engine = rules().open(&file);
        assert_eq!(ask(&engine, 2), 4);
        assert_eq!(engine.file_problem(), Some(FileProblem::Damaged));
        engine.commit().unwrap_err();
        assert_eq!(fs::read(file.join("decoy")).unwrap(), b"kept");
        let left: Vec<_> =
            fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "nothing half written is left: {left:?}");
        fs::remove_dir_all(&file).unwrap();
        engine.commit().unwrap();
        assert_eq!(ask(&rules().open(&file), 2), 0);
    }

    /// Beside the file: what is to be locked, and what is written first.
    #[test]
    fn links_in_the_place_of_what_is_written_beside_the_file_are_not_followed() {
        let directory = with_file();
        let (file, decoy) = (directory.path().join("traces"), directory.path().join("decoy"));
        fs::write(&decoy, "kept").unwrap();
        fs::remove_file(&file).unwrap();
        symlink(&decoy, directory.path().join("traces.new")).unwrap();
        fs::create_dir(directory.path().join("traces.new1")).unwrap();
        let engine = rules().open(&file);
        assert_eq!(ask(&engine, 2), 4);
        engine.commit().unwrap();
        assert!(is_regular(&file));
        assert_eq!(fs::read(&decoy).unwrap(), b"kept");
        for plant in [|path: &Path| symlink(path.with_file_name("nothing"), path).unwrap(), fifo] {
            let directory = with_file();
            let (file, lock) = (directory.path().join("traces"), directory.path().join("traces.lock"));
            fs::remove_file(&lock).unwrap();
            plant(&lock);
            let engine = rules().open(&file);
            assert_eq!(ask(&engine, 3), 2);
            let error = engine.commit().unwrap_err();
            assert!(error.to_string().ends_with("traces.lock is not a regular file"), "{error}");
            assert!(!directory.path().join("nothing").exists());
            fs::remove_file(&lock).unwrap();
            engine.commit().unwrap();
            assert_eq!(ask(&rules().open(&file), 3), 0);
        }
    }

    /// A hard link to the file, as a copy of the directory by links makes it, is as it was after a commit.
    #[test]
    fn another_name_of_the_file_keeps_its_content() {
        let directory = with_file();
        let (file, other) = (directory.path().join("traces"), directory.path().join("other"));
        fs::hard_link(&file, &other).unwrap();
        let before = fs::read(&other).unwrap();
        let engine = rules().open(&file);
        assert_eq!(ask(&engine, 3), 2);
        engine.commit().unwrap();
        assert_eq!(fs::read(&other).unwrap(), before);
        assert_eq!(ask(&rules().open(&file), 3), 0);
        // From here on the file has one name, and is added to.
        assert_eq!(ask(&engine, 4), 2);
        engine.commit().unwrap();
        assert_eq!(ask(&rules().open(&file), 4), 0);
    }
}

/// A file in memory, and what was asked of it.
#[derive(Clone, Default)]
struct InMemory(Arc<Mutex<Memory>>);

#[derive(Default)]
struct Memory {
    file: Option<Arc<Vec<u8>>>,
    asked: Vec<&'static str>,
    /// The error of opening, if any.
    problem: Option<io::ErrorKind>,
    /// Writing fails after this many bytes.
    room: Option<usize>,
}

impl InMemory {
    fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap()
    }
}

struct Reading(InMemory, Arc<Vec<u8>>);

impl TraceRead for Reading {
    fn length(&mut self) -> io::Result<u64> {
        Ok(self.1.len() as u64)
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.memory().asked.push("read");
        let there = self.1.get(at as usize..).unwrap_or_default();
        let count = there.len().min(into.len());
        into[..count].copy_from_slice(&there[..count]);
        Ok(count)
    }
}

struct Writing(InMemory);

/// Takes at most this many bytes.
struct Room(Vec<u8>, Option<usize>);

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.1.is_some_and(|room| self.0.len() + bytes.len() > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TraceWrite for Writing {
    fn append(&mut self, end: u64, bytes: &[u8]) -> io::Result<()> {
        let mut memory = self.0.memory();
        memory.asked.push("append");
        let mut file = Room(memory.file.as_deref().unwrap()[..end as usize].to_vec(), memory.room);
        file.write_all(bytes)?;
        memory.file = Some(Arc::new(file.0));
        Ok(())
    }

    fn replace(&mut self, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let room = self.0.memory().room;
        let mut file = Room(Vec::new(), room);
        write(&mut file)?;
        let mut memory = self.0.memory();
        memory.asked.push("replace");
        memory.file = Some(Arc::new(file.0));
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.memory().asked.push("unlock");
    }
}

impl TraceFile for InMemory {
    fn open(&self) -> io::Result<Box<dyn TraceRead>> {
        let mut memory = self.memory();
        memory.asked.push("open");
        if let Some(problem) = memory.problem {
            return Err(problem.into());
        }
        let file = memory.file.clone().ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Reading(self.clone(), file)))
    }

    fn lock(&self) -> io::Result<Box<dyn TraceWrite + '_>> {
        self.memory().asked.push("lock");
        Ok(Box::new(Writing(self.clone())))
    }
}

/// The first process finds none, and puts one there; the second opens it once for all it reads, and adds to it under
/// the lock; the third has nothing to write, and takes no lock.
#[test]
fn a_file_without_a_path_is_opened_once_and_written_under_its_lock() {
    let file = InMemory::default();
    let first = rules().open_with(file.clone());
    assert_eq!(ask(&first, 2), 4);
    assert_eq!(file.asked(), ["open"]);
    first.commit().unwrap();
    assert_eq!(file.asked(), ["lock", "open", "replace", "unlock"]);

    let second = rules().open_with(file.clone());
    assert_eq!(ask(&second, 2), 0);
    let asked = file.asked();
    assert_eq!((asked[0], asked.iter().filter(|asked| **asked != "read").count()), ("open", 1), "{asked:?}");
    assert_eq!(ask(&second, 3), 2);
    second.commit().unwrap();
    let asked: Vec<_> = file.asked().into_iter().filter(|asked| *asked != "read").collect();
    assert_eq!(asked, ["lock", "open", "append", "unlock"]);

    let third = rules().open_with(file.clone());
    assert_eq!(ask(&third, 3), 0);
    assert_eq!(third.commit().unwrap(), taut_engine::Committed::default());
    assert!(!file.asked().contains(&"append"));
}

#[test]
fn a_file_that_cannot_be_opened_costs_time_only() {
    for (kind, problem) in [
        (io::ErrorKind::InvalidData, FileProblem::Damaged),
        (io::ErrorKind::PermissionDenied, FileProblem::Unreadable("permission denied".to_owned())),
    ] {
        let file = InMemory::default();
        file.memory().problem = Some(kind);
        let engine = rules().open_with(file.clone());
        assert_eq!(ask(&engine, 2), 4);
        assert_eq!(engine.file_problem(), Some(problem));
        // What is not a file is replaced; what cannot be read is left.
        assert_eq!(engine.commit().is_ok(), kind == io::ErrorKind::InvalidData);
        file.memory().problem = None;
        engine.commit().unwrap();
        assert_eq!(ask(&rules().open_with(file), 2), 0);
    }
}

#[test]
fn a_failed_commit_is_made_up_for_by_a_later_one() {
    let file = InMemory::default();
    let engine = rules().open_with(file.clone());
    assert_eq!(ask(&engine, 2), 4);
    for (room, key) in [(100, 2), (2_000, 3)] {
        let length = file.memory().file.as_ref().map_or(room, |file| file.len());
        file.memory().room = Some(room.min(length));
        engine.commit().unwrap_err();
        file.memory().room = None;
        engine.commit().unwrap();
        assert_eq!(ask(&rules().open_with(file.clone()), key), 0);
        assert_eq!(ask(&engine, key + 1), 2);
    }
}
