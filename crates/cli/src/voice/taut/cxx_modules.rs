//! What to do about a source that exports or imports a C++20 module. Whether it does is known only when a compiler
//! reads it; what compilers print then leads to options with which the rules in the box cannot work, either.

/// What helps if a compiler met a module.
pub(super) fn hint(printed: &[String]) -> Option<&'static str> {
    let is_met = printed.iter().any(|text| text.lines().any(names_module));
    is_met.then_some(
        "help: C++20 modules are not supported by the rules in the box (std): use headers, or rules that build the interfaces \
         of modules first",
    )
}

/// What GCC and Clang print about a module: lines with all parts of one of these.
// Each with the parts before and behind a name: `module 'm' not found`.
const WORDS_OF_COMPILERS: [&[&str]; 8] = [
    &["error: 'module' does not name a type"],
    &["error: 'import' does not name a type"],
    &["error: failed to read compiled module"],
    &["note: C++20 'import' only available"],
    &["note: C++20 'module' only available"],
    &["fatal error: module '", "' not found"],
    &["error: unknown type name 'module'"],
    &["error: unknown type name 'import'"],
];

/// Whether a line is what GCC or Clang print about a module.
fn names_module(line: &str) -> bool {
    // GCC puts names in typographic quotes where the locale has them.
    let line = line.replace(['‘', '’'], "'");
    WORDS_OF_COMPILERS.iter().any(|parts| parts.iter().all(|part| line.contains(part)))
}

#[cfg(test)]
mod tests {
    use super::names_module;

    #[test]
    fn what_compilers_say_of_modules_is_recognised() {
        for (line, expected) in [
            ("m.cc:1:8: error: ‘module’ does not name a type", true),
            ("i.cc:1:1: error: 'import' does not name a type", true),
            ("m: error: failed to read compiled module: No such file or directory", true),
            ("i.cc:1:1: note: C++20 'import' only available with '-fmodules-ts'", true),
            ("i.cc:1:8: fatal error: module 'm' not found", true),
            ("m.cc:1:8: error: unknown type name 'module'; did you mean 'double'?", true),
            ("a.cc:1:1: error: 'modul' does not name a type", false),
            ("fatal error: module.h: No such file or directory", false),
        ] {
            assert_eq!(names_module(line), expected, "{line}");
        }
    }
}
