//! The content of a sparse file: segments that are in the archive, and zeros between them.

use std::io::{self, Read};

use crate::tar_header::Segment;

/// A reader of the whole content.
pub(crate) struct Sparse<R> {
    source: R,
    segments: std::vec::IntoIter<Segment>,
    /// The one that is read or comes next.
    segment: Option<Segment>,
    position: u64,
    size: u64,
}

impl<R: Read> Sparse<R> {
    /// The content of `size` bytes whose segments are in `source` one after the other; `None` if segments overlap, are
    /// out of order, or exceed `size`.
    pub(crate) fn new(source: R, segments: Vec<Segment>, size: u64) -> Option<Sparse<R>> {
        let mut end = 0;
        for segment in &segments {
            if segment.offset < end {
                return None;
            }
            end = segment.offset.checked_add(segment.length).filter(|&end| end <= size)?;
        }
        let mut segments = segments.into_iter();
        let segment = segments.next();
        Some(Sparse { source, segments, segment, position: 0, size })
    }
}

impl<R: Read> Read for Sparse<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(segment) =
            // Cannot overflow: `new` has checked each sum. Empty segments, which writers put at the end, are passed
            // over.
            self.segment.filter(|segment| segment.offset + segment.length <= self.position)
        {
            debug_assert!(segment.offset <= self.position);
            self.segment = self.segments.next();
        }
        let (end, is_data) = match self.segment {
            Some(segment) if segment.offset <= self.position => (segment.offset + segment.length, true),
            Some(segment) => (segment.offset, false),
            None => (self.size, false),
        };
        let length = (end - self.position).min(buffer.len() as u64) as usize;
        let read = if is_data {
            let read = self.source.read(&mut buffer[..length])?;
            if read == 0 && length > 0 {
                // Zero bytes would be taken for the end of the whole content.
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a sparse file ends early"));
            }
            read
        } else {
            buffer[..length].fill(0);
            length
        };
        self.position += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(segments: &[(u64, u64)], size: u64) -> Option<Vec<u8>> {
        let segments = segments.iter().map(|&(offset, length)| Segment { offset, length }).collect();
        let mut content = Vec::new();
        Sparse::new(&b"abcdef"[..], segments, size)?.read_to_end(&mut content).unwrap();
        Some(content)
    }

    #[test]
    fn gaps_are_zeros() {
        assert_eq!(content(&[(0, 2), (4, 1), (5, 0), (7, 0)], 7).unwrap(), b"ab\0\0c\0\0");
        assert_eq!(content(&[(1, 6)], 7).unwrap(), b"\0abcdef");
        assert_eq!(content(&[], 3).unwrap(), b"\0\0\0");
    }

    #[test]
    fn segments_that_overlap_or_exceed_the_size_are_refused() {
        assert_eq!(content(&[(0, 3), (2, 1)], 7), None);
        assert_eq!(content(&[(0, 3)], 2), None);
        assert_eq!(content(&[(u64::MAX, 3)], u64::MAX), None);
    }
}
