//! Blobs whose size is not known, in justbuild's native protocol: each comes once, however large it is, and is
//! compared with its name.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use taut_digest::{Digest, HashFunction};
use taut_remote::{
    Address, Client, Patience, Setup,
    server::{Fault, Faults, Offer, Server},
};
use taut_service::{Buffer, Cas, Error, Receiver, wait};
use taut_testkit::{Direction, LinkFault, Proxy};

const NATIVE: HashFunction = HashFunction::GitSha1;

/// More than the client holds in memory.
const LARGE: usize = 17 << 20;

fn start(faults: Faults) -> Server {
    Server::start(Offer { faults, ..Offer::executing(NATIVE, Vec::new()) }).unwrap()
}

fn client(address: &str) -> Client {
    client_with(Patience::default().attempts, address)
}

fn client_with(attempts: u32, address: &str) -> Client {
    let patience = Patience {
        attempts,
        first_pause: Duration::from_millis(1),
        max_pause: Duration::from_millis(4),
        ..Patience::default()
    };
    let address = Address::parse(address).unwrap();
    Client::new(Setup {
        address,
        instance: String::new(),
        tls: None,
        naming: NATIVE,
        executes: true,
        patience,
    })
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect()
}

/// Adds a blob to a server; its name without the size.
fn add(server: &Server, bytes: &[u8]) -> Digest {
    let hash = NATIVE.blob(bytes).tagged(false);
    server.memory().insert(hash, bytes.to_vec());
    Digest { hash, size: 0 }
}

fn get(client: &Client, wanted: Digest, receiver: Arc<dyn Receiver>) -> Result<(), Error> {
    wait(client.get(vec![(wanted, receiver)])).unwrap().remove(0)
}

/// Takes a blob, and does not have it afterwards.
#[derive(Default)]
struct Passing(Mutex<Vec<u8>>);

impl Receiver for Passing {
    fn begin(&self) -> io::Result<()> {
        self.0.lock().unwrap().clear();
        Ok(())
    }

    fn piece(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }
}

#[test]
fn each_comes_once_also_if_it_is_large() {
    for size in [1, 1000, LARGE] {
        let (server, bytes, buffer) = (start(Faults::default()), bytes(size), Arc::new(Buffer::default()));
        let wanted = add(&server, &bytes);
        assert_eq!(get(&client(&server.address()), wanted, buffer.clone()), Ok(()));
        assert!(buffer.take() == bytes);
        assert_eq!(server.calls()["Read"], 1, "{size}");
    }
}

#[test]
fn one_that_cannot_be_read_where_it_went_comes_again() {
    let (server, bytes, passing) = (start(Faults::default()), bytes(LARGE), Arc::new(Passing::default()));
    let wanted = add(&server, &bytes);
    assert_eq!(get(&client(&server.address()), wanted, passing.clone()), Ok(()));
    assert!(*passing.0.lock().unwrap() == bytes);
    assert_eq!(server.calls()["Read"], 2);
}

/// Each connection carries less than a tenth of it.
#[test]
fn one_goes_on_over_many_connections() {
    let (server, bytes, buffer) = (start(Faults::default()), bytes(LARGE), Arc::new(Buffer::default()));
    let wanted = add(&server, &bytes);
    let proxy = Proxy::always(server.socket(), LinkFault::Cut(Direction::Down, 1_500_000)).unwrap();
    // A reset connection may lose all that it carried, and that several times in a row on a busy machine.
    assert_eq!(get(&client_with(30, &proxy.address()), wanted, buffer.clone()), Ok(()));
    assert!(buffer.take() == bytes);
    assert!(proxy.connections() > 10, "{}", proxy.connections());
}

#[test]
fn wrong_bytes_are_noticed_at_any_size() {
    for fault in [Fault::Flipped, Fault::Truncated, Fault::Longer] {
        for size in [1000, LARGE] {
            let server = start(Faults::always(fault));
            let wanted = add(&server, &bytes(size));
            let answer = get(&client(&server.address()), wanted, Arc::new(Buffer::default()));
            assert_eq!(answer, Err(Error::Corrupt(wanted)), "{fault:?} {size}");
        }
    }
}

/// What was wrong in one attempt is void in the next.
#[test]
fn a_wrong_attempt_is_followed_by_a_right_one() {
    let faults = Faults { seed: 1, percent: 50, kinds: vec![Fault::Flipped, Fault::Longer] };
    let (server, bytes) = (start(faults), bytes(LARGE));
    let wanted = add(&server, &bytes);
    let client = client(&server.address());
    let mut right = 0;
    for _ in 0..4 {
        let buffer = Arc::new(Buffer::default());
        match get(&client, wanted, buffer.clone()) {
            Ok(()) => assert!(buffer.take() == bytes),
            Err(error) => {
                assert_eq!(error, Error::Corrupt(wanted));
                continue;
            }
        }
        right += 1;
    }
    assert!(right > 0 && server.calls()["Read"] > 4, "{right} {:?}", server.calls());
}
