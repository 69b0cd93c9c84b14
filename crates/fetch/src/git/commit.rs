//! Fetching a commit by `git fetch` into a temporary repository, from which packs are moved.
//!
//! First the commit alone is asked for, by its id and without those before it. Not all servers allow that (they need
//! protocol version 2, or `uploadpack.allowReachableSHA1InWant`), and what is not served over git's protocols (`dumb`
//! http) knows no shallow repositories: then the branch is fetched with its history, or all branches and tags.

use std::ffi::OsString;

use taut_digest::Hash;
use taut_git::{Kind, Writer};
use taut_sys::Dir;

use super::{
    CommitRequest, Fetched, Programs, failure,
    run::{CommandWatch, Scratch, run, scratch_name},
};
use crate::{Cause, Progress, Result, Update, url::without_password};

/// Variables of `git`, in addition to the environment of the call.
pub(super) const ENVIRONMENT: &[(&str, &str)] = &[
    // The repository is the working directory, whatever the caller's variables say.
    ("GIT_DIR", "."),
    // No question on the terminal: a call from a script would wait for ever.
    ("GIT_TERMINAL_PROMPT", "0"),
    // The states of a transfer are read from what it prints.
    ("LC_ALL", "C"),
];

/// See [`super::fetch`].
pub(super) fn fetch(
    programs: &Programs,
    request: &CommitRequest<'_>,
    into: &Writer,
    scratch: &Dir,
    progress: &dyn Progress,
) -> Result<Fetched> {
    // Nothing is kept from one attempt to the next: git cannot resume a pack.
    programs.retries.run(request.urls, &programs.servers, progress, drop, |url, ()| {
        let (tree, bytes) = from_url(programs, request, url, into, scratch, progress)?;
        Ok(Fetched { tree, url: url.to_owned(), bytes })
    })
}

/// Fetches from one URL; returns the tree of the commit, and how many bytes of objects came.
fn from_url(
    programs: &Programs,
    request: &CommitRequest<'_>,
    url: &str,
    into: &Writer,
    scratch: &Dir,
    progress: &dyn Progress,
) -> std::result::Result<(Hash, u64), Cause> {
    // A repository of its own: what a server sends is in the build root's repository only after its ids were checked.
    let name = scratch_name();
    let temporary = Scratch::make(scratch.at(&name))?;
    let path = temporary.dir.real_path().map_err(|error| Cause::File(error.to_string()))?;
    let repository = Writer::open(&path).map_err(cause)?;
    let commit = request.commit.to_hex();
    let fetch = |arguments: &[&str]| git_fetch(programs, url, arguments, &temporary.dir, progress);
    let branches = match request.branch {
        Some(branch) => vec![branch],
        None => vec!["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"],
    };
    // The object id in the place of a reference, and depth 1: one commit with its tree, which is all that a root
    // needs.
    match fetch(&["--depth=1", "--no-tags", "--", url, &commit]) {
        Ok(()) => {}
        // Not if the connection was cut or printed nothing for too long: that says nothing of what the server allows.
        Err(Cause::Command(_)) => fetch(&[&["--no-tags", "--", url], &branches[..]].concat())?,
        Err(cause) => return Err(cause),
    }
    // It was opened before the fetch, when there were no packs.
    repository.repository().forget();
    let tree = repository.repository().tree_of_commit(&request.commit).map_err(cause)?;
    let Some(tree) = tree else {
        let place = request.branch.map_or_else(String::new, |branch| format!(" in branch {branch}"));
        return Err(Cause::NotContained(format!("commit {commit}{place}")));
    };
    let header = repository.repository().header(&tree).map_err(cause)?;
    if header.is_none_or(|header| header.kind != Kind::Tree) {
        return Err(Cause::NotContained(format!("tree {} of commit {commit}", tree.to_hex())));
    }
    // Before packs are moved away.
    let bytes = repository.stored_bytes().map_err(cause)?;
    // A server that knows no packs, or sends only a part in packs: only what is needed is copied, and not the commit,
    // since its history may be missing.
    if repository.has_loose_objects().map_err(cause)? {
        let mut batch = into.batch();
        batch.copy_tree(repository.repository(), &tree).map_err(cause)?;
        batch.finish().map_err(cause)?;
        into.keep(Kind::Tree, &tree).map_err(cause)?;
    } else {
        into.adopt_packs_of(&repository).map_err(cause)?;
        // Last, as a tag needs its object. Until then the objects are safe from `git gc` since they are young.
        into.keep(Kind::Commit, &request.commit).map_err(cause)?;
    }
    Ok((tree, bytes))
}

