//! What goes wrong between builds and their cache, by seeds: at the server, on the way, and here.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use taut_remote::server::{Fault, Faults, Offer, Server};
use taut_testkit::{Direction, LinkFault, Proxy, Rng, Workspace, for_seeds, seeds};

use super::{ACTIONS, install, sharing, taut, whole::is_whole, without_cache, workspace, writing};

/// The words of a build that shares its results through a proxy, and waits for a second.
fn through(proxy: &Proxy) -> Vec<String> {
    let words = ["--remote-cache", &proxy.address(), "--remote-cache-write", "--remote-cache-timeout", "1"];
    words.iter().chain(&["--max-attempts", "2"]).map(|word| (*word).to_owned()).collect()
}

/// A build, which is right, soon over, and has at most one line to say about its cache.
#[track_caller]
fn is_right(workspace: &Workspace, words: &[String], expected: &BTreeMap<String, String>, seed: u64) {
    let begin = Instant::now();
    let built = install(workspace, &words.iter().map(String::as_str).collect::<Vec<_>>());
    let took = begin.elapsed();
    assert_eq!(built.files, *expected, "seed {seed}");
    // Look-ups, contents and what is stored are given up together.
    assert!(took < Duration::from_secs(40), "seed {seed}: {took:?}");
    let lines = built.ran.stderr.lines().filter(|line| line.contains("warning: ")).count();
    assert!(lines <= 1, "seed {seed}: {}", built.ran.stderr);
    is_whole(workspace);
}

/// Some contents are deleted.
fn evict(server: &Server, rng: &mut Rng, percent: u32) {
    for gone in server.memory().blobs() {
        if rng.chance(percent) {
            server.memory().remove(&gone);
        }
    }
}

/// Whatever goes wrong between two builds and their cache, both have the results of a build without it.
#[test]
fn builds_are_right_whatever_goes_wrong() {
    let expected = without_cache();
    let kinds = vec![
        Fault::Unavailable,
        Fault::Exhausted,
        Fault::Internal,
        Fault::Slow,
        Fault::Cut,
        Fault::Truncated,
        Fault::Flipped,
        Fault::Longer,
        Fault::Shuffled,
        Fault::Evicted,
        Fault::Mistaken,
    ];
    for_seeds(&seeds(8), |seed| {
        let faults = Faults { seed, percent: 30, kinds: kinds.clone() };
        let max_batch_bytes = if seed % 3 == 0 { 200 } else { 0 };
        let server =
            Server::start(Offer { faults, max_batch_bytes, has_zstd: seed % 2 == 0, ..Offer::default() });
        let server = server.unwrap();
        for _ in 0..2 {
            assert_eq!(sharing(&workspace(), &server).files, expected, "seed {seed}");
        }
    });
}

/// The network fails, the server answers badly now and then, is restarted, and loses contents between and during
/// builds.
#[test]
fn builds_are_right_whatever_happens_on_the_way() {
    let expected = without_cache();
    let edited = {
        let other = workspace();
        other.file("source", "another text\n");
        install(&other, &[]).files
    };
    for_seeds(&seeds(6), |seed| {
        let rng = &mut Rng::new(seed);
        let kinds = [Fault::Unavailable, Fault::Exhausted, Fault::Slow, Fault::Truncated, Fault::Mistaken];
        let percent = *rng.pick(&[0, 0, 10, 30]);
        let faults = Faults { seed, percent, kinds: kinds.into() };
        let (has_zstd, has_chunks) = (rng.chance(50), rng.chance(50));
        let offer = Offer { faults, has_zstd, has_chunks, ..Offer::default() };
        let mut server = Server::start(offer.clone()).unwrap();
        let proxy = Proxy::failing(server.socket(), seed, *rng.pick(&[20, 60, 100])).unwrap();
        let words = through(&proxy);
        let (first, second) = (workspace(), workspace());
        for round in 0..3 {
            let (at, expected) = match round {
                0 => (&first, &expected),
                1 => (&second, &expected),
                _ => {
                    first.file("source", "another text\n");
                    (&first, &edited)
                }
            };
            let is_over = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let mut random = Rng::new(seed + round);
                let (server, proxy, is_over) = (&server, &proxy, &is_over);
                scope.spawn(move || {
                    while !is_over.load(Relaxed) {
                        std::thread::sleep(Duration::from_millis(random.below(40) as u64));
                        match random.below(4) {
                            0 => evict(server, &mut random, 20),
                            1 => proxy.cut_all(),
                            _ => {}
                        }
                    }
                });
                let built = std::panic::catch_unwind(|| is_right(at, &words, expected, seed));
                is_over.store(true, Relaxed);
                built.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            });
            evict(&server, rng, 30);
            if rng.chance(50) {
                // What it had learnt it still has, or has not.
                let memory = server.memory().clone();
                drop(server);
                server = if rng.chance(50) {
                    Server::with(offer.clone(), memory, 0).unwrap()
                } else {
                    Server::start(offer.clone()).unwrap()
                };
                proxy.lead_to(server.socket());
                proxy.cut_all();
            }
        }
    });
}

