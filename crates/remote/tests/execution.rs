//! The client against a server that executes, in the same process: all cases in both protocols, and what becomes of
//! faults.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use taut_digest::{Digest, HashFunction};
use taut_proto::{Action, Command, Message};
use taut_remote::{
    Address, Client, Patience, Setup,
    server::{CUT_AFTER, ExecutionEnding, Offer, Server, SimulatedExecution, Worker},
};
use taut_service::{
    Blob, Cas, Error, Execute, Executed, Executor, Memory, NoProgress, Progress, Stage, wait,
};
use taut_testkit::{Direction, LinkFault, Proxy, services};

const BOTH: [HashFunction; 2] = [HashFunction::GitSha1, HashFunction::Sha256];

fn patience() -> Patience {
    Patience {
        first_pause: Duration::from_millis(1),
        max_pause: Duration::from_millis(4),
        deadline: Duration::from_millis(500),
        ..Patience::default()
    }
}

fn client(server: &Server, naming: HashFunction) -> Client {
    Client::new(setup(server, naming))
}

fn client_at(address: &str, naming: HashFunction, patience: Patience) -> Client {
    Client::new(setup_at(address, naming, patience))
}

fn setup(server: &Server, naming: HashFunction) -> Setup {
    setup_at(&server.address(), naming, patience())
}

fn setup_at(address: &str, naming: HashFunction, patience: Patience) -> Setup {
    let address = Address::parse(address).unwrap();
    Setup { address, instance: String::new(), tls: None, naming, executes: true, patience }
}

fn start(naming: HashFunction, endings: &[ExecutionEnding]) -> (Server, Client) {
    let server = Server::start(Offer::executing(naming, endings.to_vec())).unwrap();
    let client = client(&server, naming);
    (server, client)
}

/// Puts an action that writes its one output.
fn action(client: &Client) -> Digest {
    let put = |bytes: Vec<u8>| {
        let digest = Digest { hash: HashFunction::Sha256.blob(&bytes), size: bytes.len() as u64 };
        let blob = Blob { digest, source: Arc::new(bytes) };
        wait(client.put(vec![blob])).unwrap().remove(0).unwrap();
        taut_proto::Digest { hash: digest.hash.to_hex(), size_bytes: digest.size as i64 }
    };
    let command = Command {
        arguments: ["/bin/sh", "-c", "echo made > out"].map(str::to_owned).to_vec(),
        output_paths: vec!["out".to_owned()],
        ..Command::default()
    };
    let (command_digest, input_root_digest) = (Some(put(command.encode_to_vec())), Some(put(Vec::new())));
    let action = put(Action { command_digest, input_root_digest, ..Action::default() }.encode_to_vec());
    Digest {
        hash: taut_digest::Hash::from_hex(&action.hash).unwrap(),
        size: action.size_bytes.try_into().unwrap(),
    }
}

fn execute(client: &Client, action: Digest) -> Result<Executed, Error> {
    wait(client.execute(Execute { action, skips_cache: false }, Arc::new(NoProgress)))
}

#[test]
fn passes_the_cases() {
    for naming in BOTH {
        services::check_executor(&Worker(Arc::new(Memory::new(naming))));
        let (_server, client) = start(naming, &[]);
        services::check_executor(&client);
        let (_server, client) = start(naming, &[]);
        services::check_server(&client);
    }
}

#[test]
fn a_stream_that_is_cut_goes_on_where_it_was() {
    let (server, client) = start(HashFunction::Sha256, &[ExecutionEnding::Cut]);
    let executed = execute(&client, action(&client)).unwrap();
    assert_eq!(executed.result.output_files.len(), 1);
    assert_eq!((server.calls()["Execute"], server.calls()["WaitExecution"]), (1, 1));
}

#[test]
fn an_action_is_executed_again_if_the_server_forgets_it_or_loses_its_worker() {
    for ending in [
        ExecutionEnding::Forgotten,
        ExecutionEnding::ForgottenAsInternal,
        ExecutionEnding::WorkerLost,
        ExecutionEnding::Exhausted,
        ExecutionEnding::Abandoned,
    ] {
        let (server, client) = start(HashFunction::Sha256, &[ending]);
        let executed = execute(&client, action(&client)).unwrap();
        assert_eq!((executed.result.output_files.len(), server.calls()["Execute"]), (1, 2), "{ending:?}");
    }
}

