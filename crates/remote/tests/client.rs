//! The client against a server in the same process: all cases in each form that a server can have, many callers at
//! once, and what becomes of faults.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use taut_digest::{Digest, HashFunction};
use taut_proto::ActionResult;
use taut_remote::{
    Address, Client, Patience, Setup, Tls,
    server::{Encryption, Fault, Faults, Offer, Server},
};
use taut_service::{ActionCache, Blob, Buffer, Cas, Error, Receiver, wait};
use taut_testkit::{Direction, LinkFault, Proxy, Rng, services, times};

/// Tests do not wait long for what will not come.
fn patience() -> Patience {
    Patience {
        first_pause: Duration::from_millis(1),
        max_pause: Duration::from_millis(4),
        deadline: Duration::from_millis(300),
        ..Patience::default()
    }
}

fn setup(server: &Server) -> Setup {
    let address = Address::parse(&server.address()).unwrap();
    let (naming, executes) = (HashFunction::Sha256, false);
    Setup { address, instance: String::new(), tls: None, naming, executes, patience: patience() }
}

fn client(offer: Offer) -> (Server, Client) {
    let server = Server::start(offer).unwrap();
    let client = Client::new(setup(&server));
    (server, client)
}

fn digest(bytes: &[u8]) -> Digest {
    Digest { hash: HashFunction::Sha256.blob(bytes), size: bytes.len() as u64 }
}

fn blob(bytes: Vec<u8>) -> Blob {
    Blob { digest: digest(&bytes), source: Arc::new(bytes) }
}

fn incompressible(size: u32) -> Vec<u8> {
    let mut rng = Rng::new(size.into());
    (0..size).map(|_| rng.bits() as u8).collect()
}

/// A client on the other side of a proxy.
fn behind(proxy: &Proxy, patience: Patience) -> Client {
    let address = Address::parse(&proxy.address()).unwrap();
    let (naming, executes) = (HashFunction::Sha256, false);
    Client::new(Setup { address, instance: String::new(), tls: None, naming, executes, patience })
}

fn get(client: &Client, digests: &[Digest]) -> Result<Vec<Result<Vec<u8>, Error>>, Error> {
    let buffers: Vec<Arc<Buffer>> = digests.iter().map(|_| Arc::default()).collect();
    let receivers = buffers.iter().map(|buffer| buffer.clone() as Arc<dyn Receiver>);
    let answers = wait(client.get(digests.iter().copied().zip(receivers).collect()))?;
    Ok(answers.into_iter().zip(&buffers).map(|(answer, buffer)| answer.map(|()| buffer.take())).collect())
}

#[test]
fn passes_the_cases() {
    for (has_zstd, max_batch_bytes, has_chunks, instance) in [
        (false, 0, false, ""),
        (true, 1000, false, "main/cache"),
        (true, 0, true, ""),
        (false, 1000, true, "x"),
    ] {
        let instance = instance.to_owned();
        let server = Server::start(Offer {
            has_zstd,
            max_batch_bytes,
            has_chunks,
            instance: instance.clone(),
            ..Offer::default()
        });
        let server = server.unwrap();
        let client = Client::new(Setup { instance, patience: Patience::default(), ..setup(&server) });
        services::check_server(&client);
    }
}

#[test]
fn nothing_is_connected_before_something_is_asked() {
    let (server, client) = client(Offer::default());
    drop(client);
    assert_eq!(server.total(), 0);
}

#[test]
fn callers_at_the_same_time_share_calls() {
    const CALLERS: usize = 400;
    let (server, client) = client(Offer::default());
    let blobs: Vec<Blob> = (0..CALLERS).map(|number| blob(number.to_string().into_bytes())).collect();
    let puts: Vec<_> = blobs.iter().map(|blob| client.put(vec![blob.clone()])).collect();
    for put in puts {
        assert_eq!(wait(put), Ok(vec![Ok(())]));
    }
    let missing: Vec<_> = blobs.iter().map(|blob| client.missing(vec![blob.digest])).collect();
    for missing in missing {
        assert_eq!(wait(missing), Ok(vec![]));
    }
    let buffers: Vec<Arc<Buffer>> = blobs.iter().map(|_| Arc::default()).collect();
    let wanted = blobs.iter().zip(&buffers);
    let gets: Vec<_> = wanted
        .map(|(blob, buffer)| client.get(vec![(blob.digest, buffer.clone() as Arc<dyn Receiver>)]))
        .collect();
    for get in gets {
        assert_eq!(wait(get), Ok(vec![Ok(())]));
    }
    for (number, buffer) in buffers.iter().enumerate() {
        assert_eq!(buffer.take(), number.to_string().into_bytes());
    }
    let calls = server.calls();
    for method in ["BatchUpdateBlobs", "FindMissingBlobs", "BatchReadBlobs"] {
        assert!(calls[method] < CALLERS as u64 / 4, "{calls:?}");
    }
    assert_eq!(calls["GetCapabilities"], 1);
}

