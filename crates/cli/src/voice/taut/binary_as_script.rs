//! What to do about an action that gives a compiled program to an interpreter, as in `sh prog`.
//!
//! What the interpreter prints then depends on the bytes of the program: syntax errors, or commands that are not found.

use std::io::Read as _;

use taut_digest::{ObjectInfo, ObjectType};
use taut_store::Store;
use taut_value::Str;

/// The beginning of executable files of this system.
// elf(5), `e_ident`.
const ELF: &[u8; 4] = b"\x7fELF";

/// What helps if an interpreter complains about an input that is a compiled program.
pub(super) fn hint(inputs: &[(Str, ObjectInfo)], printed: &[String], store: &Store) -> Option<String> {
    let lines = printed.iter().flat_map(|text| text.lines());
    let named = lines.filter_map(named_in);
    let found = named.filter_map(|name| inputs.iter().find(|(path, _)| is_path(name, path)));
    let (path, _) = found.into_iter().find(|(_, object)| is_program(object, store))?;
    let start = if path.contains('/') { "" } else { "./" };
    Some(format!(
        "help: {path} is a compiled program, not a script: run it as {start}{path}, without an interpreter"
    ))
}

/// The file that a line is about, as interpreters write it.
fn named_in(line: &str) -> Option<&str> {
    // Python: `  File "d/prog", line 1`.
    if let Some(rest) = line.trim_start().strip_prefix("File \"") {
        return rest.split_once('"').map(|(name, _)| name);
    }
    // Perl: `Unrecognized character \x7F; … at prog line 1.`
    if let Some((_, rest)) = line.rsplit_once(" at ")
        && let Some((name, _)) = rest.split_once(" line ")
    {
        return Some(name);
    }
    // Shells: `prog: 1: Syntax error: "(" unexpected`, `prog: line 3: …`, `prog: prog: cannot execute binary file`.
    line.split_once(": ").map(|(name, _)| name)
}

/// Whether a file is meant that is at this path in the directory of the action.
fn is_path(name: &str, path: &str) -> bool {
    let name = name.strip_prefix("./").unwrap_or(name);
    // Some interpreters print the whole path.
    name == path
        || (name.starts_with('/') && name.strip_suffix(path).is_some_and(|above| above.ends_with('/')))
}

fn is_program(object: &ObjectInfo, store: &Store) -> bool {
    if !matches!(object.object_type, ObjectType::File | ObjectType::Executable) {
        return false;
    }
    let Ok(Some((mut file, _))) = store.open_file(&object.digest.hash) else { return false };
    let mut beginning = [0; ELF.len()];
    file.read_exact(&mut beginning).is_ok() && beginning == *ELF
}

#[cfg(test)]
mod tests {
    use super::{is_path, named_in};

    #[test]
    fn what_interpreters_print_names_the_file() {
        for (line, name) in [
            ("prog: 1: Syntax error: \"(\" unexpected", Some("prog")),
            ("d/prog: 1: \u{7f}ELF: not found", Some("d/prog")),
            ("prog: prog: cannot execute binary file", Some("prog")),
            ("  File \"/stage/d/prog\", line 1", Some("/stage/d/prog")),
            ("Unrecognized character \\x7F; marked by <-- HERE near column 1 at prog line 1.", Some("prog")),
            ("SyntaxError", None),
        ] {
            assert_eq!(named_in(line), name, "{line}");
        }
    }

    #[test]
    fn a_file_is_named_by_its_path_in_the_action_or_by_the_whole_path() {
        for name in ["d/prog", "./d/prog", "/stage/d/prog"] {
            assert!(is_path(name, "d/prog"), "{name}");
        }
        for name in ["prog", "/stage/xd/prog", "sh"] {
            assert!(!is_path(name, "d/prog"), "{name}");
        }
    }
}
