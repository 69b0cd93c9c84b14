//! The subcommands about the store itself: `install-cas`, `add-to-cas`, `gc`.

use std::path::{Path, PathBuf};

use taut_digest::{ObjectInfo, ObjectType};
use taut_driver::{
    cas::{AddError, SpecialEntries, add as add_object, below, listing, parse_object_id, write_archive},
    send,
};
use taut_store::{Error, GcMode, Store};
use taut_sys::{Named, canonical, if_exists};

use crate::environment::{build_root, open_store};
use crate::exit::Exit;
use crate::freed::freed;
use crate::log::{Level, Log};
use crate::options::{AddToCas, Gc, InstallCas};
use crate::remote_execution::server_of_objects;
use crate::standard_streams::print;
use crate::tool_name::Name;
use taut_syntax::{quoted, seen_from};

/// `install-cas`: takes an object out of the store.
pub(crate) fn install(name: Name, options: &InstallCas, log: &Log) -> Exit {
    let Some(store) = open_store(name, &options.stores, log) else { return Exit::Environment };
    let as_reference = log.is_as_reference();
    let fail = |error: Error, text: &str| {
        if as_reference {
            log.say(Level::Error, format!("{error}"));
            log.say(Level::Error, text);
        } else {
            log.say(Level::Error, why_not_fetched(&error, &store));
        }
        Exit::Environment
    };
    let Some(whole) = parse_object_id(&options.object_id) else {
        let id = quoted(&options.object_id);
        if as_reference {
            log.say(Level::Error, format!("{id} is no object identifier"));
            log.say(Level::Error, "failed to dump artifact.");
        } else {
            log.say(
                Level::Error,
                format!("{id} is no identifier of an object: that is HASH, HASH:SIZE or HASH:SIZE:TYPE"),
            );
        }
        return Exit::Environment;
    };
    let server = match server_of_objects(&options.stores, &store, log) {
        Ok(server) => server,
        Err(exit) => return exit,
    };
    // As in the reference, what is not in the store may be in the git repository of the build root.
    let root = build_root(name, &options.stores).unwrap_or_default();
    // An error of the store counts as present here, and is reported by the read that follows.
    if !store.contains(&whole.digest.hash, whole.object_type).unwrap_or(true)
        && let Err(error) = taut_setup::take_from_git(&root, &store, &whole.digest.hash, whole.object_type)
    {
        log.say(Level::Warn, error);
    }
    if server.is_some() && !store.contains(&whole.digest.hash, whole.object_type).unwrap_or(true) {
        // It may be there. That is found out when it is read; and nothing of it is written down.
        store.note_elsewhere(0, false, [whole]);
    }
    let object = match &options.sub_object_path {
        None => whole,
        Some(path) => match below(&store, whole, path) {
            // As in the reference, the last object on the way is taken, with a warning.
            Ok(found) => {
                if let Some(text) = found.ends {
                    let object = found.object;
                    log.say(
                        Level::Warn,
                        match as_reference {
                            true => text,
                            false => format!(
                                "There is no {path} in {whole}; the last object on the way is {object}"
                            ),
                        },
                    );
                }
                found.object
            }
            Err(error) => return fail(error, "failed to dump artifact."),
        },
    };
    if options.archive && object.object_type != ObjectType::Tree {
        log.say(
            Level::Error,
            match as_reference {
                true => format!("Archive requested on non-tree {object}"),
                false => format!("Only a tree can be written as an archive, and {object} is none"),
            },
        );
        return Exit::Environment;
    }
    match &options.output_path {
        None => match content(&store, object, options) {
            Ok(bytes) => print(&bytes),
            Err(error) => fail(error, "failed to dump artifact."),
        },
        Some(path) => match put(&store, object, path, options) {
            Ok(path) => {
                let (what, own) = match options.archive {
                    true => ("Archive of", "Wrote an archive of"),
                    false => ("artifact", "Installed"),
                };
                let text = match as_reference {
                    true => format!("{what} {object} was installed to {}", path.display()),
                    false => format!("{own} {object} to {}", shown(&path)),
                };
                log.say(Level::Info, text);
                Exit::Success
            }
            Err(error) => fail(error, "failed to retrieve artifact."),
        },
    }
}

