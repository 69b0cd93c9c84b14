//! Names of targets as people type and read them: `src:lua`, `:lua` in the root module, `@repository//src:lua`; in
//! single quotes where a shell would take a character for something else.
//!
//! In files, dumps and logs a name is JSON ([`EntityName::to_json`]). Messages that are composed below the terminal
//! have it in them, too; [`names_as_typed`] replaces it there, so that the texts for programs stay as they are.

use std::{borrow::Cow, fmt::Write as _};

use crate::{EntityName, Map, NamedTarget, ReferenceType, Value, escape_into};

/// How many digits of an id are shown in messages.
// 48 bits: hardly ever ambiguous in a build, and short enough for a line.
pub const ID_PREFIX_DIGITS: usize = 12;

/// A name as one types it in a shell: `module:name`, `:name` in the root module, `@repository//module:name` outside of
/// the main repository. Explicit references have the kind in front, and the path in place of the colon: `file src/a.c`.
/// Anonymous targets have no place; the beginning of the node's id represents them.
pub fn as_typed(name: &EntityName) -> String {
    match name {
        EntityName::Named(named) => named_as_typed(named),
        EntityName::Anonymous(target) => anonymous(&target.node.id().to_hex()),
    }
}

/// [`as_typed`] for a name that has a place.
pub fn named_as_typed(named: &NamedTarget) -> String {
    typed(&named.repository, named.reference, &named.module, &named.name)
}

/// A name in a configuration, which is left out if there is nothing in it but nulls: `src:lua {"OS":"linux"}`.
pub fn configured_as_typed(name: &EntityName, configuration: &Map) -> String {
    let set = configuration.iter().filter(|(_, value)| !matches!(value, Value::Null));
    let set: Map = set.map(|(variable, value)| (variable.clone(), value.clone())).collect();
    let name = as_typed(name);
    if set.is_empty() { name } else { format!("{name} {}", set.to_label()) }
}

/// A text in which names of targets as JSON, configured or not, are replaced by what one types, where `main` is the
/// main repository.
pub fn names_as_typed<'t>(text: &'t str, main: &str) -> Cow<'t, str> {
    let mut out = String::new();
    let mut done = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find('[') {
        let begin = at + found;
        match configured(&text[begin..], main).or_else(|| name(&text[begin..], main)) {
            Some((shown, len)) => {
                out.push_str(&text[done..begin]);
                out.push_str(&shown);
                at = begin + len;
                done = at;
            }
            // No name, but one may begin within these brackets.
            None => at = begin + 1,
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

fn typed(repository: &str, reference: ReferenceType, module: &str, name: &str) -> String {
    let mut out = String::new();
    let kind = match reference {
        ReferenceType::Target => None,
        ReferenceType::File => Some("file"),
        ReferenceType::Tree => Some("tree"),
        ReferenceType::Glob => Some("glob"),
        ReferenceType::Symlink => Some("symlink"),
    };
    if let Some(kind) = kind {
        let _ = write!(out, "{kind} ");
    }
    if !repository.is_empty() {
        out.push('@');
        part(repository, repository.contains("//"), &mut out);
        out.push_str("//");
    }
    if kind.is_some() {
        let path = if module.is_empty() { Cow::Borrowed(name) } else { format!("{module}/{name}").into() };
        let is_odd = |c: char| c.is_whitespace() || matches!(c, '"' | '\\' | ':');
        part(&path, path.is_empty() || path.contains(is_odd), &mut out);
        return out;
    }
    // What begins so would be read as another form, or as an option.
    part(module, module.starts_with(['@', '#', '/', '[', '-']) || module.contains(':'), &mut out);
    out.push(':');
    part(name, false, &mut out);
    for_shell(out)
}

/// A word as a shell has to read it: as it is, or in single quotes.
fn for_shell(word: String) -> String {
    let is_special = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"_-+=./:,@%^".contains(c);
    if !word.contains(is_special) {
        return word;
    }
    // Within single quotes a shell takes everything literally but a single quote (POSIX, 2.2.2).
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A part of a name, in quotes as JSON has them where it could be taken for something else.
fn part(text: &str, is_special: bool, out: &mut String) {
    if is_special || text.starts_with('"') || text.contains(char::is_control) {
        escape_into(text, out);
    } else {
        out.push_str(text);
    }
}

fn anonymous(node: &str) -> String {
    format!("anonymous target {}", &node[..ID_PREFIX_DIGITS.min(node.len())])
}

/// The strings of a JSON list of nothing else, without white space, at the beginning of a text; and how long it is.
fn strings(text: &str) -> Option<(Vec<String>, usize)> {
    let mut rest = text.strip_prefix('[')?;
    let mut all = Vec::new();
    loop {
        let (string, len) = string(rest)?;
        all.push(string);
        rest = &rest[len..];
        if let Some(more) = rest.strip_prefix(',') {
            rest = more;
        } else {
            rest = rest.strip_prefix(']')?;
            return Some((all, text.len() - rest.len()));
        }
    }
}

/// A JSON string at the beginning of a text, and how long it is there.
fn string(text: &str) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut chars = text.strip_prefix('"')?.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, at + 2)),
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'b' => out.push('\u{8}'),
                'f' => out.push('\u{c}'),
                'u' => {
                    // One code unit is enough: only control characters are escaped in this way, so there are no
                    // surrogate pairs.
                    let digits: String = (0..4).map_while(|_| chars.next()).map(|(_, digit)| digit).collect();
                    out.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
                }
                c => out.push(c),
            },
            c => out.push(c),
        }
    }
    None
}

