//! A proxy between a client and any server, with faults of the network by a seed: it passes bytes and knows no
//! protocol.
//!
//! The same seed and the same order of connections have the same faults, each at the same byte. What TCP guarantees the
//! proxy breaks only on request ([`Proxy::damaging`]): that is for encrypted connections, whose ends notice it.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use crate::Rng;

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// What goes wrong with a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkFault {
    /// It is closed as soon as it is there.
    Refused,
    /// It is cut for both sides after so many bytes of one way.
    Cut(Direction, u64),
    /// One way ends after so many bytes, as if the sender had no more.
    Ended(Direction, u64),
    /// After so many bytes of one way no more come, and the connection stays.
    Halted(Direction, u64),
    /// From so many bytes on, each piece takes twice as long as the one before.
    Slower(Direction, u64),
    /// A bit is another one.
    Flipped(Direction, u64),
    /// A byte comes twice.
    Repeated(Direction, u64),
    /// Two bytes change places.
    Swapped(Direction, u64),
}

/// The fault of a connection, and the number of the connection.
type Choice = dyn Fn(u64) -> Option<LinkFault> + Send + Sync;

struct ProxyState {
    target: Mutex<SocketAddr>,
    choice: Box<Choice>,
    /// How long bytes are under way, in each direction.
    delay: Duration,
    is_over: AtomicBool,
    connections: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    streams: Mutex<Vec<TcpStream>>,
}

impl ProxyState {
    fn streams(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        // The list is whole also after a panic: it only grows by whole elements and is drained.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut_all(&self) {
        for stream in self.streams().drain(..) {
            // A clone is the same socket, so this ends the reads and writes of the threads that hold the others.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A running proxy; it ends when this is dropped.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<ProxyState>,
}

impl Proxy {
    /// Passes everything on, each byte after a delay.
    ///
    /// # Errors
    /// It cannot listen.
    pub fn delaying(target: SocketAddr, delay: Duration) -> io::Result<Proxy> {
        Proxy::start(target, delay, |_| None)
    }

    /// Faults of a network that TCP does not hide, in some of a hundred connections.
    ///
    /// # Errors
    /// It cannot listen.
    pub fn failing(target: SocketAddr, seed: u64, percent: u32) -> io::Result<Proxy> {
        Proxy::start(target, Duration::ZERO, move |number| {
            let (mut rng, way, at) = begin(seed, number);
            rng.chance(percent).then(|| match rng.below(6) {
                0 => LinkFault::Refused,
                1 | 2 => LinkFault::Cut(way, at),
                3 => LinkFault::Ended(way, at),
                4 => LinkFault::Halted(way, at),
                _ => LinkFault::Slower(way, at),
            })
        })
    }

    /// Faults that TCP hides from programs, in some of a hundred connections.
    ///
    /// # Errors
    /// It cannot listen.
    pub fn damaging(target: SocketAddr, seed: u64, percent: u32) -> io::Result<Proxy> {
        Proxy::start(target, Duration::ZERO, move |number| {
            let (mut rng, way, at) = begin(seed, number);
            rng.chance(percent).then(|| match rng.below(3) {
                0 => LinkFault::Flipped(way, at),
                1 => LinkFault::Repeated(way, at),
                _ => LinkFault::Swapped(way, at),
            })
        })
    }

    /// The same fault in each connection.
    ///
    /// # Errors
    /// It cannot listen.
    pub fn always(target: SocketAddr, fault: LinkFault) -> io::Result<Proxy> {
        Proxy::start(target, Duration::ZERO, move |_| Some(fault))
    }

    /// Passes connections on to an address; `choice`: the fault of the connection with a number, from 0.
    ///
    /// # Errors
    /// It cannot listen.
    pub fn start(
        target: SocketAddr,
        delay: Duration,
        choice: impl Fn(u64) -> Option<LinkFault> + Send + Sync + 'static,
    ) -> io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (is_over, connections, up, down, streams) = Default::default();
        let (target, choice) = (Mutex::new(target), Box::new(choice));
        let state = Arc::new(ProxyState { target, choice, delay, is_over, connections, up, down, streams });
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.is_over.load(SeqCst) {
                    return;
                }
                if let Ok(client) = stream {
                    connect(&shared, client);
                }
            }
        });
        Ok(Proxy { address, state })
    }

    /// Where it listens, as an option has it.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Leads new connections to another server.
    pub fn lead_to(&self, target: SocketAddr) {
        *self.state.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// How many connections were made.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Relaxed)
    }

    /// How many bytes were passed on, up and down.
    pub fn bytes(&self) -> (u64, u64) {
        (self.state.up.load(Relaxed), self.state.down.load(Relaxed))
    }

    /// Cuts all connections, as a server does that is restarted.
    pub fn cut_all(&self) {
        self.state.cut_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.is_over.store(true, SeqCst);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
        self.state.cut_all();
    }
}

