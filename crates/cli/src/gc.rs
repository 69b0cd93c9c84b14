//! `gc`: removes what was not used recently.

use taut_store::GcMode;

use crate::{
    environment::build_root,
    exit::Exit,
    log::{Level, Log},
    options::Gc,
    tool_name::Name,
    voice,
};

/// Runs `gc`.
pub(crate) fn run(name: Name, options: &Gc, log: &Log) -> Exit {
    let voice = voice::of(log);
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
        voice.splitting(log);
    }
    // Reported only when it has to wait, so that a usual call is silent about locks.
    let busy = || {
        let root = root.display();
        log.say(Level::Info, format!("Waiting for the processes that use {root}"));
    };
    // Without the lock: figures in a message need not be exact while other processes write. Only where they are
    // shown: counting walks through the whole build root.
    let usage = || voice.shows_freed(log).then(|| taut_store::usage(&root).ok()).flatten();
    let before = usage();
    let collected = taut_store::gc(&root, mode, busy).map_err(|error| error.to_string());
    // Only now: both have locks of their own, and no call waits for one while it holds the other.
    match collected.and_then(|()| taut_setup::remove_leftovers(&root).map_err(|error| error.to_string())) {
        Ok(()) => {
            if let Some((before, left)) = before.zip(usage()) {
                voice.freed(before, left, mode, log);
            }
            Exit::Success
        }
        Err(error) => {
            log.say(Level::Error, format!("Cannot clean up build root {}: {error}", root.display()));
            Exit::Environment
        }
    }
}
