//! What goes wrong between builds and servers that execute their actions, by seeds: at the server, on the way, and
//! here. A build has the results of a build without a server, or ends with an error that names the server; and it ends.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use taut_digest::HashFunction;
use taut_remote::server::{ExecutionEnding, Fault, Faults, Offer, Server};
use taut_testkit::{Installed, Proxy, Rng, Workspace, for_seeds, seeds, times};

use super::{BOTH, here, taut, whole::is_whole, workspace};

/// No build of these few actions takes longer, whatever is waited for: three times the silence of an execution with the
/// sign of life that is asked for then, several times in a row.
const LONGEST: Duration = Duration::from_secs(300);

fn words(address: &str, naming: HashFunction) -> Vec<String> {
    let mut words = ["-r", address, "--max-attempts", "4"].map(str::to_owned).to_vec();
    words.extend((naming == HashFunction::Sha256).then(|| "--compatible".to_owned()));
    words
}

/// Installs everything; whether that succeeded, and then it is what was expected. Either way the build root is whole.
#[track_caller]
fn is_right(
    workspace: &Workspace,
    words: &[String],
    expected: &BTreeMap<String, String>,
    case: &str,
) -> bool {
    let begin = Instant::now();
    let Installed { ran, files: found } = workspace.install(&taut(), words, "all");
    assert!(begin.elapsed() < LONGEST, "{case}: {:?}", begin.elapsed());
    if ran.code == 0 {
        // One file is large: only names are shown.
        let names = |of: &BTreeMap<String, String>| of.keys().cloned().collect::<Vec<_>>();
        let differs = |name: &&String| found.get(*name) != expected.get(*name);
        let differing: Vec<_> = expected.keys().filter(differs).collect();
        assert!(differing.is_empty(), "{case}: {differing:?}");
        assert_eq!(names(&found), names(expected), "{case}");
    } else {
        assert_eq!(ran.code, 1, "{case}: {}", ran.stderr);
        // In the errors, not in what was shown on the way.
        let mut errors = ran.stderr.lines().skip_while(|line| !line.starts_with("error:"));
        let is_explained = errors.any(|line| line.contains("server ") || line.contains("lost"));
        assert!(is_explained && !ran.stderr.contains("panicked"), "{case}: {}", ran.stderr);
        // What a test that expects success shows.
        println!("{case}: {}", ran.stderr);
    }
    is_whole(workspace);
    ran.code == 0
}

/// Some contents are deleted.
fn evict(server: &Server, rng: &mut Rng, percent: u32) {
    for gone in server.memory().blobs() {
        if rng.chance(percent) {
            server.memory().remove(&gone);
        }
    }
}

#[test]
fn whatever_a_server_answers_results_are_right_or_there_are_none() {
    let expected = here(&workspace());
    let kinds = [
        Fault::Unavailable,
        Fault::Exhausted,
        Fault::Internal,
        Fault::Slow,
        Fault::Cut,
        Fault::Evicted,
        Fault::Flipped,
        Fault::Truncated,
        Fault::Longer,
        Fault::Shuffled,
    ];
    let (seeds, complete) = (seeds(8), AtomicU64::new(0));
    for_seeds(&seeds, |seed| {
        for naming in BOTH {
            let faults = Faults { seed, percent: 8, kinds: kinds.to_vec() };
            let max_batch_bytes = if seed % 3 == 0 { 4_000 } else { 0 };
            let offer = Offer { faults, max_batch_bytes, ..Offer::executing(naming, vec![]) };
            let server = Server::start(offer).unwrap();
            let words = words(&server.address(), naming);
            if is_right(&workspace(), &words, &expected, &format!("seed {seed} {naming:?}")) {
                complete.fetch_add(1, Relaxed);
            }
        }
    });
    assert!(complete.into_inner() > (seeds.end - seeds.start) / 2);
}

/// The network fails, answers are wrong now and then, executions end badly, the server loses contents between and
/// during builds, and is restarted.
#[test]
fn with_faults_of_the_link_results_are_right_or_the_build_fails() {
    let expected = here(&workspace());
    let edited = {
        let other = workspace();
        other.file("source", "another text\n");
        here(&other)
    };
    let (seeds, complete) = (seeds(4), AtomicU64::new(0));
    for_seeds(&seeds, |seed| {
        for naming in BOTH {
            let rng = &mut Rng::new(seed);
            let kinds = [Fault::Unavailable, Fault::Exhausted, Fault::Slow, Fault::Truncated, Fault::Cut];
            let percent = *rng.pick(&[0, 0, 0, 5]);
            let faults = Faults { seed, percent, kinds: kinds.into() };
            let endings = (0..20).map(|_| *rng.pick(&ENDINGS)).collect();
            let (has_zstd, has_chunks) = (rng.chance(50), rng.chance(50));
            let offer = Offer { faults, has_zstd, has_chunks, ..Offer::executing(naming, endings) };
            let mut server = Server::start(offer.clone()).unwrap();
            let proxy = Proxy::failing(server.socket(), seed, *rng.pick(&[0, 20, 60])).unwrap();
            let words = words(&proxy.address(), naming);
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
                        // A few times, so that a build can come to an end after that.
                        for _ in 0..random.below(6) {
                            std::thread::sleep(Duration::from_millis(random.below(400) as u64));
                            match random.below(3) {
                                _ if is_over.load(Relaxed) => return,
                                0 => evict(server, &mut random, 20),
                                1 => proxy.cut_all(),
                                _ => {}
                            }
                        }
                    });
                    let case = format!("seed {seed} {naming:?} round {round}");
                    if is_right(at, &words, expected, &case) {
                        complete.fetch_add(1, Relaxed);
                    }
                    is_over.store(true, Relaxed);
                });
                evict(&server, rng, *rng.clone().pick(&[0, 30, 100]));
                if rng.chance(50) {
                    // What it had learnt it still has, or has not.
                    let memory = server.memory().clone();
                    drop(server);
                    server = match rng.chance(50) {
                        true => Server::with(offer.clone(), memory, 0).unwrap(),
                        false => Server::start(offer.clone()).unwrap(),
                    };
                    proxy.lead_to(server.socket());
                    proxy.cut_all();
                }
            }
        }
    });
    // Most of them come to an end all the same.
    let (complete, count) = (complete.into_inner(), seeds.end - seeds.start);
    assert!(complete > 3 * count, "{complete} of {}", 6 * count);
}

