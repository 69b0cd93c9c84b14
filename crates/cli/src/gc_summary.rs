//! What a collection of garbage freed and what it left, in figures.

use taut_store::Usage;

/// The message of a collection. `nothing` says that nothing is left, and `next` what the next collection does, if
/// anything is left for it.
pub(crate) fn freed(before: Usage, left: Usage, nothing: &str, next: &str) -> String {
    let freed = match before.less(left) {
        Usage { files: 0, .. } => "Nothing was freed".to_owned(),
        freed => format!("Freed {}", amount(freed)),
    };
    match left {
        // Empty files, such as those that hold locks, are no results.
        Usage { bytes: 0, .. } => format!("{freed}; {nothing}"),
        left if next.is_empty() => format!("{freed}; {} left", amount(left)),
        left => format!("{freed}; {} left; {next}", amount(left)),
    }
}

/// Sizes as people read them, with the number of files.
fn amount(Usage { files, bytes }: Usage) -> String {
    let many = if files == 1 { "file" } else { "files" };
    format!("{} in {files} {many}", size(bytes))
}

fn size(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = "bytes";
    for next in units {
        // As it would be shown.
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if unit == "bytes" { format!("{bytes} bytes") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_unit_that_suits_them() {
        for (bytes, shown) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (999_999, "1.0 MB"),
            (3_400_000_000, "3.4 GB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }

    #[test]
    fn the_message_has_what_was_freed_and_what_is_left() {
        let (some, none) = (Usage { files: 2, bytes: 1500 }, Usage::default());
        assert_eq!(freed(some, some, "empty", "next"), "Nothing was freed; 1.5 kB in 2 files left; next");
        assert_eq!(freed(some, some, "empty", ""), "Nothing was freed; 1.5 kB in 2 files left");
        assert_eq!(freed(some, none, "empty", "next"), "Freed 1.5 kB in 2 files; empty");
    }
}
