//! What is reported of actions that servers take part in: where they ran, what they waited for, what was transferred.

use serde_json::Value;
use taut_digest::HashFunction;
use taut_remote::server::{Offer, Server};

use super::{ACTIONS, golden::golden, install, sharing, taut, workspace};

/// The profile that a call writes.
fn profile(workspace: &taut_testkit::Workspace, words: &[&str]) -> Vec<Value> {
    let path = workspace.beside("profile.json");
    let words = [&["build", "--profile", path.to_str().unwrap()], words, &["all"]].concat();
    workspace.run(&taut(), words).exits(0);
    let profile: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    profile["actions"].as_object().unwrap().values().cloned().collect()
}

/// The keys of an object, but for those that not every action has.
fn keys(of: &Value) -> String {
    let keys = of.as_object().unwrap().keys().map(String::as_str);
    keys.filter(|key| !["stdout", "stderr"].contains(key)).collect::<Vec<_>>().join("\n")
}

#[test]
fn of_actions_that_a_server_executes() {
    for (naming, mode) in [(HashFunction::GitSha1, &[][..]), (HashFunction::Sha256, &["--compatible"])] {
        let server = Server::start(Offer::executing(naming, Vec::new())).unwrap();
        let (address, workspace) = (server.address(), workspace());
        let words = [&["-r", &address][..], mode].concat();
        let actions = profile(&workspace, &words);
        golden("What a profile has of an action that a server executes", &keys(&actions[0]));
        let total: u64 = actions.iter().map(|action| action["sent bytes"].as_u64().unwrap()).sum();
        for action in &actions {
            assert!(action["executed by"].as_str().unwrap().contains(&address), "{action}");
            assert!(action["queued"].is_number() && action["uploading"].is_number(), "{action}");
        }
        let lines = workspace.events("action");
        let sent: u64 = lines.iter().map(|line| line["sent"].as_u64().unwrap()).sum();
        let built = &workspace.events("build_finished")[0]["remote_cache"];
        assert_eq!(sent, total);
        // What the build offers and no action read is sent, too.
        assert!(built["sent"].as_u64() >= Some(sent), "{built}");
        assert!(lines.iter().all(|line| line["queued"].is_number() && line["uploading"].is_number()));
        // What is installed is fetched when the actions have ended, and counts in the last line.
        let text = install(&workspace, &words).ran.stderr;
        assert!(text.contains("; installed ") && text.contains(", 4.8 MiB fetched"), "{text}");
        let other = self::workspace();
        let text = install(&other, &words).ran.stderr;
        assert!(text.contains("3 actions from the remote cache, 4.8 MiB fetched; installed"), "{text}");
        // Results that are known were executed some time, and nothing was sent or waited for.
        for line in other.events("action") {
            assert_eq!(
                (&line["from"], &line["sent"], &line["queued"]),
                (&"remote".into(), &Value::Null, &Value::Null)
            );
        }
    }
}

/// For actions that run here, justbuild asks a server by the names of the build root. In native mode no server has
/// these.
#[test]
fn under_the_name_just_a_native_rebuild_here_finds_nothing_at_a_server() {
    for (naming, mode, found) in [
        (
            HashFunction::GitSha1,
            &[][..],
            "0 actions compared with cache, no cache entry found for 3 actions.",
        ),
        (HashFunction::Sha256, &["--compatible"], "3 actions compared with cache."),
    ] {
        let server = Server::start(Offer::executing(naming, Vec::new())).unwrap();
        let (address, workspace) = (server.address(), workspace());
        let just = workspace.beside("just");
        std::os::unix::fs::symlink(taut().path(), &just).unwrap();
        let just = taut_testkit::Tool::at(&just);
        workspace.run(&just, [&["build", "-r", &address], mode, &["all"]].concat()).exits(0);
        let again = workspace.run(&just, [&["rebuild", "--vs", &address], mode, &["all"]].concat()).exits(0);
        assert!(again.stderr.contains(found), "{}", again.stderr);
    }
}

#[test]
fn of_results_that_come_from_a_cache() {
    let server = Server::start(Offer::default()).unwrap();
    sharing(&workspace(), &server);
    let second = workspace();
    let actions = profile(&second, &["--remote-cache", &server.address()]);
    assert_eq!(actions.len(), ACTIONS);
    golden("What a profile has of an action with a result from a remote cache", &keys(&actions[0]));
    let fetched: u64 = actions.iter().map(|action| action["fetched bytes"].as_u64().unwrap()).sum();
    assert!(actions.iter().all(|action| action["from"] == "remote cache" && action.get("queued").is_none()));
    assert!(fetched >= 5_000_000, "{fetched}");
    let lines: u64 = second.events("action").iter().map(|line| line["fetched"].as_u64().unwrap()).sum();
    assert_eq!(lines, fetched);
}