#[test]
fn an_execution_that_a_server_says_has_failed_is_not_waited_for() {
    let (server, client) = start(HashFunction::Sha256, &[ExecutionEnding::Abandoned; 100]);
    let error = execute(&client, action(&client)).unwrap_err();
    assert!(matches!(error, Error::NotExecuted { .. }), "{error}");
    assert_eq!(error.to_string(), "Execute: Execution failed");
    assert_eq!((server.calls()["Execute"], server.calls().get("WaitExecution")), (3, None));
}

#[test]
fn executions_that_end_late_in_the_same_way_are_bounded_in_number() {
    for (ending, why) in [
        (ExecutionEnding::WorkerLost, "Execute: the worker is lost"),
        (ExecutionEnding::CutUnnamed, "Execute: the connection is cut (tried 3 times)"),
    ] {
        let server = Server::start(Offer::executing(HashFunction::Sha256, vec![ending; 100])).unwrap();
        let mut setup = setup(&server, HashFunction::Sha256);
        // Each counts as one that has lasted for a while.
        setup.patience.steady = Duration::ZERO;
        // And none as that of a server that is restarted.
        setup.patience.restart = Duration::ZERO;
        let client = Client::new(setup);
        let error = execute(&client, action(&client)).unwrap_err();
        assert_eq!(error.to_string(), why);
        assert_eq!(server.calls()["Execute"], 3, "{ending:?}");
    }
}

#[test]
fn an_operation_of_which_nothing_is_heard_is_not_waited_for_without_end() {
    let server =
        Server::start(Offer::executing(HashFunction::Sha256, vec![ExecutionEnding::CutAndAbandoned]))
            .unwrap();
    let mut setup = setup(&server, HashFunction::Sha256);
    // Only the silence ends the wait, however slow the machine is.
    (setup.patience.silence, setup.patience.deadline) = (Duration::from_millis(5), Duration::from_secs(60));
    let client = Client::new(setup);
    let executed = execute(&client, action(&client)).unwrap();
    assert_eq!(executed.result.output_files.len(), 1);
    assert_eq!((server.calls()["Execute"], server.calls()["WaitExecution"]), (2, 1));
}

#[test]
fn attempts_are_bounded() {
    for (ending, is_of_action) in [
        (ExecutionEnding::Forgotten, false),
        (ExecutionEnding::ForgottenAsInternal, false),
        (ExecutionEnding::WorkerLost, true),
        (ExecutionEnding::Exhausted, true),
    ] {
        let (server, client) = start(HashFunction::Sha256, &[ending; 100]);
        match execute(&client, action(&client)).unwrap_err() {
            Error::NotExecuted { .. } if is_of_action => {}
            Error::Transient { call: "Execute", .. } if !is_of_action => {}
            error => panic!("{ending:?}: {error}"),
        }
        assert!(server.calls()["Execute"] <= 8, "{ending:?}: {:?}", server.calls());
    }
}

#[test]
fn what_is_missing_at_the_server_is_named() {
    let (_server, client) = start(HashFunction::Sha256, &[ExecutionEnding::Evicted]);
    let action = action(&client);
    assert_eq!(execute(&client, action), Err(Error::InputsMissing(vec![action])));
}

#[test]
fn a_refusal_is_about_one_action_only() {
    let (_server, client) = start(HashFunction::Sha256, &[ExecutionEnding::Refused]);
    let action = action(&client);
    let error = execute(&client, action).unwrap_err();
    assert_eq!(error.to_string(), "Execute: no worker has these properties");
    assert!(execute(&client, action).is_ok());
}

#[test]
fn an_action_that_took_too_long_is_a_result() {
    let (_server, client) = start(HashFunction::Sha256, &[ExecutionEnding::TimedOut]);
    assert!(execute(&client, action(&client)).unwrap().timed_out);
}

#[test]
fn stages_are_reported_once_each() {
    #[derive(Default)]
    struct Seen(Mutex<Vec<Stage>>);
    impl Progress for Seen {
        fn stage(&self, stage: Stage) {
            self.0.lock().unwrap().push(stage);
        }
    }
    let (_server, client) = start(HashFunction::Sha256, &[]);
    let seen = Arc::new(Seen::default());
    let action = action(&client);
    wait(client.execute(Execute { action, skips_cache: false }, seen.clone())).unwrap();
    assert_eq!(*seen.0.lock().unwrap(), [Stage::Queued, Stage::Running]);
}

