//! The cases that every implementation of `Cas`, `ActionCache` and `Executor` has to pass: memory, a build root, a
//! service behind a network.

mod executor;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use taut_digest::{Digest, HashFunction};
use taut_proto::{ActionResult, OutputSymlink};

use taut_service::{ActionCache, Blob, Buffer, Cas, Error, Receiver, Source, wait};

pub use executor::check as check_executor;

/// More than any service takes in one batch.
// The limit of a gRPC message is 4 MiB by default.
const LARGE_BYTES: usize = 4 << 20;

/// Checks an implementation of blobs and results that holds nothing of these cases yet.
///
/// # Panics
/// It does not pass.
pub fn check<S: Cas + ActionCache>(service: &S) {
    all(&Named { service, is_tagged: false });
}

/// The same of a server: in the native protocol, names there say what they are about ([`taut_digest::Hash::tagged`]).
///
/// # Panics
/// It does not pass.
pub fn check_server<S: Cas + ActionCache>(service: &S) {
    all(&Named { service, is_tagged: service.hash_function() == HashFunction::GitSha1 });
}

/// A service, and how blobs are named there.
struct Named<'s, S> {
    service: &'s S,
    is_tagged: bool,
}

impl<S> std::ops::Deref for Named<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        self.service
    }
}

fn all<S: Cas + ActionCache>(service: &Named<'_, S>) {
    blobs_that_were_put_can_be_got(service);
    what_is_missing_is_listed_once_and_in_order(service);
    an_absent_blob_is_no_failure_of_the_others(service);
    a_large_blob_passes_in_pieces(service);
    a_blob_under_a_wrong_name_is_refused(service);
    a_source_that_fails_is_an_error_of_this_side(service);
    the_last_result_of_an_action_is_found(service);
    many_ask_at_once(service);
}

fn blob(service: &Named<'_, impl Cas>, bytes: impl Into<Vec<u8>>) -> Blob {
    let bytes = bytes.into();
    let hash = service.hash_function().blob(&bytes);
    let hash = if service.is_tagged { hash.tagged(false) } else { hash };
    Blob { digest: Digest { hash, size: bytes.len() as u64 }, source: Arc::new(bytes) }
}

fn put(service: &Named<'_, impl Cas>, blobs: Vec<Blob>) {
    for answer in wait(service.put(blobs)).expect("they can be put") {
        answer.expect("each can be put");
    }
}

fn get(service: &Named<'_, impl Cas>, digest: Digest) -> Result<Vec<u8>, Error> {
    let buffer = Arc::new(Buffer::default());
    let receiver: Arc<dyn Receiver> = buffer.clone();
    let answers = wait(service.get(vec![(digest, receiver)]))?;
    answers.into_iter().next().expect("one answer for each")?;
    Ok(buffer.take())
}

fn blobs_that_were_put_can_be_got(service: &Named<'_, impl Cas>) {
    // The empty blob, too, which servers may treat as always present.
    let texts = ["", "a", "another one", "with \0 and \u{ff}"];
    put(service, texts.iter().map(|text| blob(service, *text)).collect());
    for text in texts {
        assert_eq!(get(service, blob(service, text).digest).as_deref(), Ok(text.as_bytes()));
    }
    // Again, which changes nothing.
    put(service, vec![blob(service, "a"), blob(service, "a")]);
    assert_eq!(get(service, blob(service, "a").digest), Ok(b"a".to_vec()));
}

fn what_is_missing_is_listed_once_and_in_order(service: &Named<'_, impl Cas>) {
    put(service, vec![blob(service, "there")]);
    let digest = |text: &str| blob(service, text).digest;
    let (there, no, none) = (digest("there"), digest("no"), digest("none"));
    let missing = wait(service.missing(vec![none, there, no, none]));
    assert_eq!(missing, Ok(vec![none, no]));
    assert_eq!(wait(service.missing(vec![there])), Ok(vec![]));
    assert_eq!(wait(service.missing(vec![])), Ok(vec![]));
}

