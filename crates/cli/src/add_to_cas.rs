//! `add-to-cas`: puts a file or directory into the store and prints its hash.

use std::path::{Path, PathBuf};

use taut_digest::ObjectInfo;
use taut_driver::{
    Backend, backend_description,
    cas::{AddError, SpecialEntries, add},
    send,
};
use taut_store::Store;
use taut_sys::{Named, canonical, normal};

use crate::{
    environment::open_store,
    exit::Exit,
    log::{Level, Log},
    options::AddToCas,
    remote_execution::{check_server, server_of_objects},
    standard_streams::print,
    tool_name::Name,
    voice::{self, Receiver},
};

/// Runs `add-to-cas`.
pub(crate) fn run(name: Name, options: &AddToCas, log: &Log) -> Exit {
    let voice = voice::of(log);
    let special = match options.resolve_special.as_deref() {
        None => SpecialEntries::default(),
        Some("ignore") => SpecialEntries::Ignore,
        Some("tree-upwards") => SpecialEntries::ResolveUpwards,
        Some("tree-all") => SpecialEntries::ResolveInside,
        Some("all") => SpecialEntries::ResolveAll,
        Some(other) => {
            voice.unknown_strategy(other, log);
            SpecialEntries::default()
        }
    };
    if let Err(exit) = check_server(&options.stores, log) {
        return exit;
    }
    let Some(store) = open_store(name, &options.stores, log) else { return Exit::Environment };
    // `link/` is the link itself, not what it points to: `components` drops the slash.
    let location: PathBuf = options.location.components().collect();
    let location = std::path::absolute(&location).unwrap_or(location);
    let followed = if options.follow_symlinks {
        canonical(&location).map_err(|_| not_followed(&location))
    } else {
        Ok(location.clone())
    };
    let is_directory = |location: &Path| Named::lstat(location).is_ok_and(|found| found.is_dir());
    // The reference cannot store trees in compatible mode; taut can, so only the name `just` refuses them.
    if options.stores.server.compatible && name == Name::Just && followed.as_deref().is_ok_and(is_directory) {
        log.say(Level::Error, "Storing of trees only supported in native mode");
        return Exit::Environment;
    }
    if name == Name::Just {
        // The reference stores this description of its backend in each call, and its test scripts count the objects of
        // the store. Errors are ignored: the same error of the store is reported with the object.
        let at =
            Backend { address: options.stores.server.remote_execution_address.clone(), ..Backend::default() };
        let _ = store.put_blob(backend_description(&[], &at).as_bytes(), false);
    }
    match followed.and_then(|location| add(&store, &location, special)) {
        // Printed in any case: the object is here.
        Ok(object) => match print(format!("{}\n", object.digest.hash).as_bytes()) {
            Exit::Success => sent(&store, &object, options, log).err().unwrap_or(Exit::Success),
            exit => exit,
        },
        Err(error) => {
            voice.not_added(&error, &location, is_directory(&location), log);
            Exit::Environment
        }
    }
}

/// The error about a path that leads nowhere: a link, or nothing at all.
fn not_followed(location: &Path) -> AddError {
    let target = Named::of_user(location).and_then(|named| named.at().read_link());
    match target {
        Ok(target) => {
            let target = normal(&location.with_file_name("").join(target));
            AddError::Dangling { link: location.to_owned(), target }
        }
        Err(_) => AddError::Absent(location.to_owned()),
    }
}

/// Sends an object to the server that the options name, if they name one.
fn sent(store: &Store, object: &ObjectInfo, options: &AddToCas, log: &Log) -> Result<(), Exit> {
    let Some(server) = server_of_objects(&options.stores, store, log)? else { return Ok(()) };
    let sent = send(store, &server, object);
    // Also after a failure: the objects that have arrived at the server need not be sent again.
    if let Err(error) = store.save_server_objects() {
        log.say(Level::Warn, error.to_string());
    }
    match sent {
        Ok(sent) => {
            voice::of(log).sent(&sent, &server.name, log);
            Ok(())
        }
        Err(fault) => {
            let instance = options.stores.server.remote_instance_name.as_deref().unwrap_or_default();
            voice::of(log).not_sent(&fault, &Receiver { store, instance }, log);
            Err(Exit::Environment)
        }
    }
}
