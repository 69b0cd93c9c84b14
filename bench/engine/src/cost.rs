//! What a piece of work costs this process: processor time of all its threads, and allocated bytes.

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

/// The system's allocator, counting bytes in use.
struct Counting;

// Relaxed: read when no other thread works.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: each call is passed on unchanged; the counter does not affect what is returned.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's obligations are passed on with the arguments.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's obligations are passed on with the arguments.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's obligations are passed on with the arguments.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Wrapping: a negative difference is added modulo 2^64.
        IN_USE.fetch_add(size.wrapping_sub(layout.size()), Relaxed);
        // SAFETY: the caller's obligations are passed on with the arguments.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Bytes allocated and not freed, without the allocator's own overhead.
pub fn in_use() -> usize {
    IN_USE.load(Relaxed)
}

/// Processor time of this process so far, in nanoseconds.
pub fn cpu() -> f64 {
    // Of all threads, and not of what else runs on the machine.
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Runs once; the result, and nanoseconds of processor time.
pub fn once<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = cpu();
    let out = work();
    (out, cpu() - start)
}

/// The least duration of a sample, so that the time to read the clock is negligible.
const SAMPLE: f64 = 1e6;

/// Runs often; the median of nanoseconds of processor time for each run. Expensive work runs less often.
pub fn often<T>(mut work: impl FnMut() -> T) -> f64 {
    let mut work = || drop(std::hint::black_box(work()));
    let begin = Instant::now();
    let (_, mut first) = once(&mut work);
    let mut batch = 1_u32;
    // The first run may have cold caches: it only determines how many runs make up a sample.
    while first < SAMPLE && batch < 1 << 20 {
        batch *= 4;
        (_, first) = once(|| (0..batch).for_each(|_| work()));
    }
    let mut samples = Vec::new();
    let more = |samples: usize, so_far: u128| match samples {
        0 => true,
        // Milliseconds. At least one sample, three if that takes less than five seconds, then up to 25 within 600 ms.
        1..3 => so_far < 5_000,
        _ => samples < 25 && so_far < 600,
    };
    while more(samples.len(), begin.elapsed().as_millis()) {
        let (_, all) = once(|| (0..batch).for_each(|_| work()));
        samples.push(all / f64::from(batch));
    }
    median(samples)
}

/// The median.
pub fn median(mut samples: Vec<f64>) -> f64 {
    // The median, not the mean: one interruption by the system must not show.
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// What a measuring process reports to the one that started it.
#[derive(Default)]
pub struct Figures(Map<String, Value>);

impl Figures {
    /// Adds a figure.
    pub fn add(&mut self, name: &str, figure: f64) {
        self.0.insert(name.to_owned(), json!(figure));
    }

    /// Adds the result of a computation, in which all must agree.
    pub fn check(&mut self, name: &str, value: u64) {
        self.0.insert(format!("={name}"), json!(format!("{value:016x}")));
    }

    /// Prints the figures as one line of JSON.
    pub fn print(self) {
        println!("{}", Value::Object(self.0));
    }
}
