//! Archives that are damaged, claim more than they are, or try to put something outside. `TAUT_SOAK` multiplies the
//! number of mutated ones.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fs,
    io::{Cursor, Read, Write},
    path::Path,
    sync::mpsc,
    time::Duration,
};

use taut_archive::{Error, Fault, Kind, Limits, Unpacked, Warning, read};
use taut_digest::{Hash, parse_git_tree};
use taut_git::{HashOnly, ObjectSink};
use taut_testkit::Rng;

/// How long an archive may take before it counts as one that never ends.
const HANG: Duration = Duration::from_secs(300);

/// A sink that parses the trees that it is given, and keeps the sum of all sizes.
#[derive(Default)]
struct Checked {
    bytes: u64,
}

impl ObjectSink for Checked {
    fn blob(&mut self, content: &[u8]) -> taut_git::Result<Hash> {
        self.bytes += content.len() as u64;
        HashOnly.blob(content)
    }

    fn blob_from(&mut self, size: u64, content: &mut dyn Read) -> taut_git::Result<Hash> {
        let hash = HashOnly.blob_from(size, content)?;
        self.bytes += size;
        Ok(hash)
    }

    fn tree(&mut self, encoded: &[u8]) -> taut_git::Result<Hash> {
        let entries = parse_git_tree(encoded, 20).expect("a tree that git accepts");
        assert!(entries.iter().all(|entry| entry.object_type.is_some()), "no submodules");
        HashOnly.tree(encoded)
    }
}

fn unpack(content: &[u8], kind: Kind, limits: &Limits) -> Result<Unpacked, Error> {
    let mut sink = Checked::default();
    let unpacked = read(&mut Cursor::new(content), kind, limits, &mut sink);
    assert!(sink.bytes <= limits.bytes, "{} bytes", sink.bytes);
    unpacked
}

fn tar_tree(content: &[u8]) -> Result<Unpacked, Error> {
    unpack(content, Kind::Tar, &Limits::default())
}

