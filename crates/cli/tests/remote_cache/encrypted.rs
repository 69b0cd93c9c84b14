//! Encrypted connections, for a cache and for execution: the server has a certificate, and asks for one of the client.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
};

use taut_digest::HashFunction;
use taut_remote::server::{Encryption, Offer, Server};
use taut_testkit::Workspace;

use super::{ACTIONS, golden::golden, install, taut, without_cache, workspace};

/// Certificates that are good for nothing else.
pub(crate) fn file(name: &str) -> String {
    format!("{}/../remote/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn encrypting(offer: Offer) -> Server {
    let read = |name: &str| std::fs::read(file(name)).unwrap();
    let (certificate, key, authority) = (read("server.pem"), read("server.key"), Some(read("ca.pem")));
    Server::start(Offer { tls: Some(Encryption { certificate, key, authority }), ..offer }).unwrap()
}

/// The options for both certificates.
fn certificates() -> [String; 6] {
    [("--tls-ca-cert", "ca.pem"), ("--tls-client-cert", "client.pem"), ("--tls-client-key", "client.key")]
        .map(|(option, name)| [option.to_owned(), file(name)])
        .concat()
        .try_into()
        .unwrap()
}

/// The server as the words of a call name it; its certificate is for a name.
fn at(server: &Server) -> String {
    format!("localhost:{}", server.port())
}

#[test]
fn actions_are_executed_over_an_encrypted_connection() {
    for (naming, mode) in [(HashFunction::GitSha1, &[][..]), (HashFunction::Sha256, &["--compatible"])] {
        let server = encrypting(Offer::executing(naming, Vec::new()));
        let (address, certificates) = (at(&server), certificates());
        let certificates = certificates.each_ref().map(String::as_str);
        for address in [address.clone(), format!("grpcs://{address}")] {
            let built = install(&workspace(), &[&["-r", &address], mode, &certificates].concat());
            assert_eq!(built.files, without_cache());
        }
        assert_eq!(server.calls()["Execute"], ACTIONS as u64, "the second build finds the results");
    }
}

#[test]
fn results_are_shared_over_an_encrypted_connection() {
    let server = encrypting(Offer::default());
    let (address, certificates) = (at(&server), certificates());
    let certificates = certificates.each_ref().map(String::as_str);
    let words = [&["--remote-cache", &address, "--remote-cache-write"][..], &certificates].concat();
    install(&workspace(), &words);
    let second = install(&workspace(), &words).ran.stderr;
    assert!(second.contains("3 actions from the remote cache"), "{second}");
}

/// What an error suggests, without the words of the library before that, of which there are several.
fn guess(error: &str) -> &str {
    let line = error.lines().next().unwrap_or_default();
    let (_, guess) = line.split_once("; ").unwrap_or_else(|| panic!("{error}"));
    guess.trim_end_matches(" (tried 3 times)")
}

/// Without the right certificates nothing is executed, and the error says what is wrong.
#[test]
fn a_server_that_is_not_trusted_or_does_not_trust_executes_nothing() {
    let server = encrypting(Offer::executing(HashFunction::Sha256, Vec::new()));
    let address = at(&server);
    let encrypted = format!("grpcs://{address}");
    let authority = file("ca.pem");
    let cases: [(&str, Vec<&str>, &str); 3] = [
        // It is not an authority of the system.
        (&encrypted, vec![], "The authority is none of the system"),
        // It asks for a certificate of the client.
        (&address, vec!["--tls-ca-cert", &authority], "The server asks for a certificate of the client"),
        // Not encrypted at all.
        (&address, vec![], "The call does not encrypt"),
    ];
    for (at, words, situation) in cases {
        let workspace: Workspace = workspace();
        let call =
            [&["build", "-r", at, "--compatible", "--max-attempts", "1"][..], &words, &["all"]].concat();
        let text = workspace.run(&taut(), call).exits(1).stderr;
        assert!(text.contains(&server.port().to_string()), "{text}");
        golden(situation, guess(&text));
    }
    assert_eq!(server.calls().get("Execute"), None);
    // One of another authority. With TLS 1.3 the refusal may be overtaken by the end of the connection.
    let foreign = |name: &str| format!("{}/tests/certificates/{name}", env!("CARGO_MANIFEST_DIR"));
    let (certificate, key) = (foreign("for-clients.pem"), foreign("server.key"));
    let words = ["--tls-ca-cert", &authority, "--tls-client-cert", &certificate, "--tls-client-key", &key];
    let call =
        [&["build", "-r", &address, "--compatible", "--max-attempts", "1"][..], &words, &["all"]].concat();
    let text = workspace().run(&taut(), call).exits(1).stderr;
    assert!(text.contains("accept the certificate of the client"), "{text}");
    assert_eq!(server.calls().get("GetCapabilities"), None);
    // Certificates of the client that are of no use.
    let (certificate, key, garbage) = (file("client.pem"), file("client.key"), file("README.md"));
    for (certificate, key, situation) in [
        (&certificate, &file("server.key"), "The key is another one's"),
        (&garbage, &key, "There is no certificate in the file"),
        (&certificate, &garbage, "There is no key in the file"),
    ] {
        let words = ["--tls-ca-cert", &authority, "--tls-client-cert", certificate, "--tls-client-key", key];
        let call = [&["build", "-r", &address, "--compatible"][..], &words, &["all"]].concat();
        let text = workspace().run(&taut(), call).exits(1).stderr;
        let (_, why) =
            text.lines().next().and_then(|line| line.split_once("connect: ")).expect("it says why");
        golden(situation, why);
    }
    assert_eq!(server.calls().get("GetCapabilities"), None);
    // The other way round: this one does not encrypt.
    let plain = Server::start(Offer::executing(HashFunction::Sha256, Vec::new())).unwrap();
    let call = ["build", "-r", &at(&plain), "--compatible", "--tls-ca-cert", &authority, "all"];
    let text = workspace().run(&taut(), call).exits(1).stderr;
    golden("The server does not encrypt", guess(&text));
}

/// Servers refuse a client in more than one way, and not all of them say that it is about the certificate.
#[test]
fn a_server_that_refuses_without_a_reason_leads_to_the_certificate_of_the_client() {
    // Its fatal alert `handshake_failure` is how TLS 1.2 refuses a client without a certificate.
    for (answer, has_certificate, situation) in [
        (&[0x15, 3, 3, 0, 2, 2, 40][..], false, "The server refuses the handshake"),
        (&[][..], true, "The server ends the connection"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let server = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            // All of the first message, so that its end is not a reset.
            let mut head = [0; 5];
            client.read_exact(&mut head).unwrap();
            let mut rest = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
            client.read_exact(&mut rest).unwrap();
            client.write_all(answer).unwrap();
        });
        let given = if has_certificate { 6 } else { 2 };
        let certificates = certificates();
        let words: Vec<&str> = certificates[..given].iter().map(String::as_str).collect();
        let call = [&["build", "-r", &address, "--compatible", "--max-attempts", "1"][..], &words, &["all"]]
            .concat();
        let text = workspace().run(&taut(), call).exits(1).stderr;
        server.join().unwrap();
        let (_, why) =
            text.lines().next().and_then(|line| line.split_once("GetCapabilities: ")).expect("it says why");
        golden(situation, why);
    }
}
