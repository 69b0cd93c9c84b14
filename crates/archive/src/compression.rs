//! The compression of a tar archive, found by the first bytes.

use std::io::{BufReader, Read};

use crate::{Error, Fault, Result};

/// A reader of the decompressed bytes.
pub(crate) fn decompress<'r>(start: &[u8], source: impl Read + 'r) -> Result<Box<dyn Read + 'r>> {
    Ok(match start {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(source))),
        _ => return Err(Error::new(Fault::UnknownFormat)),
    })
}
