//! How far a build is: one line of state, and below it the actions that have run longest.

use std::time::Duration;

use taut_driver::Step;

use crate::voice::{AwaitedServer, Snapshot, StartedAction, count, figures::size};

/// How many running actions are shown.
const MAX_RUNNING_SHOWN: usize = 8;

fn name(open: &StartedAction, now: &Snapshot<'_>) -> String {
    let target = open.origin.as_ref().map(|origin| now.names.origin(origin));
    let mut name = target.map_or_else(|| open.output.clone(), |target| format!("{target} {}", open.output));
    if let Some(at) = &open.at {
        name += &format!(", at {at}");
    }
    // A name with escape codes would move the cursor of the display.
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// The actions whose processes run, with how long they do, longest first.
fn running<'s>(now: &'s Snapshot<'_>) -> Vec<(Duration, &'s StartedAction)> {
    let mut running: Vec<(Duration, &StartedAction)> = (now.open.values())
        .filter_map(|open| Some((now.at.saturating_duration_since(open.runs_since?), open)))
        .collect();
    running.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    running
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

/// `[12/40] 3 running, 2 from cache, 1 failed, 0:12, about 0:30 left`
fn state(now: &Snapshot<'_>, running: usize) -> String {
    let done = now.run + now.cached;
    // The estimate may be too small; what is done or has begun is certain.
    let all = now.to_do.unwrap_or(now.total).max(done + now.open.len());
    let mut text = format!("[{done}/{all}] {running} running");
    let at = |step: Step| now.open.values().filter(|open| open.step == Some(step)).count();
    let remotely = now.open.values().filter(|open| open.runs_since.is_some() && open.at.is_some()).count();
    match remotely {
        0 => {}
        all if all == running => text += " remotely",
        some => text += &format!(" ({some} remotely)"),
    }
    for (number, what) in [
        (at(Step::Queued), "queued"),
        (at(Step::Uploading), "uploading"),
        (at(Step::Downloading), "downloading"),
        (now.cached, "from cache"),
        (now.failed, "failed"),
    ] {
        if number > 0 {
            text += &format!(", {number} {what}");
        }
    }
    text += &format!(", {}", clock(now.elapsed()));
    // An action that takes longer than it did before leaves an estimate of nothing.
    if let Some(left) = now.left.filter(|left| left.as_secs() > 0) {
        text += &format!(", about {} left", clock(left));
    }
    text
}

/// `waiting for server cache:8980 to answer GetCapabilities (12 s)`
fn waiting(AwaitedServer { server, call, time }: &AwaitedServer) -> String {
    format!("waiting for server {server} to answer {call} ({} s)", time.as_secs())
}

/// `[downloading results] 12.5 MiB, 0:12`
pub(super) fn downloading(bytes: u64, elapsed: Duration, awaited: Option<&AwaitedServer>) -> String {
    let text = format!("[downloading results] {}, {}", size(bytes), clock(elapsed));
    awaited.map_or(text.clone(), |awaited| format!("{text}; {}", waiting(awaited)))
}

pub(super) fn line(now: &Snapshot<'_>) -> String {
    let running = running(now);
    let mut text = state(now, running.len());
    if let Some((time, open)) = running.first() {
        text += &format!("; longest: {} ({} s)", name(open, now), time.as_secs());
    }
    if let Some(awaited) = &now.waiting {
        text += &format!("; {}", waiting(awaited));
    }
    text
}

pub(super) fn frame(now: &Snapshot<'_>) -> Vec<String> {
    let running = running(now);
    let mut lines = vec![state(now, running.len())];
    // Three rows for the state, the line about more actions, and the cursor.
    let mut rows = now.rows.saturating_sub(3);
    if let Some(awaited) = now.waiting.as_ref().filter(|_| rows > 0) {
        rows -= 1;
        lines.push(format!("          {}", waiting(awaited)));
    }
    let shown = MAX_RUNNING_SHOWN.min(rows);
    for (time, open) in running.iter().take(shown) {
        lines.push(format!("{:6.1} s  {}", time.as_secs_f64(), name(open, now)));
    }
    if running.len() > shown && shown > 0 {
        lines.push(format!("          and {}", count(running.len() - shown, "more action")));
    }
    lines
}
