//! Why something could not be fetched: each URL that was tried, with its cause.

use std::{error, fmt};

use taut_digest::Hash;

/// Nothing could be fetched from any URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// What was tried, in this order; repeated attempts at a URL are one.
    // All of them, not the last: the first mirror's failure is often the one that can be repaired.
    pub tried: Vec<TriedUrl>,
}

/// A URL that was tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TriedUrl {
    /// The URL, without a password that it may have.
    pub url: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub cause: Cause,
}

/// Why an attempt failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The URL is malformed, or of a scheme that is not supported.
    Url(String),
    /// There is no server of that name; the library's words.
    UnknownHost(String),
    /// There was no answer: no connection could be made, or nothing came through it; the words of the library or of
    /// `git`.
    Unreachable(String),
    /// The server stops sending, ends the connection, or cannot answer now; the words of the library or of `git`.
    // Apart from `Unreachable`, since a server that ends connections is there: it is asked again where another is
    // given up.
    Connection(String),
    /// The server has no certificate that is trusted, or does not speak TLS; the library's words.
    Tls(String),
    /// The server does not speak HTTP, or redirects without end; the library's words.
    Protocol(String),
    /// The server answered with this status.
    Status(u16),
    /// The connection was cut, or the server sent nothing for too long.
    Cut {
        /// How many bytes had come.
        bytes: u64,
        /// How many there should have been, if the server announced it.
        total: Option<u64>,
        /// The library's words.
        why: String,
    },
    /// The content is larger than the limit in bytes.
    TooLarge(u64),
    /// The content has another hash.
    Mismatch {
        /// Which hash.
        hash: &'static str,
        /// What it should be, in hexadecimal.
        expected: String,
        /// What it is.
        actual: String,
    },
    /// A local file cannot be read or written; the system's words.
    File(String),
    /// `git` or another command failed; what it printed.
    Command(String),
    /// What was fetched does not contain the commit or tree that was asked for.
    NotContained(String),
    /// A command made no directory that is the tree.
    NoTree {
        /// The id of the tree.
        tree: Hash,
        /// The tree of the directory that the command ran in, when it had ended.
        made: Hash,
        /// How the command failed, if it did.
        failure: Option<String>,
        /// The last of what it printed.
        printed: String,
    },
    /// The repository that is written to cannot be read or written.
    Repository(taut_git::Error),
    /// The fetch is no longer wanted.
    Cancelled,
}

impl Cause {
    /// Whether another attempt at the same URL may succeed.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Cause::Unreachable(_) | Cause::Connection(_) | Cause::Cut { .. } => true,
            Cause::Status(status) => status_may_pass(*status),
            // Unknown hosts, TLS, other statuses, hashes: the same request would have the same answer.
            _ => false,
        }
    }

    /// Whether it shows that there is a server, or that there is none; `None` if it says nothing of that.
    pub(crate) fn is_answer(&self) -> Option<bool> {
        match self {
            Cause::UnknownHost(_) | Cause::Unreachable(_) => Some(false),
            Cause::Connection(_)
            | Cause::Tls(_)
            | Cause::Protocol(_)
            | Cause::Status(_)
            | Cause::Cut { .. }
            | Cause::TooLarge(_)
            | Cause::Mismatch { .. }
            | Cause::NotContained(_) => Some(true),
            Cause::Url(_)
            | Cause::File(_)
            | Cause::Command(_)
            | Cause::NoTree { .. }
            | Cause::Repository(_)
            | Cause::Cancelled => None,
        }
    }

    /// Whether nothing else needs to be tried, since it would fail in the same way.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Cause::Cancelled | Cause::Repository(_))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Url(why)
            | Cause::UnknownHost(why)
            | Cause::Unreachable(why)
            | Cause::Connection(why)
            | Cause::Tls(why)
            | Cause::Protocol(why)
            | Cause::File(why)
            | Cause::Command(why) => f.write_str(why),
            Cause::Status(status) => write!(f, "the server answered {}", status_text(*status)),
            Cause::Cut { bytes, total: Some(total), why } => {
                write!(f, "the transfer was cut after {bytes} of {total} bytes: {why}")
            }
            Cause::Cut { bytes, total: None, why } => {
                write!(f, "the transfer was cut after {bytes} bytes: {why}")
            }
            Cause::TooLarge(limit) => write!(f, "it is larger than {limit} bytes"),
            Cause::Mismatch { hash, expected, actual } => {
                write!(f, "its {hash} is {actual}, not {expected}")
            }
            Cause::NotContained(what) => write!(f, "it does not contain {what}"),
            Cause::NoTree { tree, failure, printed, .. } => {
                match failure {
                    Some(failure) => write!(f, "the command {failure}")?,
                    None => f.write_str("the command succeeded")?,
                }
                let tree = tree.to_hex();
                write!(f, "; neither the directory that it ran in nor one below is the tree {tree}")?;
                match last_lines(printed) {
                    "" => Ok(()),
                    lines => write!(f, "; it printed\n{lines}"),
                }
            }
            Cause::Repository(error) => error.fmt(f),
            Cause::Cancelled => f.write_str("cancelled"),
        }
    }
}

/// The last lines of what a command printed: they say most about what went wrong.
fn last_lines(printed: &str) -> &str {
    const MAX_LINES: usize = 40;
    // From the end: the beginning of a long output is progress, as a rule.
    match printed.rmatch_indices('\n').nth(MAX_LINES - 1) {
        Some((end, _)) => &printed[end + 1..],
        None => printed,
    }
}

/// Whether a later request may have another answer: after a request timeout, too many requests, failures of servers or
/// gateways.
pub(crate) fn status_may_pass(status: u16) -> bool {
    // 501 is missing: what a server has not implemented it will not have after a pause (RFC 9110, 15.5 and 15.6; 429
    // is of RFC 6585).
    matches!(status, 408 | 429 | 500 | 502..=504)
}

/// A status of HTTP, with its meaning if users meet it.
pub(crate) fn status_text(status: u16) -> String {
    match reason(status) {
        Some(reason) => format!("{status} ({reason})"),
        None => status.to_string(),
    }
}

/// The words for statuses that users meet.
fn reason(status: u16) -> Option<&'static str> {
    Some(match status {
        401 => "authentication is needed",
        403 => "forbidden",
        404 => "not found",
        407 => "the proxy wants authentication",
        408 => "request timeout",
        410 => "gone",
        429 => "too many requests",
        500 => "internal server error",
        502 => "bad gateway",
        503 => "service unavailable",
        504 => "gateway timeout",
        _ => return None,
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, tried) in self.tried.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}: {}", tried.url, tried.cause)?;
            if tried.attempts > 1 {
                write!(f, " ({} attempts)", tried.attempts)?;
            }
        }
        Ok(())
    }
}

impl error::Error for Error {}

/// The result of a fetch.
pub type Result<T> = std::result::Result<T, Error>;
