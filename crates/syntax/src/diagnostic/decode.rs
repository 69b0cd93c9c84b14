//! Decoding of diagnostics from the bytes of [`Diagnostics::encode`], as specified there.

use std::sync::Arc;

use super::{Diagnostic, Diagnostics, Frame, Location, LocationPart, Note, Severity};
use crate::json::{JsonPath, PathStep, Span};

impl Diagnostics {
    /// Decodes [`Diagnostics::encode`]; `None` for other bytes.
    pub fn decode(bytes: &[u8]) -> Option<Diagnostics> {
        let mut reader = Reader(bytes);
        let all = reader.list(Reader::diagnostic)?;
        // Bytes that are left over were written in another encoding.
        reader.0.is_empty().then(|| all.into_iter().collect())
    }
}

struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn text(&mut self) -> Option<String> {
        let len = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        // Copied only after the length was compared with what is left, so damaged bytes cost no memory.
        String::from_utf8(text.to_vec()).ok()
    }

    /// The number of items is at most that of the remaining bytes, so that damaged bytes cannot ask for much memory.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::try_from(self.number()?).ok().filter(|count| *count <= self.0.len())?;
        (0..count).map(|_| item(self)).collect()
    }

    /// The outer option is `None` if the bytes are malformed.
    fn option<T>(&mut self, some: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => some(self).map(Some),
            _ => None,
        }
    }

    fn diagnostic(&mut self) -> Option<Diagnostic> {
        // Unknown bits would be lost, and encoding the value again would give other bytes.
        let flags = self.byte().filter(|flags| *flags < 8)?;
        Some(Diagnostic {
            severity: if flags & 1 == 0 { Severity::Error } else { Severity::Warning },
            message: self.text()?,
            is_of_user: flags & 4 != 0,
            reference: if flags & 2 == 0 { None } else { Some(self.text()?) },
            location: self.option(Reader::location)?,
            suggestion: self.option(Reader::text)?,
            help: self.list(Reader::text)?,
            notes: self.list(|reader| {
                let (message, location) = (reader.text()?, reader.option(Reader::location)?);
                Some(Note { message, location, with_excerpt: reader.byte()? == 1 })
            })?,
            chain: self.list(|reader| {
                Some(Frame {
                    message: reader.text()?,
                    location: reader.option(Reader::location)?,
                    details: reader.list(Reader::text)?,
                    target: reader.option(Reader::text)?,
                })
            })?,
        })
    }

    fn location(&mut self) -> Option<Location> {
        let file: Arc<str> = self.text()?.into();
        let place = match self.byte()? {
            0 => LocationPart::File,
            1 => LocationPart::Value(self.path()?),
            2 => LocationPart::Key(self.path()?),
            3 => {
                let mut offset = || u32::try_from(self.number()?).ok();
                LocationPart::Text(Span { start: offset()?, end: offset()? })
            }
            // A kind that is not known, from another version or damage: the record is dropped as a
            // whole, and computed again.
            _ => return None,
        };
        Some(Location { file, place })
    }

    fn path(&mut self) -> Option<JsonPath> {
        let steps = self.list(|reader| match reader.byte()? {
            0 => reader.number()?.try_into().ok().map(PathStep::Index),
            1 => reader.text().map(|key| PathStep::Key(key.into())),
            _ => None,
        })?;
        Some(JsonPath::from_steps(steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagnostics_are_decoded_as_they_were_encoded_and_damaged_bytes_are_refused() {
        let path = JsonPath::root().key("a").index(3);
        let location = |place| Location { file: "/w/TARGETS".into(), place };
        let all = [
            Diagnostic::warning("w")
                .at(location(LocationPart::Key(path.clone())))
                .help("h")
                .suggest(Some("s")),
            Diagnostic::error("")
                .reference("r")
                .at(location(LocationPart::Text(Span { start: 1, end: 2 })))
                .note(Note::showing("n", location(LocationPart::Value(path))))
                .within(Frame::of_target("t").at(location(LocationPart::File)).detail("d")),
        ];
        let all: Diagnostics = all.into_iter().collect();
        let bytes = all.encode();
        assert_eq!(Diagnostics::decode(&bytes), Some(all));
        assert!((0..bytes.len()).all(|end| Diagnostics::decode(&bytes[..end]).is_none()));
        for at in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            let _ = Diagnostics::decode(&damaged);
        }
    }
}