/// Why an object was not fetched, in taut's own words.
fn why_not_fetched(error: &Error, store: &Store) -> String {
    match error {
        Error::Missing(object) => {
            let mut text = format!("There is no object {object} in the store");
            let hash = &object.digest.hash;
            if object.object_type == ObjectType::File
                && store.contains(hash, ObjectType::Tree).is_ok_and(|is| is)
            {
                text += &format!("\nhelp: there is a tree with this hash, which is named {hash}::t");
            }
            text
        }
        Error::Refused { path, reason } => format!("Cannot write {}: {reason}", shown(Path::new(path))),
        error => format!("Cannot fetch the object: {error}"),
    }
}

/// A path as seen from the working directory.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    seen_from(&path.to_string_lossy(), &here.to_string_lossy())
}

/// An object as one sequence of bytes.
fn content(store: &Store, object: ObjectInfo, options: &InstallCas) -> Result<Vec<u8>, Error> {
    if options.archive {
        let mut bytes = Vec::new();
        // Writing to memory does not fail.
        return write_archive(store, object, &mut bytes).unwrap_or(Ok(())).map(|()| bytes);
    }
    if object.object_type == ObjectType::Tree && !options.raw_tree {
        return listing(store, object).map(String::into_bytes);
    }
    store.read(&object.digest.hash, object.object_type)?.ok_or(Error::Missing(object))
}

/// Puts an object at a path of the file system, or below it under the name of its hash if that is a
/// directory already. Returns the path.
fn put(
    store: &Store,
    object: ObjectInfo,
    path: &Path,
    options: &InstallCas,
) -> Result<std::path::PathBuf, Error> {
    let mut path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let present = if_exists(Named::stat(&path))?;
    if present.is_some_and(|stat| stat.is_dir()) {
        path.push(object.digest.hash.to_hex());
    } else if present.is_some() && object.object_type == ObjectType::Tree && !options.archive {
        let reason = "a directory cannot replace what is there".to_owned();
        return Err(Error::Refused { path: path.display().to_string(), reason });
    }
    let named = Named::made_of_user(&path)?;
    store.bring(&[object])?;
    // `--raw-tree` applies to standard output only.
    if options.archive {
        let bytes = content(store, object, options)?;
        named.write(false)?.write_all(&bytes)?;
    } else {
        store.installer(named.at().dir()).install(&object, named.at().name())?;
    }
    Ok(path)
}

/// `add-to-cas`: puts a file or directory into the store and prints its hash.
pub(crate) fn add(name: Name, options: &AddToCas, log: &Log) -> Exit {
    let special = match options.resolve_special.as_deref() {
        None => SpecialEntries::default(),
        Some("ignore") => SpecialEntries::Ignore,
        Some("tree-upwards") => SpecialEntries::ResolveUpwards,
        Some("tree-all") => SpecialEntries::ResolveInside,
        Some("all") => SpecialEntries::ResolveAll,
        Some(other) => {
            let other = quoted(&other);
            let text = match log.is_as_reference() {
                true => format!("Ignoring unknown --resolve-special strategy {other}."),
                false => format!(
                    "--resolve-special {other} is ignored: it is one of ignore, tree-upwards, tree-all and all"
                ),
            };
            log.say(Level::Warn, text);
            SpecialEntries::default()
        }
    };
    let Some(store) = open_store(name, &options.stores, log) else { return Exit::Environment };
    // A slash at the end does not make a link what it points to.
    let location: PathBuf = options.location.components().collect();
    let location = std::path::absolute(&location).unwrap_or(location);
    let followed = if options.follow_symlinks {
        canonical(&location).map_err(|_| AddError::Unsupported(location.clone()))
    } else {
        Ok(location.clone())
    };
    let is_directory = |location: &Path| Named::lstat(location).is_ok_and(|found| found.is_dir());
    if options.stores.compatible && log.is_as_reference() && followed.as_deref().is_ok_and(is_directory) {
        log.say(Level::Error, "Storing of trees only supported in native mode");
        return Exit::Environment;
    }
    match followed.and_then(|location| add_object(&store, &location, special)) {
        // Printed in any case: the object is here.
        Ok(object) => match print(format!("{}\n", object.digest.hash).as_bytes()) {
            Exit::Success => sent(&store, &object, options, log).err().unwrap_or(Exit::Success),
            exit => exit,
        },
        Err(error) if !log.is_as_reference() => {
            log.say(Level::Error, why_not_added(&error, &location));
            Exit::Environment
        }
        Err(error) => {
            log.say(Level::Error, error.to_string());
            log.say(Level::Error, format!("Failed to store {} in local CAS", location.display()));
            Exit::Environment
        }
    }
}