#[test]
fn an_execution_that_is_no_longer_wanted_is_ended_at_the_server() {
    let (server, client) = start(HashFunction::Sha256, &[ExecutionEnding::Silent]);
    let client = Arc::new(client);
    let action = action(&client);
    let waiting = {
        let client = client.clone();
        std::thread::spawn(move || execute(&client, action))
    };
    while !server.calls().contains_key("Execute") {
        std::thread::sleep(Duration::from_millis(5));
    }
    // The name of the operation is in the first answer.
    std::thread::sleep(Duration::from_millis(100));
    client.give_up();
    assert_eq!(waiting.join().unwrap(), Err(Error::Off));
    assert_eq!(server.calls()["CancelOperation"], 1);
}

/// At some point of an execution the first connection becomes silent, and neither end notices.
#[test]
fn an_execution_on_a_connection_that_fell_silent_goes_on_over_another_one() {
    for after in (100..1300).step_by(100) {
        // With and without calls that get another connection meanwhile.
        for has_others in [false, true] {
            let server = Server::start(Offer::executing(HashFunction::Sha256, vec![])).unwrap();
            let action = action(&client(&server, HashFunction::Sha256));
            let is_first = move |number| (number == 0).then_some(LinkFault::Halted(Direction::Down, after));
            let target = (std::net::Ipv4Addr::LOCALHOST, server.port()).into();
            let proxy = Proxy::start(target, Duration::ZERO, is_first).unwrap();
            let patience = Patience {
                deadline: Duration::from_millis(150),
                silence: Duration::from_millis(300),
                ..patience()
            };
            let client = client_at(&proxy.address(), HashFunction::Sha256, patience);
            let is_over = AtomicBool::new(false);
            std::thread::scope(|scope| {
                if has_others {
                    scope.spawn(|| {
                        while !is_over.load(Relaxed) {
                            let _ = wait(client.missing(vec![action]));
                            std::thread::sleep(Duration::from_millis(20));
                        }
                    });
                }
                let executed = execute(&client, action);
                is_over.store(true, Relaxed);
                assert!(executed.is_ok(), "after {after} bytes: {executed:?}");
            });
        }
    }
}

/// So many streams that the connection would be cut if the client closed each (h2 bears 1,024).
const MIN_ENDS: usize = 1_400;

#[test]
fn streams_that_end_after_their_last_message_cost_no_connection() {
    let simulated = Some(SimulatedExecution { cores: MIN_ENDS, takes: Duration::ZERO });
    let ends_streams_after = Duration::from_millis(10);
    let offer = Offer { simulated, ends_streams_after, ..Offer::executing(HashFunction::Sha256, Vec::new()) };
    let server = Server::start(offer).unwrap();
    // Further away than the end is late, so that the end is under way when the client has the last message.
    let proxy = Proxy::delaying(server.socket(), Duration::from_millis(30)).unwrap();
    let client = client_at(&proxy.address(), HashFunction::Sha256, patience());
    let (action, left) = (action(&client), AtomicUsize::new(MIN_ENDS));
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
                    execute(&client, action).unwrap();
                }
            });
        }
    });
    let calls = server.calls();
    assert_eq!((calls["Execute"], calls.get("WaitExecution")), (MIN_ENDS as u64, None));
}

#[test]
fn streams_that_a_proxy_cuts_after_a_while_are_no_failures_in_a_row() {
    let cut_by_proxy = |steady| {
        let server =
            Server::start(Offer::executing(HashFunction::Sha256, vec![ExecutionEnding::CutOften(9)]))
                .unwrap();
        let mut setup = setup(&server, HashFunction::Sha256);
        setup.patience = Patience { steady, max_slow: Duration::from_secs(60), ..setup.patience };
        let client = Client::new(setup);
        let executed = execute(&client, action(&client));
        (executed, server.calls()["Execute"])
    };
    let (executed, count) = cut_by_proxy(CUT_AFTER / 2);
    assert_eq!((executed.unwrap().result.output_files.len(), count), (1, 1));
    // If they end sooner than a proxy would cut them, the server is out of order.
    let (executed, _) = cut_by_proxy(CUT_AFTER * 100);
    assert!(matches!(executed, Err(Error::Transient { call: "Execute", .. })), "{executed:?}");
}