const ENDINGS: [ExecutionEnding; 11] = [
    ExecutionEnding::Usual,
    ExecutionEnding::Usual,
    ExecutionEnding::Usual,
    ExecutionEnding::Usual,
    ExecutionEnding::Cut,
    ExecutionEnding::Forgotten,
    ExecutionEnding::WorkerLost,
    ExecutionEnding::Exhausted,
    ExecutionEnding::Evicted,
    ExecutionEnding::EvictedSilently,
    ExecutionEnding::OutputLost,
];

/// Contents are deleted at random while a chain of actions is executed and between builds, and nothing else goes wrong:
/// all of it is made again, and each build succeeds.
#[test]
fn contents_that_a_server_deletes_at_random_are_made_again() {
    let expected = here(&workspace());
    for_seeds(&seeds(6), |seed| {
        for naming in BOTH {
            let rng = &mut Rng::new(seed);
            let server = Server::start(Offer::executing(naming, vec![])).unwrap();
            let words = words(&server.address(), naming);
            let workspace = workspace();
            for round in 0..4 {
                // The last action of the chain runs, all others may have lost their outputs.
                workspace.file("more", if round % 2 == 0 { "more\n" } else { "changed\n" });
                let mut expected = expected.clone();
                if round % 2 == 1 {
                    let text = expected.get_mut("extra/extra").unwrap();
                    *text = text.replace("more", "changed");
                }
                let (is_over, mut random) = (AtomicBool::new(false), Rng::new(seed * 4 + round));
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        for _ in 0..random.below(4) {
                            std::thread::sleep(Duration::from_millis(random.below(150) as u64));
                            if !is_over.load(Relaxed) {
                                evict(&server, &mut random, 30);
                            }
                        }
                    });
                    let is_right =
                        is_right(&workspace, &words, &expected, &format!("seed {seed} {naming:?} {round}"));
                    is_over.store(true, Relaxed);
                    assert!(is_right, "seed {seed} {naming:?} round {round}");
                });
                let percent = *rng.pick(&[10, 50, 100]);
                evict(&server, rng, percent);
            }
        }
    });
}

/// Whichever single content it is, also one that only a directory at the server leads to, and whether an action or the
/// installation needs it then.
#[test]
fn any_content_that_a_server_loses_is_made_again() {
    let expected = here(&workspace());
    // All contents where the server keeps directories whole, some otherwise.
    let cases = [
        (HashFunction::GitSha1, "staged", 16),
        (HashFunction::GitSha1, "all", times(4)),
        (HashFunction::Sha256, "staged", times(4)),
        (HashFunction::Sha256, "all", times(4)),
    ];
    for (naming, built, count) in cases {
        for_seeds(&(0..count as u64), |number| {
            let (server, workspace) = (Server::start(Offer::executing(naming, vec![])).unwrap(), workspace());
            let words = words(&server.address(), naming);
            let call = ["build"].into_iter().chain(words.iter().map(String::as_str)).chain([built]);
            workspace.run(&taut(), call).exits(0);
            let mut contents = server.memory().blobs();
            contents.sort_unstable();
            let content = &contents[number as usize % contents.len()];
            server.memory().remove(content);
            let case = format!("{naming:?} {built} {content}");
            assert!(is_right(&workspace, &words, &expected, &case), "{case}");
        });
    }
}

/// The N-th access to a file here fails as on a full disk: an error, or a right result; and nothing stays wrong.
#[test]
fn a_disk_that_is_full_here_leaves_nothing_wrong() {
    let expected = here(&workspace());
    let failed = AtomicU64::new(0);
    for_seeds(&seeds(10), |seed| {
        let naming = BOTH[seed as usize % 2];
        let server = Server::start(Offer::executing(naming, vec![])).unwrap();
        let (words, workspace) = (words(&server.address(), naming), workspace());
        let nth = 20 + Rng::new(seed).below(300);
        let full = taut().with_env("TAUT_TEST_FAULT", format!("{nth}:28"));
        let ran = workspace.install(&full, &words, "all").ran;
        assert!(ran.code < 100, "access {nth}: {}", ran.stderr);
        if ran.code != 0 {
            failed.fetch_add(1, Relaxed);
            assert!(ran.stderr.contains("No space left on device"), "access {nth}: {}", ran.stderr);
            // It is not the server's fault.
            let blamed = format!("server {}", server.address());
            assert!(!ran.stderr.contains(&blamed), "access {nth}: {}", ran.stderr);
            assert!(!ran.stderr.contains("os error"), "access {nth}: {}", ran.stderr);
        }
        assert!(is_right(&workspace, &words, &expected, &format!("access {nth}")), "access {nth}");
    });
    assert!(failed.into_inner() > 0);
}