#[test]
fn a_service_that_is_gone_is_given_up_once_for_all() {
    let (server, client) = client(Offer::default());
    let gone = setup(&server);
    drop((server, client));
    let client = Client::new(gone);
    let action = digest(b"action");
    let Err(Error::Transient { attempts, .. }) = wait(client.look_up(action)) else {
        panic!("nothing is there")
    };
    assert_eq!(attempts, patience().attempts);
    assert!(wait(client.look_up(action)).is_err() && wait(client.missing(vec![action])).is_err());
}

#[test]
fn a_service_that_is_lost_meanwhile_is_given_up() {
    let (server, client) = client(Offer::default());
    let action = digest(b"action");
    assert_eq!(wait(client.look_up(action)), Ok(None));
    drop(server);
    assert!(matches!(wait(client.look_up(action)), Err(Error::Transient { .. })));
    assert_eq!(wait(client.look_up(action)), Err(Error::Off));
    assert_eq!(wait(client.missing(vec![action])), Err(Error::Off));
}

#[test]
fn a_service_that_is_back_soon_is_not_noticed() {
    let (server, client) = client(Offer::default());
    let put = blob(b"kept".to_vec());
    assert_eq!(wait(client.put(vec![put.clone()])), Ok(vec![Ok(())]));
    let (memory, port) = (server.memory().clone(), server.port());
    drop(server);
    let _server = Server::with(Offer::default(), memory, port).unwrap();
    assert_eq!(get(&client, &[put.digest]), Ok(vec![Ok(b"kept".to_vec())]));
}

