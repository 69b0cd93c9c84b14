//! The calls of taut on the page about servers do what the page says.

use taut_digest::HashFunction;
use taut_remote::server::{Offer, Server};
use taut_testkit::commands_of_page;

use super::{encrypted, taut, workspace};

#[test]
fn the_calls_on_the_page_share_results() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/remote.md")).unwrap();
    let sections = commands_of_page(&page, "Set-up, server by server", "taut");
    let headings: Vec<&str> = sections.iter().map(|section| section.heading.as_str()).collect();
    assert_eq!(headings, ["just execute", "buildbox-casd", "BuildGrid"]);
    for command in sections.iter().flat_map(|section| &section.commands) {
        let has = |word: &str| command.iter().any(|of| of == word);
        let naming = if has("--compatible") { HashFunction::Sha256 } else { HashFunction::GitSha1 };
        let offer = if has("-r") { Offer::executing(naming, Vec::new()) } else { Offer::default() };
        let server =
            if has("--tls-ca-cert") { encrypted::encrypting(offer) } else { Server::start(offer).unwrap() };
        let words = |adds: bool| -> Vec<String> {
            let mut words: Vec<String> = (command.iter())
                .map(|word| word.replace(":8980", &format!(":{}", server.port())))
                .map(|word| {
                    if word.ends_with(".pem") || word.ends_with(".key") {
                        encrypted::file(&word)
                    } else {
                        word
                    }
                })
                .collect();
            if adds && has("--remote-cache") && !has("--remote-cache-write") {
                words.push("--remote-cache-write".to_owned());
            }
            words
        };
        let first = workspace().run(&taut(), words(true)).exits(0).stderr;
        assert!(first.contains("3 actions run"), "{command:?}: {first}");
        let second = workspace().run(&taut(), words(false)).exits(0).stderr;
        assert!(second.contains("3 actions from the remote cache"), "{command:?}: {second}");
    }
}
