//! The rounds of a fetch: every URL, then after a pause again those whose failure may pass.
//!
//! A server that does not answer comes last, and is not asked again once it is known to be down (`servers.rs`).
//!
//! Downloads and fetches by git are alike in this; what an attempt leaves for the next one at the same URL is its own
//! affair.

use std::time::{Duration, Instant};

use crate::{Cause, Error, Progress, Result, Servers, TriedUrl, servers::Server, url::without_password};

/// How often URLs are tried, and how long the pauses are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retries {
    /// How often a URL is tried in all, if its failures are of a kind that passes.
    pub attempts: u32,
    /// The time before the second attempt; it doubles with each further one.
    pub initial_backoff: Duration,
    /// The longest time between two attempts.
    pub max_backoff: Duration,
}

impl Default for Retries {
    fn default() -> Retries {
        // The doubling backoff of most clients. A minute bounds it, since a user waits.
        Retries { attempts: 3, initial_backoff: Duration::from_secs(1), max_backoff: Duration::from_secs(60) }
    }
}

/// What has been done with a URL.
struct Attempts<'u, S> {
    url: &'u str,
    server: Server,
    /// What attempts leave for each other; absent if another one would fail, too.
    state: Option<S>,
    count: u32,
    cause: Option<Cause>,
}

impl Retries {
    /// Makes attempts until one succeeds. `begin`: the state before the first attempt at a URL.
    ///
    /// # Errors
    /// All URLs failed, or one did so that no other needs to be tried.
    pub(crate) fn run<'u, S, T>(
        &self,
        urls: &'u [String],
        servers: &Servers,
        progress: &dyn Progress,
        begin: impl Fn(&'u str) -> S,
        attempt: impl Fn(&'u str, &mut S) -> std::result::Result<T, Cause>,
    ) -> Result<T> {
        let mut all: Vec<Attempts<'u, S>> = Vec::new();
        for url in urls {
            // A mirror that is listed twice is one.
            if all.iter().all(|other| other.url != url) {
                let server = servers.of(url);
                all.push(Attempts { url, server, state: Some(begin(url)), count: 0, cause: None });
            }
        }
        let rounds = self.attempts.max(1);
        let mut backoff = self.initial_backoff;
        // All mirrors before any of them again: another server is more likely to answer than the same one after a
        // pause.
        'rounds: for round in 1..=rounds {
            let mut order: Vec<usize> = (0..all.len()).collect();
            // The sort is stable: among servers that answer, the order of the description is kept.
            order.sort_by_key(|index| all[*index].server.is_silent());
            for index in order {
                let attempts = &mut all[index];
                // Put back only if another attempt makes sense; what it received stays with it, to be resumed.
                let Some(mut state) = attempts.state.take() else { continue };
                attempts.count += 1;
                let done = attempt(attempts.url, &mut state);
                attempts.server.note(done.as_ref().err());
                let cause = match done {
                    Ok(done) => return Ok(done),
                    Err(cause) => attempts.cause.insert(cause),
                };
                // No other URL would do better.
                if cause.is_final() {
                    break 'rounds;
                }
                let is_unreachable = matches!(cause, Cause::Unreachable(_));
                // Only after all rounds: a server that misses one request may be restarting.
                if is_unreachable && round == rounds {
                    attempts.server.note_down();
                }
                let is_down = is_unreachable && attempts.server.is_down();
                if cause.may_pass() && !is_down && round < rounds {
                    attempts.state = Some(state);
                }
            }
            // Only now: if a mirror has it, nothing is tried again.
            let again = || all.iter().filter(|attempts| attempts.state.is_some());
            for attempts in again() {
                attempts.cause.iter().for_each(|cause| progress.retry(attempts.url, cause));
            }
            if again().next().is_none() || !sleep(backoff, progress) {
                break;
            }
            backoff = (backoff * 2).min(self.max_backoff);
        }
        let tried = all.into_iter().filter_map(|attempts| {
            let url = without_password(attempts.url);
            Some(TriedUrl { url, attempts: attempts.count, cause: attempts.cause? })
        });
        Err(Error { tried: tried.collect() })
    }
}

/// Waits; returns whether the fetch is still wanted.
fn sleep(time: Duration, progress: &dyn Progress) -> bool {
    let end = Instant::now() + time;
    while !progress.is_cancelled() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        // In short steps, as a cancellation does not wake the thread.
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
    false
}