/// Why something was not added, in taut's own words.
fn why_not_added(error: &AddError, location: &Path) -> String {
    let it = |path: &Path| if path == location { "it".to_owned() } else { shown(path) };
    let link = |path: &Path, is: &str| format!("the symbolic link {} {is}", shown(path));
    let why = match error {
        AddError::Unsupported(path) => {
            format!("{} is absent, or neither a file, a directory nor a symbolic link", it(path))
        }
        AddError::Upwards(path) => {
            link(path, "leads upwards or is absolute (--resolve-special says what to do with such links)")
        }
        AddError::Outside(path) => link(path, "leads out of it"),
        AddError::Endless(path) => link(path, "leads to a directory that it lies in"),
        AddError::Store(error) => error.to_string(),
    };
    format!("Cannot add {}: {why}", shown(location))
}

/// Sends an object to the server that the options name, if they name one.
fn sent(store: &Store, object: &ObjectInfo, options: &AddToCas, log: &Log) -> Result<(), Exit> {
    let Some(server) = server_of_objects(&options.stores, store, log)? else { return Ok(()) };
    let sent = send(store, &server, object);
    if let Err(error) = store.save_elsewhere() {
        log.say(Level::Warn, error.to_string());
    }
    sent.map_err(|why| {
        log.say(Level::Error, why);
        if log.is_as_reference() {
            log.say(Level::Error, "Failed to upload artifact to remote endpoint");
        }
        Exit::Environment
    })
}

/// `gc`: removes what was not used recently.
pub(crate) fn collect_garbage(name: Name, options: &Gc, log: &Log) -> Exit {
    // Of both options the one that removes less counts.
    let mode = match (options.no_rotate, options.all) {
        (true, _) => GcMode::NoRotate,
        (_, true) => GcMode::All,
        _ => GcMode::Rotate,
    };
    let root = match build_root(name, &options.stores) {
        Ok(root) => root,
        Err(text) => {
            log.say(Level::Error, text);
            return Exit::Environment;
        }
    };
    if mode != GcMode::All {
        let text = match log.is_as_reference() {
            true => "Compactification has been started",
            false => "Splitting large objects",
        };
        log.say(Level::Performance, text);
    }
    let busy = || {
        let root = root.display();
        log.say(Level::Info, format!("Waiting for the processes that use {root}"));
    };
    // Counting walks through the whole build root.
    let counts = !log.is_as_reference() && log.wants(Level::Info);
    // Without the lock: figures in a message need not be exact while other processes write.
    let before = if counts { taut_store::usage(&root).ok() } else { None };
    match taut_store::gc(&root, mode, busy) {
        Ok(()) => {
            if let Some((before, left)) = before.zip(taut_store::usage(&root).ok()) {
                // Two collections in a row remove everything, which is surprising without this hint.
                let next = match mode {
                    GcMode::Rotate => "the next gc removes what no build has used by then",
                    GcMode::All | GcMode::NoRotate => "",
                };
                log.say(Level::Info, freed(before, left, "the build root is empty", next));
            }
            Exit::Success
        }
        Err(error) => {
            log.say(Level::Error, format!("Cannot clean up build root {}: {error}", root.display()));
            Exit::Environment
        }
    }
}
