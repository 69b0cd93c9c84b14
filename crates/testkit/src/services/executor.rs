//! The cases that every implementation that executes has to pass: a worker in this process, a service behind a network.

use std::sync::{Arc, Mutex, PoisonError};

use taut_digest::{Digest, HashFunction};
use taut_proto::{self as proto, Action, Command, Message};

use taut_service::{Blob, Buffer, Cas, Error, Execute, Executed, Executor, NoProgress, Receiver, wait};

/// Checks an implementation that executes POSIX commands and knows no action of these cases yet.
///
/// # Panics
/// It does not pass.
pub fn check<S: Cas + Executor>(service: &S) {
    an_action_leaves_its_outputs(service);
    an_exit_code_is_a_result(service);
    a_known_result_is_taken_unless_it_is_not_wanted(service);
    what_is_missing_is_no_result(service);
    many_are_executed_at_once(service);
}

/// The name of a blob at a service.
fn named(service: &impl Cas, bytes: &[u8], is_tree: bool) -> Digest {
    let function = service.hash_function();
    let hash = if is_tree { function.tree(bytes) } else { function.blob(bytes) };
    // The native protocol of justbuild marks trees in the name.
    let hash = if function == HashFunction::GitSha1 { hash.tagged(is_tree) } else { hash };
    Digest { hash, size: bytes.len() as u64 }
}

fn put(service: &impl Cas, bytes: Vec<u8>, is_tree: bool) -> Digest {
    let digest = named(service, &bytes, is_tree);
    let answers = wait(service.put(vec![Blob { digest, source: Arc::new(bytes) }]));
    answers.expect("it can be put").into_iter().for_each(|answer| answer.expect("it can be put"));
    digest
}

fn to_wire(digest: &Digest) -> proto::Digest {
    proto::Digest { hash: digest.hash.to_hex(), size_bytes: digest.size as i64 }
}

/// An action with a command of the shell that writes `out`. `is_there`: whether its inputs are put.
fn action(service: &impl Cas, command: &str, is_there: bool) -> Digest {
    let words = ["/bin/sh", "-c", command].map(str::to_owned).to_vec();
    let outputs = vec!["out".to_owned()];
    let command = Command {
        arguments: words,
        // Both the old fields (API 2.0) and the new one (2.1): servers read one or the other.
        output_files: outputs.clone(),
        output_paths: outputs,
        ..Command::default()
    };
    // The empty directory: its encoding is empty in either form.
    let inputs = put(service, Vec::new(), true);
    let command = command.encode_to_vec();
    let command = match is_there {
        true => put(service, command, false),
        false => named(service, &command, false),
    };
    let action = Action {
        command_digest: Some(to_wire(&command)),
        input_root_digest: Some(to_wire(&inputs)),
        ..Action::default()
    };
    put(service, action.encode_to_vec(), false)
}

fn execute(service: &impl Executor, action: Digest, skips_cache: bool) -> Result<Executed, Error> {
    wait(service.execute(Execute { action, skips_cache }, Arc::new(NoProgress)))
}

fn text(service: &impl Cas, digest: &Option<proto::Digest>) -> String {
    let digest = digest.as_ref().expect("a digest");
    let hash = taut_digest::Hash::from_protocol_hex(&digest.hash).expect("a hash");
    let buffer = Arc::new(Buffer::default());
    let receiver: Arc<dyn Receiver> = buffer.clone();
    let wanted = vec![(Digest { hash, size: digest.size_bytes as u64 }, receiver)];
    wait(service.get(wanted)).expect("an answer").remove(0).expect("it is there");
    String::from_utf8(buffer.take()).expect("text")
}

fn an_action_leaves_its_outputs<S: Cas + Executor>(service: &S) {
    let action = action(service, "echo made > out; echo printed", true);
    let Executed { result, was_cached, timed_out, .. } = execute(service, action, false).expect("a result");
    assert_eq!((result.exit_code, was_cached, timed_out), (0, false, false));
    assert_eq!(text(service, &result.output_files[0].digest), "made\n");
    // A server may return short output in the result itself.
    if result.stdout_raw.is_empty() {
        assert_eq!(text(service, &result.stdout_digest), "printed\n");
    }
}

fn an_exit_code_is_a_result<S: Cas + Executor>(service: &S) {
    let action = action(service, "echo why >&2; exit 3", true);
    let Executed { result, .. } = execute(service, action, false).expect("a result");
    assert_eq!((result.exit_code, result.output_files.len()), (3, 0));
}

fn a_known_result_is_taken_unless_it_is_not_wanted<S: Cas + Executor>(service: &S) {
    let action = action(service, "echo known > out", true);
    assert!(!execute(service, action, false).expect("a result").was_cached);
    assert!(execute(service, action, false).expect("a result").was_cached);
    assert!(!execute(service, action, true).expect("a result").was_cached);
}

fn what_is_missing_is_no_result<S: Cas + Executor>(service: &S) {
    let action = action(service, "echo never > out", false);
    let error = execute(service, action, false).expect_err("the command is not there");
    // Some servers name what is missing (`FAILED_PRECONDITION` with violations), others only fail.
    assert!(matches!(error, Error::InputsMissing(_) | Error::Final { .. }), "{error}");
}

fn many_are_executed_at_once<S: Cas + Executor>(service: &S) {
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        // So many that some wait for others.
        for number in 0..8 {
            let results = &results;
            let thread = std::thread::Builder::new().spawn_scoped(scope, move || {
                let action = action(service, &format!("echo {number} > out"), true);
                let result = execute(service, action, false).expect("a result").result;
                let made = text(service, &result.output_files[0].digest);
                results.lock().unwrap_or_else(PoisonError::into_inner).push(made);
            });
            thread.expect("a thread");
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable();
    assert_eq!(results, (0..8).map(|number| format!("{number}\n")).collect::<Vec<_>>());
}
