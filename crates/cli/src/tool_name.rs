//! The name by which the tool was called.

use std::{ffi::OsString, path::Path, sync::OnceLock};

/// The name by which the tool was called. It decides the command line, texts and defaults, never results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Name {
    /// `taut`.
    Taut,
    /// `just`, the reference.
    Just,
}

impl Name {
    /// The name for the first word of a call.
    pub(crate) fn of_call(word: Option<&OsString>) -> Name {
        match word.and_then(|word| Path::new(word).file_name()) {
            Some(name) if name == "just" => Name::Just,
            _ => Name::Taut,
        }
    }

    /// The name of this process, for messages while there is no log.
    pub(crate) fn current() -> Name {
        *CURRENT.get().unwrap_or(&Name::Taut)
    }

    /// Sets the name of this process.
    pub(crate) fn set_current(self) {
        // There is only one call in a process.
        let _ = CURRENT.set(self);
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Name::Taut => "taut",
            Name::Just => "just",
        }
    }
}

static CURRENT: OnceLock<Name> = OnceLock::new();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_the_first_word_is_the_name() {
        for (word, name) in [
            ("just", Name::Just),
            ("/usr/bin/just", Name::Just),
            ("taut", Name::Taut),
            ("just-mr", Name::Taut),
        ] {
            assert_eq!(Name::of_call(Some(&word.into())), name, "{word}");
        }
        assert_eq!(Name::of_call(None), Name::Taut);
    }
}