/// A name at the beginning of a text.
fn name(text: &str, main: &str) -> Option<(String, usize)> {
    let (parts, len) = strings(text)?;
    let outside = |repository| if repository == main { "" } else { repository };
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let shown = match parts[..] {
        ["@", repository, module, name] => typed(outside(repository), ReferenceType::Target, module, name),
        ["@", repository, marker, module, name] => {
            typed(outside(repository), ReferenceType::from_marker(marker)?, module, name)
        }
        ["#", rules, node] if [rules, node].iter().all(|id| is_id(id)) => anonymous(node),
        _ => return None,
    };
    Some((shown, len))
}

fn is_id(text: &str) -> bool {
    // The digits of SHA-256, by which values are identified.
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A configured name at the beginning of a text: a list of a name and a map, which may be abbreviated.
fn configured(text: &str, main: &str) -> Option<(String, usize)> {
    let (shown, len) = name(text.strip_prefix('[')?, main)?;
    let rest = text[1 + len..].strip_prefix(',')?;
    // An abbreviated text has `*` for what is below its upper levels (`Value::to_json_abbreviated`).
    if rest.starts_with("*]") {
        return Some((format!("{shown} {{*}}"), text.len() - rest.len() + 2));
    }
    let end = end_of_object(rest).filter(|_| rest.starts_with('{'))?;
    let configuration = &rest[..end];
    let after = rest[end..].strip_prefix(']')?;
    let shown = if configuration == "{}" { shown } else { format!("{shown} {configuration}") };
    Some((shown, text.len() - after.len()))
}

/// Where the object ends that begins a text.
fn end_of_object(text: &str) -> Option<usize> {
    let (mut depth, mut is_quoted, mut is_escaped) = (0_usize, false, false);
    for (at, c) in text.char_indices() {
        if is_quoted {
            is_quoted = c != '"' || is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            continue;
        }
        match c {
            '"' => is_quoted = true,
            '{' | '[' => depth += 1,
            '}' | ']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(repository: &str, module: &str, name: &str) -> NamedTarget {
        NamedTarget::new(repository, module, name)
    }

    #[test]
    fn names_are_shown_as_they_are_typed() {
        for (name, expected) in [
            (named("", "src", "lua"), "src:lua"),
            (named("", "", "lua"), ":lua"),
            (named("zlib", "src", "z"), "@zlib//src:z"),
            (named("zlib", "", "z"), "@zlib//:z"),
            (named("", "", ""), ":"),
            (named("", "src", ""), "src:"),
            (named("r", "", ""), "@r//:"),
            (named("", "a:b", "x y"), r#"'"a:b":x y'"#),
            (named("", "@a", ""), r#"'"@a":'"#),
            (named("", "src", "$HOME"), "'src:$HOME'"),
            (named("", "src", "it's"), r"'src:it'\''s'"),
            (named("", "src", "ü:v"), "src:ü:v"),
            (named("", "src", "a\nb"), r#"'src:"a\nb"'"#),
            (named("", "src", "lib/a.o"), "src:lib/a.o"),
            (named("", "src", "a.c").with_reference(ReferenceType::File), "file src/a.c"),
            (named("r", "", "gen").with_reference(ReferenceType::Tree), "tree @r//gen"),
        ] {
            assert_eq!(named_as_typed(&name), expected);
            let json = EntityName::Named(name).to_json();
            assert_eq!(names_as_typed(&format!("in {json}, too"), ""), format!("in {expected}, too"));
        }
    }

    #[test]
    fn a_configuration_is_shown_if_something_is_in_it() {
        let name = EntityName::Named(named("", "src", "lua"));
        let config: Map = [("A", Value::Null), ("OS", Value::string("a]}\""))].into_iter().collect();
        assert_eq!(configured_as_typed(&name, &Map::default()), "src:lua");
        assert_eq!(configured_as_typed(&name, &config), r#"src:lua {"OS":"a]}\""}"#);
        for (text, expected) in [
            (r#"in target [["@","","src","lua"],{}]"#, "in target src:lua"),
            (r#"[["@","","src","lua"],{"A":["}"]}]#0 and"#, r#"src:lua {"A":["}"]}#0 and"#),
            (r#"[["@","","src","lua"],{"A":*}] b"#, r#"src:lua {"A":*} b"#),
            (r#"[["@","","","a"],["@","","","b"]]"#, "[:a,:b]"),
        ] {
            assert_eq!(names_as_typed(text, ""), expected);
        }
        let names = r#"["@","main","","a"] and [["@","main","TREE","","b"],{}] and ["@","r","","c"]"#;
        assert_eq!(names_as_typed(names, "main"), ":a and tree b and @r//:c");
    }

    #[test]
    fn anonymous_targets_have_a_short_id() {
        let (rules, node) = ("a".repeat(64), "0123456789abcdef".repeat(4));
        let text = format!(r##"see ["#","{rules}","{node}"]"##);
        assert_eq!(names_as_typed(&text, ""), "see anonymous target 0123456789ab");
    }

    #[test]
    fn other_text_stays() {
        for text in [
            "",
            "[",
            "a [\"b\"]",
            r#"["@","a"]"#,
            r#"["@","","FOO","a","b"]"#,
            r#"["@","","a","#,
            r##"["#","a","b"]"##,
        ] {
            assert!(matches!(names_as_typed(text, ""), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
