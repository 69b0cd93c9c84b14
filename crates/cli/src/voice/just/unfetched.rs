//! Blobs that do not come from a server, in the lines of the reference: its client asks for files in batches, and
//! reports nothing of directories and of blobs that are too large for a batch.

use taut_store::{Error, FailedCall, RemoteFault};

use crate::log::{Level, Log};

// A status by the number of gRPC: the only one for which the reference tries again.
const UNAVAILABLE: i32 = 14;

/// What the client of servers reports, if a server is what is wrong. `asks`: how often the reference asks what the
/// server can do; it reports each time that there is no answer.
pub(in crate::voice) fn say_of_client(error: &Error, asks: usize, log: &Log) -> bool {
    let Error::Remote(RemoteFault { call: Some(call), .. }) = error else { return false };
    let FailedCall { name, code, why } = &**call;
    match *name {
        "BatchReadBlobs" => {}
        "GetCapabilities" => {
            for _ in 0..asks {
                let text = "Failed to obtain Capabilities. Falling back to default values.";
                log.say_about(Level::Warn, "RemoteCapabilitiesClient", text);
            }
        }
        "ByteStream.Read" => return true,
        _ => return false,
    }
    const NAME: &str = "RemoteCasClient";
    let tried = if *code == UNAVAILABLE { "After 1 attempts: " } else { "" };
    log.say_about(Level::Error, NAME, format!("{tried}BatchReadBlobs: {code}: {why}"));
    log.say_about(Level::Error, NAME, "Failed to BatchReadBlobs.");
    true
}

/// What is reported of files and directories that were to be written, if a server is what is wrong.
pub(in crate::voice) fn say_not_written(error: &Error, log: &Log) -> bool {
    match error {
        Error::Remote(RemoteFault { call: Some(_), is_of_trees: true, .. }) => true,
        error => {
            let is_reported = say_of_client(error, 2, log);
            if is_reported {
                log.say(Level::Warn, "could not retrieve all requested blobs.");
            }
            is_reported
        }
    }
}
