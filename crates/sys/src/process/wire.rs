//! The protocol between a build and a runner: frames of a length (4 bytes) and that many bytes.
//!
//! All numbers are little endian; a string is its length (8 bytes) and its bytes. Both ends are the same binary, so
//! there is no version, and nothing is checked but completeness.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Command, Exit, Status};

/// From the build to a runner.
#[derive(Debug, PartialEq)]
pub(super) enum Request {
    /// Start this process, and report its end under this number. Working directory, standard output and standard error
    /// come as descriptors with the first byte.
    Start(u64, Command),
    /// End the process of this number, if it runs.
    End(u64),
}

/// From a runner to the build: the process of this number has ended.
#[derive(Debug, PartialEq)]
pub(super) struct Report(pub(super) u64, pub(super) Exit);

// By hand: two messages do not need a library for serialisation.
struct Writer(Vec<u8>);

impl Writer {
    fn new(tag: u8) -> Writer {
        // The length is filled in at the end (`frame`).
        Writer(vec![0, 0, 0, 0, tag])
    }

    fn number(&mut self, number: u64) -> &mut Writer {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Writer {
        self.number(bytes.len() as u64).0.extend(bytes);
        self
    }

    fn path(&mut self, path: &Path) -> &mut Writer {
        self.bytes(path.as_os_str().as_bytes())
    }

    fn frame(mut self) -> Vec<u8> {
        // The kernel limits arguments and environment to a quarter of the stack limit (execve(2)).
        let len = u32::try_from(self.0.len() - 4).expect("a command is shorter than 4 GiB");
        self.0[..4].copy_from_slice(&len.to_le_bytes());
        self.0
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn number(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*bytes))
    }

    fn string(&mut self) -> Option<OsString> {
        let len = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(OsString::from_vec(bytes.to_vec()))
    }

    fn path(&mut self) -> Option<PathBuf> {
        self.string().map(PathBuf::from)
    }
}

/// No timeout, as a number of milliseconds.
// A number in place of an optional field: the layout is the same for all commands.
const NO_TIMEOUT: u64 = u64::MAX;

fn milliseconds(time: Duration) -> u64 {
    // A time that does not fit is longer than 500 million years.
    u64::try_from(time.as_millis()).unwrap_or(NO_TIMEOUT)
}

impl Request {
    /// Tag 0; the number, the timeout, the grace period (both in milliseconds), the program, the arguments, the
    /// environment as names and values; lists begin with their length.
    pub(super) fn start(id: u64, command: &Command) -> Vec<u8> {
        let mut w = Writer::new(0);
        w.number(id)
            .number(command.timeout.map_or(NO_TIMEOUT, milliseconds))
            .number(milliseconds(command.grace));
        w.path(&command.program).number(command.args.len() as u64);
        for arg in &command.args {
            w.bytes(arg.as_bytes());
        }
        w.number(command.env.len() as u64);
        for (name, value) in &command.env {
            w.bytes(name.as_bytes()).bytes(value.as_bytes());
        }
        w.frame()
    }

    /// Tag 1; the number.
    pub(super) fn end(id: u64) -> Vec<u8> {
        let mut w = Writer::new(1);
        w.number(id);
        w.frame()
    }

    pub(super) fn decode(payload: &[u8]) -> Option<Request> {
        let mut r = Reader(payload);
        Some(match r.byte()? {
            0 => {
                let id = r.number()?;
                let timeout = Some(r.number()?).filter(|&ms| ms != NO_TIMEOUT).map(Duration::from_millis);
                let grace = Duration::from_millis(r.number()?);
                let program = r.path()?;
                let args = (0..r.number()?).map(|_| r.string()).collect::<Option<_>>()?;
                let env =
                    (0..r.number()?).map(|_| Some((r.string()?, r.string()?))).collect::<Option<_>>()?;
                Request::Start(id, Command { program, args, env, timeout, grace })
            }
            1 => Request::End(r.number()?),
            _ => return None,
        })
    }
}

impl Report {
    /// In place of a number: the process that was requested last. The helper sends it when it cannot fork a runner,
    /// since it does not know the number.
    pub(super) const LAST_REQUESTED: u64 = 0;

    /// The tag is the kind of end: 0 exited, 1 killed by a signal, 2 not started. Then the number of the process; the
    /// exit code, signal or error number; flags (1 timed out, 2 left processes behind); CPU time in microseconds.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Report(id, exit) = self;
        let (kind, number) = match exit.status {
            Status::Code(code) => (0, code),
            Status::Signal(signal) => (1, signal),
            Status::NotStarted(errno) => (2, errno),
        };
        let mut w = Writer::new(kind);
        // By way of `u32`, so that a negative number is not extended to 64 bits.
        w.number(*id).number(number as u32 as u64);
        w.number(u64::from(exit.timed_out) | u64::from(exit.left_behind) << 1);
        w.number(u64::try_from(exit.cpu.as_micros()).unwrap_or(u64::MAX));
        w.frame()
    }

    pub(super) fn decode(payload: &[u8]) -> Option<Report> {
        let mut r = Reader(payload);
        let kind = r.byte()?;
        let id = r.number()?;
        let number = r.number()? as u32 as i32;
        let status = match kind {
            0 => Status::Code(number),
            1 => Status::Signal(number),
            2 => Status::NotStarted(number),
            _ => return None,
        };
        let flags = r.number()?;
        let cpu = Duration::from_micros(r.number()?);
        Some(Report(id, Exit { status, timed_out: flags & 1 != 0, cpu, left_behind: flags & 2 != 0 }))
    }
}

/// Bytes that were received and not decoded yet.
#[derive(Default)]
pub(super) struct Incoming {
    buffer: Vec<u8>,
    taken: usize,
}

impl Incoming {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        // Here, not in `next_frame`, which returns a part of the buffer: what was taken is no longer borrowed.
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend(bytes);
    }

    /// The payload of the next complete frame.
    pub(super) fn next_frame(&mut self) -> Option<&[u8]> {
        let (len, rest) = self.buffer[self.taken..].split_first_chunk::<4>()?;
        // The length is trusted: at the other end of the socket is this very program.
        let len = u32::from_le_bytes(*len) as usize;
        let payload = rest.get(..len)?;
        self.taken += 4 + len;
        Some(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_decoded_however_the_stream_is_split() {
        let command = Command {
            env: vec![("A".into(), "".into()), (OsString::from_vec(vec![0xff]), "x".into())],
            timeout: Some(Duration::from_millis(7)),
            grace: Duration::ZERO,
            ..Command::new("/bin/sh").args(["-c", ""])
        };
        let stream = [Request::start(3, &command), Request::end(9)].concat();
        for size in 1..stream.len() {
            let (mut incoming, mut seen) = (Incoming::default(), Vec::new());
            for piece in stream.chunks(size) {
                incoming.push(piece);
                while let Some(frame) = incoming.next_frame() {
                    seen.push(Request::decode(frame).unwrap());
                }
            }
            assert_eq!(seen, [Request::Start(3, command.clone()), Request::End(9)]);
        }
        for status in [Status::Code(-1), Status::Signal(9), Status::NotStarted(2)] {
            let exit = Exit { status, timed_out: true, cpu: Duration::from_micros(7), left_behind: false };
            let frame = Report(1, exit).encode();
            assert_eq!(Report::decode(&frame[4..]), Some(Report(1, exit)));
        }
    }
}
