//! What a collection of garbage freed and what it left, in figures.

use taut_store::Usage;

use super::figures::{count, size};

/// The message of a collection. `nothing` says that nothing is left, and `next` what the next collection does, if
/// anything is left for it.
pub(crate) fn freed(before: Usage, left: Usage, nothing: &str, next: &str) -> String {
    let freed = match before.minus(left) {
        Usage { files: 0, .. } => "Nothing was freed".to_owned(),
        freed => format!("Freed {}", amount(freed)),
    };
    match left {
        // Empty files, such as those that hold locks, are not results.
        Usage { bytes: 0, .. } => format!("{freed}; {nothing}"),
        left if next.is_empty() => format!("{freed}; {} left", amount(left)),
        left => format!("{freed}; {} left; {next}", amount(left)),
    }
}

/// Sizes as people read them, with the number of files.
fn amount(Usage { files, bytes }: Usage) -> String {
    format!("{} in {}", size(bytes), count(files as usize, "file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_what_was_freed_and_what_is_left() {
        let (some, none) = (Usage { files: 2, bytes: 1536 }, Usage::default());
        assert_eq!(freed(some, some, "empty", "next"), "Nothing was freed; 1.5 KiB in 2 files left; next");
        assert_eq!(freed(some, some, "empty", ""), "Nothing was freed; 1.5 KiB in 2 files left");
        assert_eq!(freed(some, none, "empty", "next"), "Freed 1.5 KiB in 2 files; empty");
    }
}