#[test]
fn a_cache_that_falls_silent_costs_its_delay_once() {
    let server = Server::start(Offer::default()).unwrap();
    sharing(&workspace(), &server);
    for at in [0, 500] {
        let proxy = Proxy::always(server.socket(), LinkFault::Halted(Direction::Down, at)).unwrap();
        let workspace = workspace();
        let begin = Instant::now();
        let words = through(&proxy);
        let built = install(&workspace, &words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(built.files, without_cache());
        assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
        let warnings = workspace.events("remote_cache_failed");
        assert!(warnings.len() == 1 && built.ran.stderr.contains("no answer within 1 s"), "{warnings:?}");
    }
}

/// The N-th access to a file fails as on a full disk: an error, or a right result; and nothing stays wrong.
#[test]
fn a_disk_that_is_full_here_leaves_nothing_wrong() {
    let server = Server::start(Offer::default()).unwrap();
    sharing(&workspace(), &server);
    let expected = without_cache();
    let failed = AtomicU64::new(0);
    for_seeds(&seeds(12), |seed| {
        let workspace = workspace();
        let nth = 20 + Rng::new(seed).below(400);
        let full = taut().with_env("TAUT_TEST_FAULT", format!("{nth}:28"));
        let [a, b, c] = writing(&server);
        let call = workspace.run(&full, ["build", &a, &b, &c, "all"]);
        assert!(call.code < 100, "{}", call.stderr);
        if call.code != 0 {
            failed.fetch_add(1, Relaxed);
            assert!(call.stderr.contains("No space left on device"), "{}", call.stderr);
            assert!(!call.stderr.contains("os error"), "{}", call.stderr);
        }
        assert_eq!(sharing(&workspace, &server).files, expected, "{nth}");
        is_whole(&workspace);
    });
    assert!(failed.into_inner() > 0);
}

#[test]
fn what_is_here_under_another_name_is_not_fetched() {
    let server = Server::start(Offer::default()).unwrap();
    sharing(&workspace(), &server);
    let workspace = workspace();
    // Made here, by an action that the cache does not know.
    workspace.file(
        "other/TARGETS",
        r#"{"": {"type": "generic", "outs": ["l"], "cmds":
        ["yes \"$(cat source)\" | head -c 5000000 > l"], "deps": ["source"]}}"#,
    );
    workspace.file("other/source", "some text\n");
    let [a, b, c] = writing(&server);
    workspace.run(&taut(), ["build", &a, &b, &c, "other", ""]).exits(0);
    sharing(&workspace, &server);
    let traffic = &workspace.events("build_finished")[0]["remote_cache"];
    assert_eq!((&traffic["hits"], workspace.actions_run()), (&ACTIONS.into(), 0));
    assert!(traffic["fetched"].as_u64().unwrap() < 10_000, "{traffic}");
}

/// A large output that differs little from the one before, made on one machine and taken on another.
#[test]
fn of_a_new_version_of_a_large_output_only_new_chunks_move() {
    let server = Server::start(Offer { has_chunks: true, ..Offer::default() }).unwrap();
    let proxy = Proxy::delaying(server.socket(), Duration::ZERO).unwrap();
    let mut rng = Rng::new(1);
    let random: Vec<u8> = (0..6_000_000).map(|_| rng.bits() as u8).collect();
    let workspace = |text: &str| {
        let workspace = Workspace::new();
        workspace.file("random", &random).file("text", text);
        workspace.file(
            "TARGETS",
            r#"{"all": {"type": "generic", "outs": ["o"], "deps": ["random", "text"],
            "cmds": ["(head -c 3000000 random; cat text; tail -c 3000000 random) > o"]}}"#,
        );
        workspace
    };
    let words = ["--remote-cache", &proxy.address(), "--remote-cache-write"];
    let (maker, taker) = (workspace("one"), workspace("one"));
    let mut moved = Vec::new();
    for text in ["one", "another"] {
        for at in [&maker, &taker] {
            at.file("text", text);
            let before = proxy.bytes();
            install(at, &words);
            moved.push((proxy.bytes().0 - before.0, proxy.bytes().1 - before.1));
        }
        assert_eq!((maker.actions_run(), taker.actions_run()), (1, 0));
    }
    let [made, taken, made_again, taken_again] = moved[..] else { panic!("{moved:?}") };
    assert!(made.0 > 5_000_000 && taken.1 > 5_000_000, "{moved:?}");
    assert!(made_again.0 < 1_500_000 && taken_again.1 < 1_500_000, "{moved:?}");
}

#[test]
fn a_server_that_takes_no_results_is_sent_nothing() {
    let server = Server::start(Offer { takes_results: false, ..Offer::default() }).unwrap();
    sharing(&workspace(), &server);
    let calls = server.calls();
    assert_eq!(calls.keys().copied().collect::<Vec<_>>(), ["GetActionResult", "GetCapabilities"]);
    assert!(server.memory().blobs().is_empty());
}
