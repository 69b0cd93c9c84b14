//! Faults of a server, chosen by a seed: the same seed and the same calls have the same faults.

/// What goes wrong in a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The call fails, and may succeed later.
    Unavailable,
    /// The server is too busy, or full.
    Exhausted,
    /// The call fails for no given reason.
    Internal,
    /// There is never an answer.
    Hang,
    /// The answer takes a while.
    Slow,
    /// The connection is cut in the middle of what is sent next.
    Cut,
    /// Bytes are missing at the end of blobs.
    Truncated,
    /// A byte of blobs is another one.
    Flipped,
    /// More bytes come than there are.
    Longer,
    /// Parts of an answer are in another order, and some come twice.
    Shuffled,
    /// A blob is gone.
    Evicted,
    /// A result refers to blobs that do not exist, or with another size.
    Mistaken,
    /// The server says that it took less than it was given, or says nothing of it.
    NotTaken,
}

/// What a server does in a call of a method, in place of its usual answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Override {
    /// It answers with a status of gRPC, by number, and a message.
    Status(i32, String),
    /// A proxy answers, with a status of HTTP and a page.
    Http(u16, String),
    /// Something goes wrong.
    Fault(Fault),
}

/// An answer that is decided before there is a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptedAnswer {
    /// The method, as the protocol names it.
    pub method: String,
    /// How many calls of the method are answered so; `None` for all.
    pub times: Option<u32>,
    /// What is done.
    pub instead: Override,
}

/// The kinds of faults that happen at random. [`Fault::NotTaken`] is none: no client can go on after it.
pub(crate) const ALL: [Fault; 12] = [
    Fault::Unavailable,
    Fault::Exhausted,
    Fault::Internal,
    Fault::Hang,
    Fault::Slow,
    Fault::Cut,
    Fault::Truncated,
    Fault::Flipped,
    Fault::Longer,
    Fault::Shuffled,
    Fault::Evicted,
    Fault::Mistaken,
];

/// The calls with faults.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Determines everything.
    pub seed: u64,
    /// How many calls of a hundred have a fault.
    pub percent: u64,
    /// The possible faults; all if it is empty.
    pub kinds: Vec<Fault>,
}

impl Faults {
    /// One kind of fault, in each call.
    pub fn always(fault: Fault) -> Faults {
        Faults { seed: 0, percent: 100, kinds: vec![fault] }
    }

    /// The fault of a call, and a random number for its details.
    pub(crate) fn of_call(&self, number: u64) -> (Option<Fault>, u64) {
        // By number, not by a generator with a state: calls come in any order, and each has its fault all the same.
        // The multiplier keeps neighbouring seeds from having shifted sequences of the same faults.
        let random = mixed(self.seed.wrapping_mul(0x1_0000_0001).wrapping_add(number));
        if random % 100 >= self.percent {
            return (None, random);
        }
        let kinds = if self.kinds.is_empty() { &ALL[..] } else { &self.kinds };
        (Some(kinds[(random >> 8) as usize % kinds.len()]), mixed(random))
    }
}

// splitmix64 (Steele, Lea, Flood, *Fast Splittable Pseudorandom Number Generators*, 2014): a bijection, so different
// calls have different numbers.
/// splitmix64.
pub(crate) fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