/// A tar header with its checksum.
fn header(name: &str, kind: u8, size: u64, link: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header.as_mut_bytes()[156] = kind;
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    let mut entry = header(name, b'0', content.len() as u64, "");
    entry.extend_from_slice(content);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

fn fault(archive: &[u8]) -> (Option<String>, Fault) {
    let error = tar_tree(archive).expect_err("it is refused");
    (error.entry, error.fault)
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn names_that_lead_outside_are_refused_with_the_entry() {
    for (name, expected) in [
        ("/etc/passwd", Fault::AbsoluteName),
        ("../x", Fault::Upwards),
        ("a/../../x", Fault::Upwards),
        ("a/..", Fault::Upwards),
        ("", Fault::BadName),
        (".", Fault::BadName),
    ] {
        assert_eq!(fault(&file(name, b"x")), (Some(name.to_owned()), expected), "{name}");
    }
    let through_link = [header("a", b'2', 0, "/tmp"), file("a/x", b"x")].concat();
    assert_eq!(fault(&through_link), (Some("a/x".to_owned()), Fault::Below("a".to_owned())));
    let under_file = [file("a", b"1"), file("a/b/c", b"x")].concat();
    assert_eq!(fault(&under_file), (Some("a/b/c".to_owned()), Fault::Below("a".to_owned())));
    let link_to_outside = [header("h", b'1', 0, "/etc/passwd")].concat();
    assert_eq!(fault(&link_to_outside).1, Fault::HardLink("/etc/passwd".to_owned()));
    let link_to_directory = [header("d/", b'5', 0, ""), header("h", b'1', 0, "d")].concat();
    assert_eq!(fault(&link_to_directory).1, Fault::HardLink("d".to_owned()));
}

#[test]
fn devices_are_refused() {
    for (kind, what) in [(b'3', "a character device"), (b'4', "a block device"), (b'6', "a fifo")] {
        let archive = [file("a", b"x"), header("dev/x", kind, 0, "")].concat();
        assert_eq!(fault(&archive), (Some("dev/x".to_owned()), Fault::SpecialFile(what)));
    }
}

#[test]
fn of_entries_of_one_name_the_last_one_counts_and_there_is_a_warning() {
    let archive =
        [file("d/a", b"1"), file("./d//a", b"2"), header("d/", b'5', 0, ""), header("d/", b'5', 0, "")];
    let unpacked = tar_tree(&archive.concat()).unwrap();
    assert_eq!(unpacked.tree, tar_tree(&file("d/a", b"2")).unwrap().tree);
    assert_eq!(unpacked.warnings, [Warning::Duplicate { name: "d/a".to_owned() }]);
    let replaced = tar_tree(&[file("a/b", b"1"), file("a", b"2")].concat()).unwrap();
    assert_eq!(replaced.tree, tar_tree(&file("a", b"2")).unwrap().tree);
    assert_eq!(replaced.warnings.len(), 1);
    // Also a link: what follows is below the directory, and not where the link leads to.
    let link = [file("d/y", b"1"), header("s", b'2', 0, "d"), header("s/", b'5', 0, ""), file("s/x", b"2")];
    let replaced = tar_tree(&link.concat()).unwrap();
    assert_eq!(replaced.tree, tar_tree(&[file("d/y", b"1"), file("s/x", b"2")].concat()).unwrap().tree);
    assert_eq!(replaced.warnings, [Warning::Duplicate { name: "s".to_owned() }]);
}

#[test]
fn an_archive_that_begins_as_one_and_cannot_be_read_is_corrupt_and_not_of_an_unknown_format() {
    let golden =
        |name: &str| fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap();
    let corrupt = |why: &str| Fault::Corrupt(why.to_owned());
    for (name, kind, expected) in [
        ("cut1.zip", Kind::Zip, corrupt("the list of its entries is missing")),
        ("text.zip", Kind::Zip, Fault::UnknownFormat),
        ("firstsum.tar", Kind::Tar, corrupt("a header has a wrong checksum")),
        ("random.tar", Kind::Tar, Fault::UnknownFormat),
        ("negsize.tar", Kind::Tar, corrupt("the size of an entry is negative")),
        ("behind.tar.xz", Kind::Tar, corrupt("something follows its compressed data")),
        ("pad3.tar.xz", Kind::Tar, corrupt("something follows its compressed data")),
        ("zeros.tar.zst", Kind::Tar, corrupt("something follows its compressed data")),
    ] {
        let error = unpack(&golden(name), kind, &Limits::default()).expect_err(name);
        assert_eq!((error.entry, error.fault), (None, expected), "{name}");
    }
}

#[test]
fn entries_of_one_name_in_a_zip_archive_are_a_warning() {
    let content = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/dup.zip")).unwrap();
    let unpacked = unpack(&content, Kind::Zip, &Limits::default()).unwrap();
    assert_eq!(unpacked.warnings, [Warning::Duplicate { name: "a".to_owned() }]);
}

#[test]
fn what_is_too_large_is_refused() {
    let zeros = vec![0; 4 << 20];
    let bomb = gzip(&file("zeros", &zeros));
    assert!(bomb.len() < 8 << 10);
    let small = Limits { bytes: 1 << 20, ..Limits::default() };
    let refused = |content: &[u8], limits: &Limits| {
        unpack(content, Kind::Tar, limits).expect_err("it is refused").fault
    };
    assert_eq!(refused(&bomb, &small), Fault::TooLarge(1 << 20));
    let dense = Limits { ratio: 100, ratio_from: 1 << 20, ..Limits::default() };
    assert_eq!(refused(&bomb, &dense), Fault::TooDense(100));
    assert!(tar_tree(&bomb).is_ok());
    let many = [file("a", b""), file("b", b""), file("c", b"")].concat();
    assert_eq!(refused(&many, &Limits { entries: 2, ..Limits::default() }), Fault::TooMany(2));
    let deep = file(&"d/".repeat(40), b"");
    assert_eq!(refused(&deep, &Limits { depth: 39, ..Limits::default() }), Fault::TooDeep(39));
    // A name makes directories that the archive has no entries for.
    let few = Limits { directories: 30, ..Limits::default() };
    assert_eq!(refused(&deep, &few), Fault::TooMany(30));
    assert!(unpack(&deep, Kind::Tar, &Limits { directories: 41, ..Limits::default() }).is_ok());
    // A header can claim any size; nothing is allocated for it.
    let lies = header("huge", b'0', 1 << 36, "");
    assert!(matches!(fault(&lies).1, Fault::Store(taut_git::Error::TooLarge { .. })));
    let most = taut_git::MAX_OBJECT_SIZE as u64;
    let lies = header("huge", b'0', most + 1, "");
    assert!(matches!(fault(&lies).1, Fault::Store(taut_git::Error::TooLarge { .. })));
    let lies = header("huge", b'0', most, "");
    assert!(matches!(fault(&lies).1, Fault::Corrupt(_)));
}

/// Zeros that are as dense as a format makes them are no bomb as long as they fill neither memory nor disk.
#[test]
fn a_large_entry_of_zeros_is_taken() {
    const SIZE: u64 = (1 << 30) + (100 << 20);
    /// Ids are made up, since to compute them takes a minute without optimisation.
    struct Counted(u64);
    impl ObjectSink for Counted {
        fn blob(&mut self, content: &[u8]) -> taut_git::Result<Hash> {
            HashOnly.blob(content)
        }

        fn blob_from(&mut self, size: u64, content: &mut dyn Read) -> taut_git::Result<Hash> {
            self.0 = std::io::copy(&mut content.take(size), &mut std::io::sink()).unwrap();
            HashOnly.blob(b"")
        }

        fn tree(&mut self, encoded: &[u8]) -> taut_git::Result<Hash> {
            HashOnly.tree(encoded)
        }
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&header("zeros", b'0', SIZE, "")).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(SIZE + 1024), &mut encoder).unwrap();
    let archive = encoder.finish().unwrap();
    assert!(
        SIZE > Limits::default().ratio * archive.len() as u64,
        "denser than the ratio: {}",
        archive.len()
    );
    let mut sink = Counted(0);
    read(&mut Cursor::new(archive), Kind::Tar, &Limits::default(), &mut sink).unwrap();
    assert_eq!(sink.0, SIZE);
}

#[test]
fn sparse_files_count_with_their_whole_size() {
    let content =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sparse-gnu.tar")).unwrap();
    let limits = Limits { bytes: 1 << 20, ..Limits::default() };
    assert_eq!(unpack(&content, Kind::Tar, &limits).unwrap_err().fault, Fault::TooLarge(1 << 20));
}

#[test]
fn deep_names_are_no_trouble() {
    let name = "d/".repeat(2000);
    let mut archive = header("././@LongLink", b'L', name.len() as u64, "");
    archive.extend_from_slice(name.as_bytes());
    archive.resize(archive.len().next_multiple_of(512), 0);
    archive.extend(file("short", b"x"));
    assert!(matches!(fault(&archive), (Some(_), Fault::Corrupt(_))), "a directory with a content");
    archive.truncate(archive.len() - 1024);
    archive.extend(header("short", b'5', 0, ""));
    tar_tree(&archive).unwrap();
}

/// Every prefix of an archive either is an archive or is refused.
#[test]
fn truncated_archives_are_refused() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (name, kind) in [
        ("basic.tar.gz", Kind::Tar),
        ("basic.tar.bz2", Kind::Tar),
        ("basic.tar.xz", Kind::Tar),
        ("basic.tar.lzma", Kind::Tar),
        ("basic.tar.lz", Kind::Tar),
        ("basic.tar.zst", Kind::Tar),
        ("basic.zip", Kind::Zip),
        ("lzma2.7z", Kind::Zip),
    ] {
        let content = fs::read(directory.join(name)).unwrap();
        for length in (0..content.len()).step_by(7) {
            let unpacked = unpack(&content[..length], kind, &Limits::default());
            let error = unpacked.expect_err(&format!("{name}: {length} bytes of {}", content.len()));
            // In words of this tool: those of decoders are about their streams, frames and buffers.
            let text = error.to_string();
            for word in ["stream", "frame", "eof", "EOF", "buffer", "bzip2:"] {
                assert!(!text.contains(word), "{name}: {length} bytes of {}: {text}", content.len());
            }
        }
    }
}