fn an_absent_blob_is_no_failure_of_the_others(service: &Named<'_, impl Cas>) {
    put(service, vec![blob(service, "present")]);
    let (present, absent) = (blob(service, "present").digest, blob(service, "absent").digest);
    let buffers = [Arc::new(Buffer::default()), Arc::new(Buffer::default())];
    let wanted = [absent, present].into_iter().zip(&buffers);
    let wanted = wanted.map(|(digest, buffer)| (digest, buffer.clone() as Arc<dyn Receiver>)).collect();
    assert_eq!(wait(service.get(wanted)), Ok(vec![Err(Error::NotFound(absent)), Ok(())]));
    assert_eq!(buffers[1].take(), b"present");
}

/// Bytes that are cheap to make and do not repeat.
struct TestContent(AtomicU64);

impl Source for TestContent {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.fetch_add(1, Relaxed);
        let count = buffer.len().min(LARGE_BYTES.saturating_sub(offset as usize));
        for (at, byte) in buffer[..count].iter_mut().enumerate() {
            let position = offset + at as u64;
            *byte = (position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
        }
        Ok(count)
    }
}

fn a_large_blob_passes_in_pieces(service: &Named<'_, impl Cas>) {
    let mut bytes = vec![0; LARGE_BYTES];
    let source = TestContent(AtomicU64::new(0));
    source.read_at(0, &mut bytes).expect("it is made");
    let digest = blob(service, bytes.clone()).digest;
    // With a small one beside it, so that both ways of sending are taken in one call.
    put(service, vec![Blob { digest, source: Arc::new(source) }, blob(service, "beside it")]);
    assert!(get(service, digest) == Ok(bytes));
    assert_eq!(wait(service.missing(vec![digest])), Ok(vec![]));
}

fn a_blob_under_a_wrong_name_is_refused(service: &Named<'_, impl Cas>) {
    let digest = blob(service, "what it should be").digest;
    let wrong = Blob { digest, source: Arc::new(b"what it is really".to_vec()) };
    let answers = wait(service.put(vec![wrong, blob(service, "right")])).expect("the call is answered");
    assert!(answers[0].is_err() && answers[1].is_ok(), "{answers:?}");
    assert_eq!(get(service, digest), Err(Error::NotFound(digest)));
}

struct Broken;

impl Source for Broken {
    fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("gone"))
    }
}

fn a_source_that_fails_is_an_error_of_this_side(service: &Named<'_, impl Cas>) {
    // One that is sent in a batch, and one that is sent as a stream.
    for size in [4, LARGE_BYTES as u64] {
        let digest = Digest { hash: service.hash_function().blob(b"gone"), size };
        let broken = Blob { digest, source: Arc::new(Broken) };
        let answers = wait(service.put(vec![broken])).expect("the call is answered");
        assert!(matches!(&answers[..], [Err(Error::Local(_))]), "{answers:?}");
    }
}

fn the_last_result_of_an_action_is_found(service: &Named<'_, impl Cas + ActionCache>) {
    let action = blob(service, "an action").digest;
    assert_eq!(wait(service.look_up(action)), Ok(None));
    for target in ["first", "second"] {
        let link = OutputSymlink { path: "link".to_owned(), target: target.to_owned() };
        let result = ActionResult { output_symlinks: vec![link], ..ActionResult::default() };
        assert_eq!(wait(service.store(action, result.clone())), Ok(()));
        assert_eq!(wait(service.look_up(action)), Ok(Some(result)));
    }
}

fn many_ask_at_once(service: &Named<'_, impl Cas>) {
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for number in 0..20 {
                    // Half of them are the same in all threads.
                    let text =
                        if number % 2 == 0 { format!("{number}") } else { format!("{thread} {number}") };
                    put(service, vec![blob(service, text.clone())]);
                    assert_eq!(get(service, blob(service, text.clone()).digest), Ok(text.into_bytes()));
                }
            });
        }
    });
}
