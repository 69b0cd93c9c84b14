//! The encoding of diagnostics, for hashing and storing.
//!
//! Hashes of warnings and failures outlive the process, so the bytes are specified here and depend on no derived
//! `Debug` or `Hash`. Every number has eight bytes, little-endian. A *text* is the number of its bytes and these; a
//! *list* the number of its items and these; an *option* the byte 0, or 1 and the value.
//!
//! | what | bytes |
//! |---|---|
//! | diagnostic | severity (0 error, 1 warning; plus 2 if the reference has another message, plus 4 if a user wrote the message), message, the reference's message if so, option of location, option of suggestion, list of help, list of notes, list of frames |
//! | note | message, option of location, whether it shows an excerpt (0 or 1) |
//! | frame | message, option of location, list of details, option of target |
//! | location | file, then 0, or 1 and the path of a value, or 2 and the path of a key, or 3 and the first and last offset |
//! | path | list of steps: 0 and an index, or 1 and a key |

use super::{Diagnostic, Diagnostics, Frame, Location, LocationPart, Note, Severity};
use crate::json::{JsonPath, PathStep};

impl Diagnostic {
    /// Appends the encoding of this diagnostic; different diagnostics have different encodings.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // Taken apart by all of its fields, so that a new one cannot be left out of hashes without notice.
        let Diagnostic { severity, message, is_of_user, reference, location, suggestion, help, notes, chain } =
            self;
        let is_warning = *severity == Severity::Warning;
        // Flags in one byte: most diagnostics have none of them, and `decode` refuses bits that are
        // not defined.
        out.push(u8::from(is_warning) | u8::from(reference.is_some()) << 1 | u8::from(*is_of_user) << 2);
        text(out, message);
        reference.iter().for_each(|message| text(out, message));
        option(out, location, encode_location);
        option(out, suggestion, |out, meant| text(out, meant));
        list(out, help, |out, help| text(out, help));
        list(out, notes, |out, Note { message, location, with_excerpt }| {
            text(out, message);
            option(out, location, encode_location);
            out.push(u8::from(*with_excerpt));
        });
        list(out, chain, |out, Frame { message, location, details, target }| {
            text(out, message);
            option(out, location, encode_location);
            list(out, details, |out, detail| text(out, detail));
            option(out, target, |out, target| text(out, target));
        });
    }
}

impl Diagnostics {
    /// The encoding of all diagnostics, in the order in which they were found: a list. Walks the whole set.
    pub fn encode(&self) -> Vec<u8> {
        // Flat, without the shared parts: equal problems have equal bytes however their sets were merged.
        let all = self.referenced();
        let mut out = Vec::new();
        list(&mut out, &all, |out, diagnostic| diagnostic.encode(out));
        out
    }
}

fn number(out: &mut Vec<u8>, number: u64) {
    // A fixed width needs no rule for the shortest form, on which hashes would depend.
    out.extend(number.to_le_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    // The length first, so that no two sequences of texts have the same bytes.
    number(out, text.len() as u64);
    out.extend(text.as_bytes());
}

fn list<T>(out: &mut Vec<u8>, items: &[T], mut item: impl FnMut(&mut Vec<u8>, &T)) {
    number(out, items.len() as u64);
    items.iter().for_each(|next| item(out, next));
}

fn option<T>(out: &mut Vec<u8>, value: &Option<T>, some: impl FnOnce(&mut Vec<u8>, &T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        some(out, value);
    }
}

fn encode_location(out: &mut Vec<u8>, Location { file, place }: &Location) {
    text(out, file);
    match place {
        // The numbers are part of the format: a new kind gets the next one, and none is used again.
        LocationPart::File => out.push(0),
        LocationPart::Value(at) => {
            out.push(1);
            path(out, at);
        }
        LocationPart::Key(at) => {
            out.push(2);
            path(out, at);
        }
        LocationPart::Text(span) => {
            out.push(3);
            number(out, span.start.into());
            number(out, span.end.into());
        }
    }
}

fn path(out: &mut Vec<u8>, path: &JsonPath) {
    list(out, path.steps(), |out, step| match step {
        PathStep::Index(index) => {
            out.push(0);
            number(out, (*index).into());
        }
        PathStep::Key(key) => {
            out.push(1);
            text(out, key);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use sha2::{Digest, Sha256};

    use super::*;
    use crate::json::Span;

    fn hex(bytes: impl AsRef<[u8]>) -> String {
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn sample() -> Diagnostic {
        let path = JsonPath::root().key("a").index(2);
        let text = Location { file: "T".into(), place: LocationPart::Text(Span { start: 3, end: 9 }) };
        Diagnostic::error("wrong")
            .at(Location::value("f", path.clone()))
            .note("fact")
            .note(Note::showing("there", Location::key("g", path)))
            .note(Note::at("text", text))
            .help("help")
            .suggest(Some("meant"))
            .within(Frame::new("in a rule").at(Location::file("h")).detail("x = 1"))
            .within(Frame::of_target("t"))
    }

    #[test]
    fn the_bytes_are_as_specified() {
        let mut bytes = Vec::new();
        Diagnostic::warning("w").at(Location::value("f", JsonPath::root().index(5))).encode(&mut bytes);
        let number = |number: u64| number.to_le_bytes().to_vec();
        let location = [vec![1], number(1), b"f".to_vec(), vec![1], number(1), vec![0], number(5)].concat();
        let rest = [vec![0], number(0), number(0), number(0)].concat();
        assert_eq!(bytes, [vec![1], number(1), b"w".to_vec(), location, rest].concat());
    }

    #[test]
    fn the_digests_are_stable() {
        let all: Diagnostics = [sample(), Diagnostic::warning("careful")].into_iter().collect();
        assert_eq!(hex(all.encode()), "815d1574242bbd50d336fd885a731fe90b246648850f19b9bad45c042a2744fb");
        let ids: String = all.id().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(ids, "8c0da47e8090f3424a162b7005cb364f92c96d8dd5b96eaa1722569cade12680");
    }

    #[test]
    fn different_diagnostics_have_different_bytes() {
        let with = |change: fn(&mut Diagnostic)| {
            let mut changed = sample();
            change(&mut changed);
            let mut bytes = Vec::new();
            changed.encode(&mut bytes);
            bytes
        };
        let changes: [fn(&mut Diagnostic); 15] = [
            |_| {},
            |d| d.severity = Severity::Warning,
            |d| d.message.push('x'),
            |d| d.is_of_user = true,
            |d| d.reference = Some(String::new()),
            |d| d.location = None,
            |d| d.location = Some(Location::key("f", JsonPath::root().key("a").index(2))),
            |d| d.location = Some(Location::value("f", JsonPath::root().key("a").key("2"))),
            |d| d.suggestion = None,
            |d| d.help.push(String::new()),
            |d| d.notes[0].with_excerpt = true,
            |d| drop(d.notes.pop()),
            |d| d.chain[0].details.clear(),
            |d| d.chain[1].target = None,
            |d| d.chain.swap(0, 1),
        ];
        let encoded: HashSet<Vec<u8>> = changes.into_iter().map(with).collect();
        assert_eq!(encoded.len(), changes.len());
    }
}