/// The random numbers of a connection; which way has the fault, and after how many bytes: as often among the first 64
/// as in the fourth megabyte.
fn begin(seed: u64, number: u64) -> (Rng, Direction, u64) {
    // Each seed has 2^32 streams of its own: the second connection of seed 0 is not the first of seed 1.
    let mut rng = Rng::new(seed.wrapping_mul(0x1_0000_0001).wrapping_add(number));
    let way = if rng.chance(40) { Direction::Up } else { Direction::Down };
    let magnitude = 1_usize << rng.below(23);
    let at = rng.below(magnitude) as u64;
    (rng, way, at)
}

fn connect(state: &Arc<ProxyState>, client: TcpStream) {
    // Every connection gets another number in any ordering, and no other memory is read on account of it.
    let number = state.connections.fetch_add(1, Relaxed);
    let fault = (state.choice)(number);
    if fault == Some(LinkFault::Refused) {
        // With a reset, not an ordinary end, where there is something unread.
        return;
    }
    let target = *state.target.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(server) = TcpStream::connect(target) else { return };
    // Nagle's algorithm would add delays to those of the proxy.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let Ok(clones) = [&client, &server].map(TcpStream::try_clone).into_iter().collect::<io::Result<Vec<_>>>()
    else {
        return;
    };
    state.streams().extend(clones);
    for way in [Direction::Up, Direction::Down] {
        let (Ok(client), Ok(server)) = (client.try_clone(), server.try_clone()) else {
            continue;
        };
        let state = state.clone();
        thread::spawn(move || {
            let (from, to) = if way == Direction::Up { (client, server) } else { (server, client) };
            pass(&state, way, fault, &from, &to);
        });
    }
}

/// Bytes, and when they arrive.
type Piece = (Instant, Vec<u8>);

/// Passes the bytes of one way on, until it ends.
fn pass(state: &Arc<ProxyState>, way: Direction, fault: Option<LinkFault>, from: &TcpStream, to: &TcpStream) {
    // Without a bound: a reader that waited for the writer would stamp pieces too late, and a delay would limit the
    // throughput.
    let (sender, pieces) = channel::<Piece>();
    thread::scope(|scope| {
        scope.spawn(|| {
            // Both ends, so that a side that goes on sending notices.
            if write(state, way, fault, &pieces, to) == End::Cut {
                let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            } else {
                let _ = to.shutdown(Shutdown::Write);
            }
            // By this the reader notices that nothing more is passed on.
            drop(pieces);
        });
        let mut from = from;
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now() + state.delay, buffer[..count].to_vec())).is_err() {
                break;
            }
        }
        // The writer ends by this, after all that is on its way.
        drop(sender);
    });
}

/// How a way ended.
#[derive(PartialEq, Eq)]
enum End {
    Ended,
    Cut,
}

fn write(
    state: &ProxyState,
    way: Direction,
    fault: Option<LinkFault>,
    pieces: &Receiver<Piece>,
    mut to: &TcpStream,
) -> End {
    let counter = if way == Direction::Up { &state.up } else { &state.down };
    let (mut at, mut pause) = (0_u64, Duration::from_millis(1));
    while let Ok((when, mut bytes)) = pieces.recv() {
        thread::sleep(when.saturating_duration_since(Instant::now()));
        // The place of a fault in this piece, if it is there.
        let place = |of: Direction, after: u64| {
            (of == way).then(|| after.checked_sub(at)).flatten().and_then(|place| usize::try_from(place).ok())
        };
        let inside =
            |of: Direction, after: u64, bytes: &[u8]| place(of, after).filter(|place| *place < bytes.len());
        let mut end = None;
        match fault {
            Some(LinkFault::Cut(of, after) | LinkFault::Ended(of, after) | LinkFault::Halted(of, after)) => {
                if let Some(place) = inside(of, after, &bytes) {
                    bytes.truncate(place);
                    end = fault;
                }
            }
            // From 1 ms on, doubled: after some twenty pieces it is slower than any time limit of a client.
            Some(LinkFault::Slower(of, after)) if of == way && at + bytes.len() as u64 > after => {
                sleep_unless_over(state, pause);
                pause *= 2;
            }
            Some(LinkFault::Flipped(of, after)) => {
                if let Some(place) = inside(of, after, &bytes) {
                    // The bit depends on the place, so the seed determines it, too.
                    bytes[place] ^= 1 << (after % 8);
                }
            }
            Some(LinkFault::Repeated(of, after)) => {
                if let Some(place) = inside(of, after, &bytes) {
                    bytes.insert(place, bytes[place]);
                }
            }
            Some(LinkFault::Swapped(of, after)) => {
                // Two bytes in different pieces stay in order: the first has been passed on.
                if let Some(place) = inside(of, after + 1, &bytes).filter(|place| *place > 0) {
                    bytes.swap(place, place - 1);
                }
            }
            _ => {}
        }
        at += bytes.len() as u64;
        // Counted first, so that a test that has received the bytes finds them counted.
        counter.fetch_add(bytes.len() as u64, Relaxed);
        if to.write_all(&bytes).is_err() {
            return End::Cut;
        }
        match end {
            Some(LinkFault::Cut(..)) => return End::Cut,
            Some(LinkFault::Ended(..)) => return End::Ended,
            Some(_) => {
                // What comes is taken, and goes nowhere; also the end does not.
                while pieces.recv().is_ok() {}
                sleep_unless_over(state, Duration::MAX);
                return End::Cut;
            }
            None => {}
        }
    }
    End::Ended
}

