//! What `version` prints.
//!
//! Under its own name taut prints its own version. Scripts that call `just` compare the number with the version that
//! they need. So under that name it is the version of justbuild whose command line taut accepts, and the suffix names
//! taut.

use crate::tool_name::Name;

/// The version of the reference whose language and command line taut has.
// Written as a list of numbers, since that is how the reference prints it.
const COMPATIBLE_WITH: &str = "1,6,5";

/// The line that `taut --version` prints.
pub(crate) fn line() -> String {
    let compatible: Vec<&str> = COMPATIBLE_WITH.split(',').take(2).collect();
    format!("taut {} (compatible with just {})\n", env!("CARGO_PKG_VERSION"), compatible.join("."))
}

/// The text that `version` prints.
pub(crate) fn text(name: Name) -> String {
    let (version, suffix) = match name {
        Name::Taut => (env!("CARGO_PKG_VERSION").replace('.', ","), String::new()),
        Name::Just => (COMPATIBLE_WITH.to_owned(), format!("+taut-{}", env!("CARGO_PKG_VERSION"))),
    };
    format!(
        // The keys in this order, as the reference's library sorts them.
        "{{\n  \"SOURCE_DATE_EPOCH\": null,\n  \"suffix\": \"{suffix}\",\n  \"version\": [{version}]\n}}\n"
    )
}
