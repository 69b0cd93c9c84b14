//! The messages of `install-cas`, `add-to-cas` and `gc`, in both voices.

use std::path::Path;

use taut_digest::{HashFunction, ObjectInfo, ObjectType};
use taut_driver::{
    SentObjects, ServerFault,
    cas::{AddError, PathEnd, size_in_object_id},
};
use taut_store::{Error, GcMode, Store, Usage};
use taut_syntax::{quoted, seen_from};

use super::{
    figures::{count, size},
    gc_summary::freed,
    just::{
        Just,
        unfetched::{say_not_written, say_of_client},
        unreached::{Receiver, say_not_sent},
    },
    taut::Taut,
};
use crate::log::{Level, Log};

/// Where an object was to be written that could not be taken out of the store.
#[derive(Clone, Copy)]
pub(crate) enum ObjectDestination<'d> {
    StandardOutput,
    /// A path below this was asked for.
    PathBelow(ObjectInfo),
    /// This as an archive, into a file or standard output.
    Archive(ObjectInfo),
    /// The bytes of a tree, to standard output.
    Raw,
    File(&'d Path),
}

/// The texts about single objects of the store, and about collecting garbage.
pub(crate) trait ObjectTexts {
    /// A word that is not an identifier of an object. `needs_size`: whether a server is asked that names blobs by hash
    /// and size.
    fn no_object_id(&self, word: &str, needs_size: bool, log: &Log);