/// An execution during which the server ends, and how it ends if another one starts on the same port after a second.
fn through_a_restart(restart: Duration) -> Result<Executed, Error> {
    let server =
        Server::start(Offer::executing(HashFunction::Sha256, vec![ExecutionEnding::Silent])).unwrap();
    let mut setup = setup(&server, HashFunction::Sha256);
    setup.patience = Patience { restart, max_slow: Duration::from_secs(60), ..setup.patience };
    let client = Arc::new(Client::new(setup));
    let action = action(&client);
    let waiting = {
        let client = client.clone();
        std::thread::spawn(move || execute(&client, action))
    };
    while !server.calls().contains_key("Execute") {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(100));
    let (memory, port) = (server.memory().clone(), server.port());
    drop(server);
    std::thread::sleep(Duration::from_secs(1));
    let offer = Offer::executing(HashFunction::Sha256, Vec::new());
    // Kept until the end.
    let _again = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        Server::with(offer.clone(), memory.clone(), port).ok()
    });
    waiting.join().unwrap()
}

#[test]
fn a_server_that_is_restarted_is_waited_for_if_that_is_wanted() {
    assert_eq!(through_a_restart(Duration::from_secs(30)).unwrap().result.output_files.len(), 1);
    let error = through_a_restart(Duration::ZERO).unwrap_err();
    assert!(matches!(error, Error::Transient { attempts: 3, .. }), "{error}");
}

#[test]
fn a_server_that_was_never_there_is_not_waited_for() {
    let server = Server::start(Offer::executing(HashFunction::Sha256, Vec::new())).unwrap();
    let mut setup = setup(&server, HashFunction::Sha256);
    drop(server);
    setup.patience.restart = Duration::from_secs(600);
    let error = wait(Client::new(setup).missing(vec![])).unwrap_err();
    assert!(matches!(error, Error::Transient { attempts: 3, .. }), "{error}");
}

#[test]
fn a_server_has_to_execute_and_to_name_contents_as_the_call_does() {
    let error = |offer: Offer, naming| {
        let server = Server::start(offer).unwrap();
        let client = client(&server, naming);
        wait(client.missing(vec![])).and_then(|_| wait(client.missing(vec![]))).unwrap_err().to_string()
    };
    let executing = |naming| Offer::executing(naming, vec![]);
    let [native, standard] = BOTH;
    assert!(error(Offer::default(), standard).contains("it is a cache only"));
    assert!(error(executing(native), standard).contains("SHA-256"));
    assert!(error(executing(standard), native).contains("--compatible"));
}

/// In justbuild's protocol a server takes no tree before what is in it.
#[test]
fn a_tree_is_put_with_what_is_in_it_and_behind_it() {
    let naming = HashFunction::GitSha1;
    // All in one batch, or each in one of its own.
    for (max_batch_bytes, calls) in [(0, 1), (200, 3)] {
        let offer = Offer { max_batch_bytes, ..Offer::executing(naming, Vec::new()) };
        let server = Server::start(offer).unwrap();
        let client = client(&server, naming);
        let blob = |bytes: Vec<u8>, is_tree: bool| {
            let hash = if is_tree { naming.tree(&bytes) } else { naming.blob(&bytes) };
            let digest = Digest { hash: hash.tagged(is_tree), size: bytes.len() as u64 };
            Blob { digest, source: Arc::new(bytes) }
        };
        let entry =
            |mode: &str, hash: &taut_digest::Hash| [mode.as_bytes(), b" name\0", hash.as_bytes()].concat();
        let text = b"text".to_vec();
        let file = blob(text.clone(), false);
        let inner = entry("100644", &naming.blob(&text));
        let outer = blob(entry("40000", &naming.tree(&inner)), true);
        let levels = vec![vec![file.clone()], vec![blob(inner, true)], vec![outer.clone()]];
        assert_eq!(wait(client.put_levels(levels)), Ok(()));
        assert_eq!(server.calls()["BatchUpdateBlobs"], calls);
        assert_eq!(wait(client.missing(vec![file.digest, outer.digest])), Ok(vec![]));

        // The first that cannot be put is the error.
        let other = blob(entry("100644", &naming.blob(b"not there")), true);
        let answer = wait(client.put_levels(vec![vec![other]]));
        assert!(matches!(answer, Err(Error::Final { .. })), "{answer:?}");
    }
}