#[test]
fn a_server_that_is_no_cache_for_taut_is_refused_with_the_reason() {
    let why = |offer| match wait(client(offer).1.look_up(digest(b"action"))) {
        Err(Error::Final { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    let offer = Offer { digest_functions: vec![2], ..Offer::default() };
    assert_eq!(why(offer), "the server does not name blobs by SHA-256");
    let offer = Offer { instance: "other".to_owned(), ..Offer::default() };
    assert_eq!(why(offer), "the server knows no cache without an instance name");
}

#[test]
fn a_server_that_takes_no_results_can_be_read() {
    let (server, client) = client(Offer { takes_results: false, ..Offer::default() });
    let action = digest(b"action");
    let result = ActionResult { exit_code: 0, stdout_raw: b"out".to_vec(), ..ActionResult::default() };
    server.memory().add_result(action.hash, result.clone());
    assert!(matches!(wait(client.store(action, result.clone())), Err(Error::Final { .. })));
    assert_eq!(wait(client.look_up(action)), Ok(Some(result)));
}

#[test]
fn each_kind_of_fault_has_its_consequence() {
    let small = b"a small blob".repeat(100);
    let large: Vec<u8> = incompressible(400_000);
    for has_zstd in [false, true] {
        for fault in [Fault::Flipped, Fault::Longer, Fault::Truncated] {
            let (server, client) = client(Offer {
                has_zstd,
                max_batch_bytes: 100_000,
                faults: Faults::always(fault),
                ..Offer::default()
            });
            let wanted = [server.memory().add(small.clone()), server.memory().add(large.clone())];
            // Wrong in each attempt: an error, and not the wrong bytes. A large blob goes on after each cut.
            for answer in get(&client, &wanted).unwrap_or_default() {
                assert!(answer.is_err() || fault == Fault::Truncated, "{fault:?}");
            }
        }
        for fault in [Fault::Shuffled, Fault::Slow] {
            let (server, client) = client(Offer {
                has_zstd,
                max_batch_bytes: 100_000,
                faults: Faults::always(fault),
                ..Offer::default()
            });
            let wanted = [server.memory().add(small.clone()), server.memory().add(large.clone())];
            let got = get(&client, &wanted);
            assert!(got == Ok(vec![Ok(small.clone()), Ok(large.clone())]), "{fault:?}");
        }
    }
    for fault in [Fault::Unavailable, Fault::Internal, Fault::Exhausted, Fault::Hang] {
        let (_server, client) = client(Offer { faults: Faults::always(fault), ..Offer::default() });
        let answer = wait(client.look_up(digest(b"action")));
        assert!(matches!(answer, Err(Error::Transient { attempts: 3, .. })), "{fault:?}: {answer:?}");
    }
}

/// The server declares the stream complete, and several attempts have the same result. A server that is being restarted
/// is another case: the client waits for it.
#[test]
fn a_server_that_ends_streams_too_early_each_time_has_wrong_blobs() {
    let bytes: Vec<u8> = incompressible(400_000);
    for has_zstd in [false, true] {
        let offer = Offer { has_zstd, max_batch_bytes: 100_000, ..Offer::default() };
        let server = Server::start(Offer { faults: Faults::always(Fault::Truncated), ..offer }).unwrap();
        let wanted = server.memory().add(bytes.clone());
        let patience = Patience { restart: Duration::from_secs(3_600), ..patience() };
        let client = Client::new(Setup { patience, ..setup(&server) });
        assert_eq!(wait(client.look_up(digest(b"an action"))), Ok(None));
        assert_eq!(get(&client, &[wanted]), Ok(vec![Err(Error::Corrupt(wanted))]), "{has_zstd}");
        // It is still asked for others.
        assert_eq!(wait(client.look_up(digest(b"another action"))), Ok(None));
    }
}

#[test]
fn a_large_content_that_was_cut_goes_on_where_it_was_cut() {
    let bytes: Vec<u8> = incompressible(2_000_000);
    // Half of the streams are interrupted somewhere.
    for seed in 0..4 {
        let faults = Faults { seed, percent: 50, kinds: vec![Fault::Truncated] };
        let server =
            Server::start(Offer { has_zstd: false, max_batch_bytes: 100_000, faults, ..Offer::default() })
                .unwrap();
        let patience = Patience { attempts: 30, deadline: Duration::from_secs(10), ..patience() };
        let client = Client::new(Setup { patience, ..setup(&server) });
        assert_eq!(wait(client.put(vec![blob(bytes.clone())])), Ok(vec![Ok(())]));
        assert!(get(&client, &[digest(&bytes)]) == Ok(vec![Ok(bytes.clone())]));
    }
}

/// Whatever goes wrong: each answer is right or an error, and there is an answer.
#[test]
fn answers_are_right_or_errors_whatever_goes_wrong() {
    let seeds = times(40) as u64;
    let large = incompressible(300_000);
    let texts = [b"".to_vec(), b"one".to_vec(), b"two".repeat(3_000), large];
    let mut successes = 0;
    for seed in 0..seeds {
        let faults = Faults { seed, percent: 25, kinds: Vec::new() };
        let (has_zstd, has_chunks) = (seed % 2 == 0, seed % 4 > 1);
        let offer = Offer { faults, max_batch_bytes: 100_000, has_zstd, has_chunks, ..Offer::default() };
        let server = Server::start(offer).unwrap();
        let patience = Patience { deadline: Duration::from_millis(120), ..patience() };
        let client = Client::new(Setup { patience, ..setup(&server) });
        for text in &texts {
            drop(wait(client.put(vec![blob(text.clone())])));
            let digests: Vec<Digest> = texts.iter().map(|text| digest(text)).collect();
            for (text, answer) in texts.iter().zip(get(&client, &digests).unwrap_or_default()) {
                if let Ok(bytes) = answer {
                    assert!(bytes == *text, "seed {seed}");
                    successes += 1;
                }
            }
        }
    }
    assert!(successes > seeds, "{successes}");
}

/// In each phase of a connection: before the first byte, in the greeting, in headers, in a small answer, in a stream.
#[test]
fn a_connection_that_fails_in_any_phase_costs_a_bounded_time() {
    let offer = Offer { has_zstd: false, max_batch_bytes: 100_000, ..Offer::default() };
    let server = Server::start(offer).unwrap();
    let large = incompressible(400_000);
    let wanted = [server.memory().add(b"small".to_vec()), server.memory().add(large.clone())];
    let (deadline, max_slow) = (Duration::from_millis(100), Duration::from_millis(500));
    let patience = Patience { attempts: 2, deadline, max_slow, ..patience() };
    let faults: [fn(Direction, u64) -> LinkFault; 4] =
        [LinkFault::Cut, LinkFault::Ended, LinkFault::Halted, LinkFault::Slower];
    for (fault, way) in
        faults.into_iter().flat_map(|fault| [(fault, Direction::Up), (fault, Direction::Down)])
    {
        for at in [0, 30, 300, 5_000, 300_000] {
            let proxy = Proxy::always(server.socket(), fault(way, at)).unwrap();
            let client = behind(&proxy, patience.clone());
            let begin = Instant::now();
            let put = blob([at.to_le_bytes().to_vec(), incompressible(350_000)].concat());
            let _ = wait(client.put(vec![put.clone()])).map(|answers| {
                let is_there = server.memory().blob(&put.digest.hash).is_some();
                assert!(is_there || answers[0].is_err(), "{:?}", fault(way, at));
            });
            for (answer, text) in
                get(&client, &wanted).unwrap_or_default().iter().zip([&b"small"[..], &large])
            {
                assert!(answer.as_ref().is_ok_and(|bytes| bytes == text) || answer.is_err());
            }
            let _ = wait(client.look_up(digest(b"action")));
            let took = begin.elapsed();
            assert!(took < Duration::from_secs(5), "{:?}: {took:?}", fault(way, at));
        }
    }
}

/// Every connection carries half a megabyte: a blob of eight comes all the same, in both directions.
#[test]
fn a_large_content_goes_on_over_many_connections() {
    let server = Server::start(Offer { has_zstd: true, ..Offer::default() }).unwrap();
    let bytes = incompressible(8_000_000);
    for way in [Direction::Up, Direction::Down] {
        let proxy = Proxy::always(server.socket(), LinkFault::Cut(way, 600_000)).unwrap();
        // A cut may lose all that was on its way, so several attempts in a row may bring nothing.
        let patience = Patience { deadline: Duration::from_secs(10), attempts: 20, ..patience() };
        let client = behind(&proxy, patience);
        match way {
            Direction::Up => assert_eq!(wait(client.put(vec![blob(bytes.clone())])), Ok(vec![Ok(())])),
            Direction::Down => assert!(get(&client, &[digest(&bytes)]) == Ok(vec![Ok(bytes.clone())])),
        }
        assert!(proxy.connections() > 10, "{}", proxy.connections());
    }
}

/// A connection that has become silent is not waited for again.
#[test]
fn after_silence_the_next_attempt_has_a_connection_of_its_own() {
    let server = Server::start(Offer::default()).unwrap();
    let halted = |number| (number == 0).then_some(LinkFault::Halted(Direction::Down, 0));
    let proxy = Proxy::start(server.socket(), Duration::ZERO, halted).unwrap();
    assert_eq!(wait(behind(&proxy, patience()).look_up(digest(b"action"))), Ok(None));
    assert_eq!(proxy.connections(), 2);
}

#[test]
fn whatever_the_network_does_answers_are_right_or_errors() {
    let large = incompressible(300_000);
    let texts = [b"".to_vec(), b"one".to_vec(), b"two".repeat(3_000), large];
    let mut successes = 0;
    for seed in 0..times(20) as u64 {
        let offer = Offer { max_batch_bytes: 100_000, has_zstd: seed % 2 == 0, ..Offer::default() };
        let server = Server::start(offer).unwrap();
        let proxy = Proxy::failing(server.socket(), seed, 60).unwrap();
        let patience = Patience {
            deadline: Duration::from_millis(120),
            max_slow: Duration::from_millis(600),
            ..patience()
        };
        let client = behind(&proxy, patience);
        let begin = Instant::now();
        for text in &texts {
            let put = wait(client.put(vec![blob(text.clone())]));
            if let Ok(Ok(())) = put.map(|answers| answers[0].clone()) {
                assert!(server.memory().blob(&digest(text).hash).is_some(), "seed {seed}");
            }
            // A server that is restarted.
            if seed % 3 == 0 {
                proxy.cut_all();
            }
            let digests: Vec<Digest> = texts.iter().map(|text| digest(text)).collect();
            for (text, answer) in texts.iter().zip(get(&client, &digests).unwrap_or_default()) {
                if let Ok(bytes) = answer {
                    assert!(bytes == *text, "seed {seed}");
                    successes += 1;
                }
            }
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "seed {seed}: {:?}", begin.elapsed());
    }
    assert!(successes > times(20), "{successes}");
}

/// What no checksum of TCP finds, encryption does.
#[test]
fn bytes_that_are_damaged_on_the_way_are_noticed_where_they_are_encrypted() {
    let (certificate, key) = (tls("server.pem"), tls("server.key"));
    let encryption = Encryption { certificate, key, authority: Some(tls("ca.pem")) };
    let server = Server::start(Offer { tls: Some(encryption), ..Offer::default() }).unwrap();
    let bytes = incompressible(300_000);
    let wanted = server.memory().add(bytes.clone());
    let action = digest(b"action");
    let result = ActionResult { stdout_raw: b"out".to_vec(), ..ActionResult::default() };
    server.memory().add_result(action.hash, result.clone());
    for seed in 0..times(20) as u64 {
        let proxy = Proxy::damaging(server.socket(), seed, 70).unwrap();
        let identity = Some((tls("client.pem"), tls("client.key")));
        let tls = Some(Tls { authorities: Some(tls("ca.pem")), identity });
        let address = Address::parse(&proxy.address()).unwrap();
        let client = Client::new(Setup { address, tls, ..setup(&server) });
        if let Ok(found) = wait(client.look_up(action)) {
            assert_eq!(found, Some(result.clone()), "seed {seed}");
        }
        if let Ok([Ok(got)]) = get(&client, &[wanted]).as_deref() {
            assert!(*got == bytes, "seed {seed}");
        }
    }
}

/// A receiver that has chunks from elsewhere.
#[derive(Default)]
struct Having {
    here: Mutex<HashMap<Digest, Vec<u8>>>,
    came: Buffer,
    chunks: Mutex<Vec<Digest>>,
}

impl Receiver for Having {
    fn begin(&self) -> std::io::Result<()> {
        self.came.begin()
    }

    fn piece(&self, bytes: &[u8]) -> std::io::Result<()> {
        self.came.piece(bytes)
    }

    fn chunk(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.here.lock().unwrap().get(digest).cloned()
    }

    fn note_chunks(&self, chunks: &[Digest]) {
        *self.chunks.lock().unwrap() = chunks.to_vec();
    }
}

/// A blob, and a later version of it.
fn versions() -> (Vec<u8>, Vec<u8>) {
    let first = incompressible(6_000_000);
    let mut second = first.clone();
    second.splice(3_000_000..3_000_010, *b"something else");
    (first, second)
}

#[test]
fn of_a_content_that_differs_little_only_the_new_chunks_move() {
    let server = Server::start(Offer { has_chunks: true, ..Offer::default() }).unwrap();
    let (first, second) = versions();
    let proxy = Proxy::delaying(server.socket(), Duration::ZERO).unwrap();
    let patience = Patience { deadline: Duration::from_secs(10), ..patience() };
    let client = behind(&proxy, patience);
    assert_eq!(wait(client.put(vec![blob(first.clone())])), Ok(vec![Ok(())]));
    let (up, _) = proxy.bytes();
    assert_eq!(wait(client.put(vec![blob(second.clone())])), Ok(vec![Ok(())]));
    let moved = proxy.bytes().0 - up;
    assert!(moved < 1_500_000, "{moved}");
    assert!(server.memory().blob(&digest(&second).hash).is_some_and(|there| *there == second[..]));

    // Nothing is here: a stream. The receiver learns what the blob consists of.
    let none = Arc::new(Having::default());
    let wanted = |to: &Arc<Having>, bytes: &[u8]| vec![(digest(bytes), to.clone() as Arc<dyn Receiver>)];
    assert_eq!(wait(client.get(wanted(&none, &first))), Ok(vec![Ok(())]));
    assert!(none.came.take() == first);
    let chunks = none.chunks.lock().unwrap().clone();
    let mut at = 0;
    let here = chunks.into_iter().map(|chunk| {
        let bytes = first[at..at + chunk.size as usize].to_vec();
        at += bytes.len();
        (chunk, bytes)
    });
    let some = Arc::new(Having { here: Mutex::new(here.collect()), ..Having::default() });
    let (_, down) = proxy.bytes();
    assert_eq!(wait(client.get(wanted(&some, &second))), Ok(vec![Ok(())]));
    assert!(some.came.take() == second);
    let moved = proxy.bytes().1 - down;
    assert!(moved < 1_500_000, "{moved}");

    // Chunks that are here, but not what they are called: they come, too.
    let damage = |bytes: &mut Vec<u8>| bytes[0] ^= 1;
    some.here.lock().unwrap().values_mut().skip(1).for_each(damage);
    assert_eq!(wait(client.get(wanted(&some, &second))), Ok(vec![Ok(())]));
    assert!(some.came.take() == second);
}

#[test]
fn a_server_that_names_wrong_chunks_is_asked_for_the_whole() {
    let (_, second) = versions();
    for fault in [Fault::Mistaken, Fault::Shuffled] {
        let faults = Faults::always(fault);
        let server = Server::start(Offer { has_chunks: true, faults, ..Offer::default() }).unwrap();
        server.memory().add(second.clone());
        let patience = Patience { deadline: Duration::from_secs(10), ..patience() };
        let client = Client::new(Setup { patience, ..setup(&server) });
        let whole = Arc::new(Having::default());
        // So that chunks are tried at all.
        let all = chunks_of(&server, &second);
        whole.here.lock().unwrap().extend(all.into_iter().take(3));
        let wanted = vec![(digest(&second), whole.clone() as Arc<dyn Receiver>)];
        assert_eq!(wait(client.get(wanted)), Ok(vec![Ok(())]), "{fault:?}");
        assert!(whole.came.take() == second);
    }
}

/// The chunks of a blob, as a server without faults has them.
fn chunks_of(server: &Server, bytes: &[u8]) -> Vec<(Digest, Vec<u8>)> {
    let good =
        Server::with(Offer { has_chunks: true, ..Offer::default() }, server.memory().clone(), 0).unwrap();
    let (client, to) = (Client::new(setup(&good)), Arc::new(Having::default()));
    drop(wait(client.get(vec![(digest(bytes), to.clone() as Arc<dyn Receiver>)])));
    let mut at = 0;
    let cut = |chunk: &Digest| {
        let part = bytes[at..at + chunk.size as usize].to_vec();
        at += part.len();
        (*chunk, part)
    };
    to.chunks.lock().unwrap().iter().map(cut).collect()
}

struct Full;

impl Receiver for Full {
    fn begin(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn piece(&self, _: &[u8]) -> std::io::Result<()> {
        Err(std::io::ErrorKind::StorageFull.into())
    }
}

#[test]
fn a_disk_that_is_full_here_is_no_fault_of_the_server() {
    let (server, client) = client(Offer::default());
    let wanted = [server.memory().add(b"small".to_vec()), server.memory().add(incompressible(5_000_000))];
    let full = wanted.iter().map(|digest| (*digest, Arc::new(Full) as Arc<dyn Receiver>)).collect();
    let answers = wait(client.get(full)).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Local(_)))), "{answers:?}");
    assert_eq!(get(&client, &wanted[..1]), Ok(vec![Ok(b"small".to_vec())]));
}

fn tls(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn connections_are_encrypted_and_both_sides_identified() {
    let identity = |name: &str| (tls(&format!("{name}.pem")), tls(&format!("{name}.key")));
    let (certificate, key) = identity("server");
    let offer = Offer {
        tls: Some(Encryption { certificate, key, authority: Some(tls("ca.pem")) }),
        ..Offer::default()
    };
    let server = Server::start(offer).unwrap();
    let ask = |tls| {
        let client = Client::new(Setup { tls, ..setup(&server) });
        wait(client.look_up(digest(b"action")))
    };
    let authorities = || Some(tls("ca.pem"));
    assert_eq!(ask(Some(Tls { authorities: authorities(), identity: Some(identity("client")) })), Ok(None));
    // Without a certificate of the client, with authorities that did not sign that of the server, or in plain text.
    assert!(ask(Some(Tls { authorities: authorities(), identity: None })).is_err());
    assert!(ask(Some(Tls { authorities: None, identity: Some(identity("client")) })).is_err());
    assert!(ask(Some(Tls { authorities: Some(b"none".to_vec()), identity: None })).is_err());
    assert!(ask(None).is_err());
    assert_eq!(server.calls().get("GetActionResult"), Some(&1));
}