    /// An object that could not be taken out of the store.
    fn not_taken(&self, error: &Error, store: &Store, destined: ObjectDestination<'_>, log: &Log);

    /// Results of a build do not come from a server. `kept`: whether they were to be kept in the store. Returns whether
    /// there is nothing to add.
    fn not_delivered(&self, _error: &Error, _kept: bool, _log: &Log) -> bool {
        false
    }

    /// An object could not be kept in the store.
    fn not_remembered(&self, object: ObjectInfo, error: &Error, log: &Log);

    /// An identifier without a size, for a server that names blobs by hash and size.
    fn no_size(&self, word: &str, log: &Log);

    /// A path below an object, if only its beginning exists: the last existing object, `last`, is taken.
    fn path_ends(&self, path: &str, whole: ObjectInfo, last: ObjectInfo, end: &PathEnd, log: &Log);

    /// An archive was asked for of an object that is not a tree.
    fn no_tree(&self, object: ObjectInfo, log: &Log);

    /// An object, or an archive of it, was written to a path.
    fn installed_object(&self, object: ObjectInfo, path: &Path, is_archive: bool, log: &Log);

    /// A way to treat links and special files that there is not.
    fn unknown_strategy(&self, named: &str, log: &Log);

    /// Something could not be added to the store.
    fn not_added(&self, error: &AddError, location: &Path, is_directory: bool, log: &Log);

    /// Something could not be sent to a server.
    fn not_sent(&self, fault: &ServerFault, to: &Receiver<'_>, log: &Log);

    /// What a server lacked of an object that was added, and got.
    fn sent(&self, sent: &SentObjects, server: &str, log: &Log);

    /// Large objects are about to be split.
    fn splitting(&self, log: &Log);

    /// Whether what a collection freed is shown.
    fn shows_freed(&self, log: &Log) -> bool;

    /// What a collection freed.
    fn freed(&self, before: Usage, left: Usage, mode: GcMode, log: &Log);
}

impl ObjectTexts for Just {
    /// The reference fails without a word, but looks at the size before.
    fn no_object_id(&self, word: &str, needs_size: bool, log: &Log) {
        if needs_size {
            self.no_size(word, log);
        }
    }

    fn not_taken(&self, error: &Error, store: &Store, destined: ObjectDestination<'_>, log: &Log) {
        let has_server = store.object_servers().next().is_some();
        if let (Error::Missing(object), ObjectDestination::StandardOutput | ObjectDestination::File(_)) =
            (error, destined)
            && object.object_type == ObjectType::Tree
            && store.hash_function() == HashFunction::Sha256
            && !has_server
        {
            log.say(Level::Error, format!("Directory {} not found in CAS", object.digest.hash));
        }
        // If the object is printed, the reference gives no cause; if it is staged, the reference gives the path.
        let cause = match (error, destined) {
            (
                Error::Missing(_) | Error::Remote(_) | Error::WrongAtServer { .. },
                ObjectDestination::StandardOutput | ObjectDestination::Raw,
            ) => None,
            (Error::Missing(_) | Error::Remote(_), ObjectDestination::Archive(object)) => {
                log.say(Level::Error, format!("Failed to retrieve artifact {object}"));
                return;
            }
            (Error::Missing(_) | Error::Remote(_), ObjectDestination::PathBelow(object)) => {
                log.say(Level::Error, format!("Failed to retrieve artifact {object} at path ''"));
                return;
            }
            // The reference says nothing of it if it asked a server.
            (Error::Missing(_), ObjectDestination::File(_)) if has_server => None,
            (Error::Missing(_), ObjectDestination::File(path)) => {
                Some(format!("staging to output path {} failed.", path.display()))
            }
            (error, ObjectDestination::File(_)) if say_not_written(error, log) => None,
            (error, _) => Some(error.to_string()),
        };
        if let Some(cause) = cause {
            log.say(Level::Error, cause);
        }
        log.say(
            Level::Error,
            match destined {
                ObjectDestination::StandardOutput
                | ObjectDestination::PathBelow(_)
                | ObjectDestination::Archive(_)
                | ObjectDestination::Raw => "failed to dump artifact.",
                ObjectDestination::File(_) => "failed to retrieve artifact.",
            },
        );
    }

    fn not_delivered(&self, error: &Error, kept: bool, log: &Log) -> bool {
        let is_reported = if kept { say_of_client(error, 2, log) } else { say_not_written(error, log) };
        if is_reported {
            if kept {
                log.say(Level::Warn, "Failed to copy objects to CAS");
            }
            log.say(Level::Error, "Could not retrieve outputs.");
        }
        is_reported
    }

    fn not_remembered(&self, object: ObjectInfo, error: &Error, log: &Log) {
        say_of_client(error, 3, log);
        log.say(Level::Warn, format!("Failed to copy artifact {object} to local CAS"));
    }

    fn no_size(&self, word: &str, log: &Log) {
        // The reference distinguishes a size of 0 from none, and finds nothing wrong with one that is not a number.
        let what = match size_in_object_id(word) {
            "" => "omitting the",
            "0" => "zero",
            _ => return,
        };
        log.say(Level::Warn, format!("{what} size in object-id is not supported in compatibility mode."));
    }

    fn path_ends(&self, _: &str, _: ObjectInfo, _: ObjectInfo, end: &PathEnd, log: &Log) {
        log.say(Level::Warn, end.to_string());
    }

    fn no_tree(&self, object: ObjectInfo, log: &Log) {
        log.say(Level::Error, format!("Archive requested on non-tree {object}"));
    }

    fn installed_object(&self, object: ObjectInfo, path: &Path, is_archive: bool, log: &Log) {
        let what = if is_archive { "Archive of" } else { "artifact" };
        log.say(Level::Info, format!("{what} {object} was installed to {}", path.display()));
    }

    fn unknown_strategy(&self, named: &str, log: &Log) {
        log.say(Level::Warn, format!("Ignoring unknown --resolve-special strategy {}.", quoted(named)));
    }

    fn not_added(&self, error: &AddError, location: &Path, is_directory: bool, log: &Log) {
        match error {
            // What a link leads to is named, if it was to be followed.
            AddError::Dangling { link, target } if link == location => {
                log.say(Level::Error, AddError::Absent(target.clone()).to_string());
            }
            error => log.say(Level::Error, error.to_string()),
        }
        if !is_directory {
            return;
        }
        // Each directory on the way to what is wrong fails, too.
        // Without the location itself, which the last line names in other words.
        let within = error.path().and_then(|path| path.parent()).into_iter().flat_map(Path::ancestors);
        for directory in within.take_while(|path| path.starts_with(location) && *path != location) {
            log.say(Level::Error, format!("Failed storing tree {}", directory.display()));
        }
        log.say(Level::Error, format!("Failed to store {} in local CAS", location.display()));
    }

    fn not_sent(&self, fault: &ServerFault, to: &Receiver<'_>, log: &Log) {
        match &fault.unreached {
            Some(server) => say_not_sent(server, to, log),
            None => log.say(Level::Error, &fault.why),
        }
        log.say(Level::Error, "Failed to upload artifact to remote endpoint");
    }

    // Such figures are ours alone.
    fn sent(&self, _: &SentObjects, _: &str, _: &Log) {}

    fn splitting(&self, log: &Log) {
        log.say(Level::Performance, "Compactification has been started");
    }

    fn shows_freed(&self, _: &Log) -> bool {
        false
    }

    fn freed(&self, _: Usage, _: Usage, _: GcMode, _: &Log) {}
}

impl ObjectTexts for Taut {
    fn no_object_id(&self, word: &str, _: bool, log: &Log) {
        let forms = "that is HASH, HASH:SIZE or HASH:SIZE:TYPE";
        log.say(Level::Error, format!("{} is not the identifier of an object: {forms}", quoted(word)));
    }

    fn not_taken(&self, error: &Error, store: &Store, _: ObjectDestination<'_>, log: &Log) {
        let text = match error {
            Error::Missing(object) => {
                // The store passes over objects that a server has damaged, so a missing one may be
                // such an object.
                if let Some(server) = store.wrong_at(object) {
                    log.say(Level::Error, format!("Server {server} has a wrong blob for object {object}"));
                    return;
                }
                let mut text = format!("There is no object {object} in the store");
                for server in store.object_servers() {
                    text += &format!(", nor at server {server}");
                }
                let hash = &object.digest.hash;
                if object.object_type == ObjectType::File
                    // Without a type, the identifier of a tree is taken for that of a file: a
                    // frequent mistake with digests from messages.
                    && store.contains(hash, ObjectType::Tree).is_ok_and(|is| is)
                {
                    text += &format!("\nhelp: there is a tree with this hash, which is named {hash}::t");
                }
                text
            }
            Error::Refused { path, reason } => {
                format!("Cannot write {}: {reason}", shown(Path::new(path)))
            }
            error => format!("Cannot fetch the object: {error}"),
        };
        log.say(Level::Error, text);
    }

    fn not_remembered(&self, object: ObjectInfo, error: &Error, log: &Log) {
        log.say(Level::Warn, format!("{object} is not kept in the store: {error}"));
    }

    fn no_size(&self, word: &str, log: &Log) {
        let text = format!("{} has no size, and most servers need it: HASH:SIZE:TYPE", quoted(word));
        log.say(Level::Warn, text);
    }

    fn path_ends(&self, path: &str, whole: ObjectInfo, last: ObjectInfo, _: &PathEnd, log: &Log) {
        let text = format!("There is no {path} in {whole}; the last object on the way is {last}");
        log.say(Level::Warn, text);
    }

    fn no_tree(&self, object: ObjectInfo, log: &Log) {
        let text =
            format!("Only a tree can be written as an archive, and {object} is another kind of object");
        log.say(Level::Error, text);
    }

    fn installed_object(&self, object: ObjectInfo, path: &Path, is_archive: bool, log: &Log) {
        let what = if is_archive { "Wrote an archive of" } else { "Installed" };
        log.say(Level::Info, format!("{what} {object} to {}", shown(path)));
    }

    fn unknown_strategy(&self, named: &str, log: &Log) {
        let all = "it is one of ignore, tree-upwards, tree-all and all";
        log.say(Level::Warn, format!("--resolve-special {} is ignored: {all}", quoted(named)));
    }

    fn not_added(&self, error: &AddError, location: &Path, _: bool, log: &Log) {
        let link = |path: &Path, is: &str| format!("{}: a symbolic link that {is}", shown(path));
        let text = match error {
            AddError::Absent(path) => format!("{}: there is no such file or directory", shown(path)),
            AddError::Dangling { link: path, target } => {
                link(path, &format!("leads to {}, which does not exist", shown(target)))
            }
            AddError::Unsupported(path) | AddError::UnsupportedEntry(path) => format!(
                "{}: a device, a pipe or a socket; files, directories and symbolic links can be added",
                shown(path)
            ),
            AddError::Upwards(path) => link(
                path,
                "leads upwards or is absolute\nhelp: --resolve-special says what becomes of such links",
            ),
            AddError::Outside(path) => link(path, &format!("leads out of {}", shown(location))),
            AddError::Endless(path) => link(path, "leads to a directory that it lies in"),
            AddError::Store(error) => format!("cannot add {}: {error}", shown(location)),
        };
        log.say(Level::Error, text);
    }

    fn not_sent(&self, fault: &ServerFault, _: &Receiver<'_>, log: &Log) {
        log.say(Level::Error, &fault.why);
    }

    fn sent(&self, sent: &SentObjects, server: &str, log: &Log) {
        let text = match sent.count {
            0 => format!("Server {server} has it already"),
            objects => {
                let objects = count(objects as usize, "object");
                format!("{objects} sent to server {server}, {}", size(sent.bytes))
            }
        };
        log.say(Level::Info, text);
    }

    fn splitting(&self, log: &Log) {
        log.say(Level::Performance, "Splitting large objects");
    }

    fn shows_freed(&self, log: &Log) -> bool {
        log.wants(Level::Info)
    }

    fn freed(&self, before: Usage, left: Usage, mode: GcMode, log: &Log) {
        // Two collections in a row remove everything, which is surprising without this hint.
        let next = match mode {
            GcMode::Rotate => "the next gc removes what no build has used by then",
            GcMode::All | GcMode::NoRotate => "",
        };
        log.say(Level::Info, freed(before, left, "the build root is empty", next));
    }
}

/// A path as seen from the working directory.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    seen_from(&path.to_string_lossy(), &here.to_string_lossy())
}
