//! `install-cas`: takes an object out of the store.

use std::path::{Path, PathBuf};

use taut_digest::{HashFunction, ObjectInfo, ObjectType};
use taut_driver::cas::{below, listing, parse_object_id, write_archive};
use taut_store::{Error, Store};
use taut_sys::{Named, if_exists};

use crate::{
    environment::{build_root, open_store},
    exit::Exit,
    log::{Level, Log},
    options::InstallCas,
    remote_execution::{check_server, server_of_objects},
    standard_streams::print,
    tool_name::Name,
    voice::{self, ObjectDestination},
};

/// Runs `install-cas`.
pub(crate) fn run(name: Name, options: &InstallCas, log: &Log) -> Exit {
    if let Err(exit) = check_server(&options.stores, log) {
        return exit;
    }
    let Some(store) = open_store(name, &options.stores, log) else { return Exit::Environment };
    let voice = voice::of(log);
    let server = &options.stores.server;
    let needs_size = server.compatible && server.remote_execution_address.is_some();
    let empty = store.hash_function().blob(b"");
    let is_of_mode = |object: &ObjectInfo| object.digest.hash.as_bytes().len() == empty.as_bytes().len();
    let Some(whole) = parse_object_id(&options.object_id).filter(is_of_mode) else {
        voice.no_object_id(&options.object_id, needs_size, log);
        return Exit::Environment;
    };
    let server = match server_of_objects(&options.stores, &store, log) {
        Ok(server) => server,
        Err(exit) => return exit,
    };
    if needs_size && whole.digest.size == 0 && !is_empty(&whole) {
        voice.no_size(&options.object_id, log);
    }
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
        store.note_at_server(0, false, [whole]);
    }
    let mut before = None;
    if options.remember
        && let Err(error) = store.bring(&[whole])
    {
        // The object may come all the same: what is asked for is less.
        voice.not_remembered(whole, &error, log);
        before = Some(error);
    }
    let fail = |error: Error, destined| {
        // A server that does not answer is not asked again, so what is wrong with it is known from before.
        let error = match (&error, &before) {
            (Error::Remote(_), Some(before @ Error::Remote(_))) => before,
            _ => &error,
        };
        voice.not_taken(error, &store, destined, log);
        Exit::Environment
    };
    let object = match &options.sub_object_path {
        None => whole,
        Some(path) => match below(&store, whole, path) {
            // As in the reference, the last object on the way is taken, with a warning.
            Ok(found) => {
                if let Some(end) = &found.ends {
                    voice.path_ends(path, whole, found.object, end, log);
                }
                found.object
            }
            Err(error) => return fail(error, ObjectDestination::PathBelow(whole)),
        },
    };
    if options.archive && object.object_type != ObjectType::Tree {
        voice.no_tree(object, log);
        return Exit::Environment;
    }
    match &options.output_path {
        None => match content(&store, object, options) {
            Ok(bytes) => print(&bytes),
            Err(error) if options.archive => fail(error, ObjectDestination::Archive(object)),
            Err(error) if options.raw_tree => fail(error, ObjectDestination::Raw),
            Err(error) => fail(error, ObjectDestination::StandardOutput),
        },
        Some(path) => match put(&store, object, path, options) {
            Ok(path) => {
                voice.installed_object(object, &path, options.archive, log);
                Exit::Success
            }
            Err(error) if options.archive && matches!(error, Error::Missing(_) | Error::Remote(_)) => {
                fail(error, ObjectDestination::Archive(object))
            }
            Err(error) => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                fail(error, ObjectDestination::File(&path))
            }
        },
    }
}

/// Whether an object without a size is one that has none.
fn is_empty(object: &ObjectInfo) -> bool {
    object.digest.hash == HashFunction::Sha256.blob(b"")
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
fn put(store: &Store, object: ObjectInfo, path: &Path, options: &InstallCas) -> Result<PathBuf, Error> {
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