fn sleep_unless_over(state: &ProxyState, pause: Duration) {
    let begin = Instant::now();
    while !state.is_over.load(SeqCst) && begin.elapsed() < pause {
        // In short pieces, so that the threads of a dropped proxy end soon.
        thread::sleep(pause.min(Duration::from_millis(20)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what comes.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || _ = io::copy(&mut stream.try_clone().unwrap(), &mut stream));
            }
        });
        address
    }

    /// What comes back of a text; `None` if nothing comes for some time, which no busy machine reaches, and is short
    /// where a halt is waited for.
    fn through(proxy: &Proxy, text: &[u8], longest: Duration) -> Option<Vec<u8>> {
        let mut stream = TcpStream::connect(proxy.address).unwrap();
        stream.set_read_timeout(Some(longest)).unwrap();
        let _ = (stream.write_all(text), stream.shutdown(Shutdown::Write));
        let mut back = Vec::new();
        let mut buffer = [0; 1000];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return Some(back),
                Ok(count) => back.extend(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                // A read with a time limit is interrupted also by a stopped and continued process (signal(7)).
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Some(back),
            }
        }
    }

    #[test]
    fn bytes_pass_with_the_fault_that_was_chosen() {
        let server = echo();
        let (long, short) = (Duration::from_secs(60), Duration::from_secs(1));
        let within = |fault, longest| through(&Proxy::always(server, fault).unwrap(), b"0123456789", longest);
        let back = |fault| within(fault, long);
        let delaying = Proxy::delaying(server, Duration::from_millis(5)).unwrap();
        assert_eq!(through(&delaying, b"all", long).unwrap(), b"all");
        assert_eq!(back(LinkFault::Refused).unwrap(), b"");
        for way in [Direction::Up, Direction::Down] {
            assert_eq!(back(LinkFault::Ended(way, 4)).unwrap(), b"0123");
            assert!(b"0123".starts_with(&back(LinkFault::Cut(way, 4)).unwrap()));
            assert_eq!(within(LinkFault::Halted(way, 4), short), None);
            assert_eq!(back(LinkFault::Flipped(way, 4)).unwrap(), b"0123$56789");
            assert_eq!(back(LinkFault::Repeated(way, 4)).unwrap(), b"01234456789");
            assert_eq!(back(LinkFault::Swapped(way, 4)).unwrap(), b"0123546789");
        }
    }

    #[test]
    fn the_same_seed_has_the_same_faults() {
        let of = |seed| (0..100).map(|number| begin(seed, number).2).collect::<Vec<_>>();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn a_delay_is_of_each_way_and_not_of_each_piece() {
        let proxy = Proxy::delaying(echo(), Duration::from_millis(40)).unwrap();
        let begin = Instant::now();
        let text = vec![7; 1_000_000];
        assert_eq!(through(&proxy, &text, Duration::from_secs(60)).unwrap(), text);
        let took = begin.elapsed();
        assert!(took >= Duration::from_millis(80), "{took:?}");
        assert_eq!(proxy.bytes(), (1_000_000, 1_000_000));
    }

    #[test]
    fn connections_can_be_cut_and_lead_elsewhere() {
        let proxy = Proxy::delaying(echo(), Duration::ZERO).unwrap();
        let mut stream = TcpStream::connect(proxy.address).unwrap();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        proxy.cut_all();
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
        proxy.lead_to(echo());
        assert_eq!(through(&proxy, b"again", Duration::from_secs(60)).unwrap(), b"again");
        assert_eq!(proxy.connections(), 2);
    }
}