/// Damaged in each place in turn: why an archive cannot be read is reported in words of this tool, not of its
/// libraries.
#[test]
fn damage_is_reported_in_plain_words() {
    const WORDS: [&str; 9] = [
        "a header has a wrong checksum",
        "it ends inside a block",
        "it ends too early",
        "it is longer than its size",
        "its compressed data are damaged",
        "its compression is of a version or has a filter that is not known",
        "its content has another checksum than it says",
        "something follows its compressed data",
        "the list of its entries is damaged",
    ];
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (name, kind) in [
        ("basic.tar.lz", Kind::Tar),
        ("bcj2.7z", Kind::Zip),
        ("copy.7z", Kind::Zip),
        ("lzma2.7z", Kind::Zip),
        ("ppmd.7z", Kind::Zip),
    ] {
        let content = fs::read(directory.join(name)).unwrap();
        for at in (0..content.len()).step_by(3) {
            let mut damaged = content.clone();
            damaged[at] ^= 0x55;
            let unpacked = unpack(&damaged, kind, &Limits::default());
            if let Err(Error { fault: Fault::Corrupt(why), .. }) = unpacked {
                assert!(WORDS.contains(&why.as_str()), "{name}, byte {at}: {why}");
            }
        }
    }
    let version = fs::read(directory.join("version.7z")).unwrap();
    let error = unpack(&version, Kind::Zip, &Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "it has version 85.4 of the 7z format, which is not supported");
}