/// What a server sent may be damaged, and then another one may do better; a repository that cannot be written is no
/// better for the next URL.
fn cause(error: taut_git::Error) -> Cause {
    match error {
        taut_git::Error::Damaged { .. } | taut_git::Error::Missing { .. } => {
            Cause::Command(error.to_string())
        }
        error => Cause::Repository(error),
    }
}

/// Runs `git fetch` in a repository.
fn git_fetch(
    programs: &Programs,
    url: &str,
    arguments: &[&str],
    repository: &Dir,
    progress: &dyn Progress,
) -> std::result::Result<(), Cause> {
    let stall = programs.servers.of(url).patience(programs.stall_timeout);
    // At least one second: 0 would mean no limit to git.
    let low_speed = stall.as_secs().max(1);
    let options = [
        // Nothing runs in the background after the fetch.
        "gc.auto=0".to_owned(),
        "maintenance.auto=false".to_owned(),
        // Whatever comes is stored as a pack, however little it is.
        // `adopt_packs_of` moves packs; what git unpacks would have to be copied object by object.
        "fetch.unpackLimit=1".to_owned(),
        "transfer.unpackLimit=1".to_owned(),
        "protocol.version=2".to_owned(),
        // Two watches: git's own ends a stalled transfer over http with a message that says so, the one of `run` ends
        // those of ssh, which git has no limit for.
        "http.lowSpeedLimit=1".to_owned(),
        format!("http.lowSpeedTime={low_speed}"),
    ];
    // By the environment (git-config(1)), so that `fetch` is the first word, as a program in place of git may expect.
    let mut environment: Vec<(String, String)> =
        ENVIRONMENT.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    environment.push(("GIT_CONFIG_COUNT".to_owned(), options.len().to_string()));
    for (index, option) in options.iter().enumerate() {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        environment.push((format!("GIT_CONFIG_KEY_{index}"), key.to_owned()));
        environment.push((format!("GIT_CONFIG_VALUE_{index}"), value.to_owned()));
    }
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut command: Vec<OsString> = vec![programs.git.clone().into_os_string()];
    // Progress is wanted though no terminal is there; the other options keep git from writing or fetching more.
    let fixed = ["fetch", "--progress", "--no-write-fetch-head", "--no-recurse-submodules"];
    command.extend(fixed.iter().chain(arguments).map(Into::into));
    let shown = without_password(url);
    progress.update(Update { url: &shown, bytes: 0, total: None });
    let line = |line: &str| {
        if let Some(bytes) = received_bytes(line) {
            progress.update(Update { url: &shown, bytes, total: None });
        }
    };
    let watch = CommandWatch { progress, line: &line, stall: Some(stall) };
    run(programs, &command, &environment, repository, &watch)?
        .succeeded(&programs.git.to_string_lossy())
        .map_err(failure::of)
}

/// How many bytes have come, from a line that `git` prints during a transfer:
/// `Receiving objects:  45% (450/1000), 1.20 MiB | 2.00 MiB/s`.
fn received_bytes(line: &str) -> Option<u64> {
    // The bytes of a pack are counted by git only on the receiving side; what the server counts and compresses has no
    // amount.
    let amount = line.strip_prefix("Receiving objects:")?.split_once("), ")?.1;
    let mut words = amount.split_whitespace();
    let number: f64 = words.next()?.parse().ok()?;
    let unit: u64 = match words.next()?.trim_end_matches(',') {
        // The units of `git` (`strbuf_humanise_bytes`); an unknown one only means that no progress is shown.
        "bytes" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    Some((number * unit as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::received_bytes;

    #[test]
    fn the_state_of_a_transfer_is_read_from_what_git_prints() {
        for (line, bytes) in [
            ("Receiving objects:  45% (450/1000), 1.50 MiB | 2.00 MiB/s", Some(3 << 19)),
            ("Receiving objects: 100% (3/3), 216 bytes | 216.00 KiB/s, done.", Some(216)),
            ("Receiving objects: 100% (3/3), done.", None),
            ("Receiving objects:  45% (450/1000)", None),
            ("remote: Counting objects: 100% (3/3), 1 KiB", None),
        ] {
            assert_eq!(received_bytes(line), bytes, "{line}");
        }
    }
}