/// Changes a few places of a content.
fn mutate(rng: &mut Rng, content: &mut Vec<u8>) {
    for _ in 0..=rng.below(4) {
        if content.is_empty() {
            return;
        }
        let at = rng.below(content.len());
        let length = rng.below(content.len() - at).min(1 + rng.below(64));
        match rng.below(7) {
            0 => content[at] ^= 1 << rng.below(8),
            1 => content[at] = *rng.pick(&[0, 1, 0x7f, 0x80, 0xff, b'/', b'.', b'0', b'7', b' ']),
            2 => content.truncate(at),
            3 => content[at..at + length].fill(*rng.pick(&[0, 0xff])),
            4 => {
                let part = content[at..at + length].to_vec();
                let to = rng.below(content.len());
                content.splice(to..to, part);
            }
            5 => drop(content.drain(at..at + length)),
            _ => {
                let from = rng.below(content.len() - length + 1);
                content.copy_within(from..from + length, at);
            }
        }
    }
}

/// Computes the checksums of all blocks of a tar archive that look like headers, so that changes of headers are read.
fn repair(content: &mut [u8]) {
    for block in content.as_chunks_mut::<512>().0 {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

#[test]
fn mutated_archives_neither_panic_nor_hang() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none_or(|extension| extension != "txt"))
        .collect();
    names.sort();
    let limits = Limits { bytes: 16 << 20, ..Limits::default() };
    let rounds = taut_testkit::times(1500);
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut rng = Rng::new(20);
        for round in 0..rounds {
            let path = rng.pick(&names).clone();
            let mut content = fs::read(&path).unwrap();
            mutate(&mut rng, &mut content);
            let is_zip = path.extension().is_some_and(|extension| extension == "zip" || extension == "7z");
            if !is_zip && rng.chance(80) {
                repair(&mut content);
            }
            let kind = if is_zip { Kind::Zip } else { Kind::Tar };
            let accepted = match unpack(&content, kind, &limits) {
                Ok(_) => true,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    false
                }
            };
            send.send((round, accepted)).unwrap();
        }
    });
    let (mut accepted, mut refused) = (0, 0);
    for expected in 0..rounds {
        match receive.recv_timeout(HANG) {
            Ok((round, is_accepted)) => {
                assert_eq!(round, expected);
                *if is_accepted { &mut accepted } else { &mut refused } += 1;
            }
            Err(_) => panic!("archive {expected} panicked or does not end"),
        }
    }
    assert!(accepted > 100 && refused > 500, "{accepted} accepted, {refused} refused");
}

#[test]
fn of_a_long_name_the_beginning_and_the_end_are_shown() {
    let name = format!("begin/{}end", "x/".repeat(3000));
    let mut archive = header("././@LongLink", b'L', name.len() as u64 + 1, "");
    archive.extend(name.as_bytes());
    archive.resize(archive.len().next_multiple_of(512), 0);
    archive.extend(header("short", b'3', 0, ""));
    archive.extend([0; 1024]);
    let text = tar_tree(&archive).unwrap_err().to_string();
    assert!(text.starts_with("entry \"begin/x/") && text.contains("x/end\": it is not a file"), "{text}");
    assert!(text.contains('…') && text.len() < 300, "{text}");
}
