//! Names of targets as people type and read them: `src:lua`, `:lua` in the root module, `@repository//src:lua`; in
//! single quotes where a shell would take a character for something else. A configuration is the options that set it:
//! `src:lua -D OS=linux`.
//!
//! In files, dumps and logs a name is JSON ([`EntityName::to_json`]). Messages that are composed below the terminal
//! have it in them, too; [`names_as_typed`] replaces it there, so that the texts for programs stay as they are.

use std::{borrow::Cow, fmt::Write as _};

use crate::{EntityName, Map, NamedTarget, ReferenceType, Value, escape_into};

/// How many digits of an id are shown in messages.
// 48 bits: hardly ever ambiguous in a build, and short enough for a line.
pub const ID_PREFIX_DIGITS: usize = 12;

/// What an abbreviated text has for what is below its upper levels ([`Value::to_json_abbreviated`]).
const OMITTED: &str = "*";

/// How many bytes of a configuration messages show.
const MAX_CONFIGURATION_BYTES: usize = 160;

/// With less room than this the next variable is left out, instead of cut.
const MIN_DEFINE_BYTES: usize = 20;

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

/// A name in a configuration, as one types both: `src:lua -D OS=linux -D '{"DEBUG":true}'`. Variables that are null are
/// left out, and a configuration that is longer than 160 bytes ends in `…`.
pub fn configured_as_typed(name: &EntityName, configuration: &Map) -> String {
    let mut out = as_typed(name);
    configuration_as_typed(configuration, &mut out);
    out
}

/// A name as one types it, with its configuration as JSON: for texts that programs read, too.
pub fn configured_with_json(name: &EntityName, configuration: &Map) -> String {
    let set = configuration.iter().filter(|(_, value)| !matches!(value, Value::Null));
    let set: Map = set.map(|(variable, value)| (variable.clone(), value.clone())).collect();
    let name = as_typed(name);
    if set.is_empty() { name } else { format!("{name} {}", set.to_label()) }
}

/// A text of [`configured_with_json`] as [`configured_as_typed`] has it; any other as it is.
pub fn json_as_typed(text: &str) -> Cow<'_, str> {
    let parsed = text.find(" {").and_then(|at| {
        let (all, len) = variables(&text[at + 1..])?;
        (at + 1 + len == text.len()).then_some((at, all))
    });
    let Some((at, all)) = parsed else { return Cow::Borrowed(text) };
    let mut out = text[..at].to_owned();
    defines(all.iter().map(|(name, json)| (name.as_str(), (*json).to_owned())), &mut out);
    Cow::Owned(out)
}

/// Appends the options that set a configuration, each with a space in front; nothing for one that sets nothing.
pub fn configuration_as_typed(configuration: &Map, out: &mut String) {
    // A value need not have an end as text.
    let as_text = |value: &Value| match value {
        Value::String(text) => Value::string(beginning(text)).to_json(),
        other => other.to_json_beyond(MAX_CONFIGURATION_BYTES),
    };
    defines(configuration.iter().map(|(variable, value)| (variable.as_str(), as_text(value))), out);
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

/// Appends the options for variables with their values as JSON, in their order.
fn defines<'v>(variables: impl Iterator<Item = (&'v str, String)>, out: &mut String) {
    let set: Vec<(&str, String)> = variables.filter(|(_, json)| json != "null").collect();
    let entry = |variable: &str, json: &str| {
        let mut entry = String::new();
        escape_into(variable, &mut entry);
        entry + ":" + json
    };
    let mut room = MAX_CONFIGURATION_BYTES;
    // There is no way to type a name as a value: the list that it is as JSON is another value.
    if set.iter().any(|(_, json)| json.starts_with(r#"["@","#)) {
        let entries: Vec<String> = set.iter().map(|(variable, json)| entry(variable, json)).collect();
        let _ = write!(out, " {}", cut(format!("{{{}}}", entries.join(",")), &mut room));
        return;
    }
    for (variable, json) in set {
        if room < MIN_DEFINE_BYTES {
            out.push_str(" …");
            return;
        }
        let is_plain = !variable.is_empty()
            && !variable.starts_with(['{', '[', '"', ' '])
            && !variable.contains(|c: char| c == '=' || c.is_control());
        let value = match string(&json) {
            // A line break would break the message, so such a text stays JSON, where it is escaped.
            Some((text, _)) if is_plain && !beginning(&text).contains(char::is_control) => Some(text),
            // What was left out of an abbreviated text.
            _ if json == OMITTED => Some("…".to_owned()),
            _ => None,
        };
        let word = match value {
            Some(text) => format!("{variable}={text}"),
            None => format!("{{{}}}", entry(variable, &with_whole_numbers(&json))),
        };
        let is_cut = word.len() > room;
        let _ = write!(out, " -D {}", for_shell(cut(word, &mut room)));
        if is_cut {
            return;
        }
    }
}

/// JSON in which whole numbers are as one writes them: `1` for `1.0`, which is the same value.
fn with_whole_numbers(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut is_quoted, mut is_escaped) = (false, false);
    let mut chars = json.char_indices();
    while let Some((at, c)) = chars.next() {
        let is_end = |rest: &str| rest.is_empty() || rest.starts_with([',', ']', '}']);
        if !is_quoted && json[at..].strip_prefix(".0").is_some_and(is_end) {
            chars.next();
            continue;
        }
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        out.push(c);
    }
    out
}

/// So much of a text that one sees whether all of it fits.
fn beginning(text: &str) -> &str {
    &text[..text.ceil_char_boundary(MAX_CONFIGURATION_BYTES + 1)]
}

/// What fits of a text, which takes its part of the room.
fn cut(mut text: String, room: &mut usize) -> String {
    if text.len() > *room {
        text.truncate(text.floor_char_boundary(*room));
        text.push('…');
    }
    *room = room.saturating_sub(text.len());
    text
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

/// A configured name at the beginning of a text: a list of a name and a map, which may be abbreviated; the number of an
/// action belongs to the name.
fn configured(text: &str, main: &str) -> Option<(String, usize)> {
    let (mut shown, len) = name(text.strip_prefix('[')?, main)?;
    let rest = text[1 + len..].strip_prefix(',')?;
    let (variables, rest) = match rest.strip_prefix(OMITTED) {
        Some(rest) => (None, rest),
        None => {
            let (variables, len) = variables(rest)?;
            (Some(variables), &rest[len..])
        }
    };
    let mut rest = rest.strip_prefix(']')?;
    if let Some(after) = rest.strip_prefix('#') {
        let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
        shown.push_str(&rest[..rest.len() - after.len()]);
        rest = after;
    }
    match variables {
        Some(all) => defines(all.iter().map(|(name, json)| (name.as_str(), (*json).to_owned())), &mut shown),
        None => shown.push_str(" -D …"),
    }
    Some((shown, text.len() - rest.len()))
}

/// The variables of a JSON object at the beginning of a text, with their values as JSON, and how long it is.
fn variables(text: &str) -> Option<(Vec<(String, &str)>, usize)> {
    let mut rest = text.strip_prefix('{')?;
    let mut all = Vec::new();
    while !rest.starts_with('}') {
        let (variable, len) = string(rest)?;
        rest = rest[len..].strip_prefix(':')?;
        let end = end_of_value(rest)?;
        all.push((variable, &rest[..end]));
        rest = &rest[end..];
        match rest.strip_prefix(',') {
            Some(more) if more.starts_with('"') => rest = more,
            Some(_) => return None,
            None => {}
        }
    }
    Some((all, text.len() - rest.len() + 1))
}

/// Where the JSON value ends that begins a text, and a comma or the end of the object follows.
fn end_of_value(text: &str) -> Option<usize> {
    let (mut depth, mut is_quoted, mut is_escaped) = (0_usize, false, false);
    for (at, c) in text.char_indices() {
        if is_quoted {
            is_quoted = c != '"' || is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            continue;
        }
        match c {
            ',' | '}' if depth == 0 => return (at > 0).then_some(at),
            '"' => is_quoted = true,
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.checked_sub(1)?,
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
        assert_eq!(configured_as_typed(&name, &config), r#"src:lua -D 'OS=a]}"'"#);
        assert_eq!(configured_with_json(&name, &config), r#"src:lua {"OS":"a]}\""}"#);
        assert_eq!(json_as_typed(r#"src:lua {"OS":"a]}\""}"#), r#"src:lua -D 'OS=a]}"'"#);
        for other in ["", "src:lua", "src:lua {", r#"a {"A":1} b"#] {
            assert!(matches!(json_as_typed(other), Cow::Borrowed(same) if same == other), "{other}");
        }
        for (text, expected) in [
            (r#"in target [["@","","src","lua"],{}]"#, "in target src:lua"),
            (r#"[["@","","src","lua"],{"A":null}]"#, "src:lua"),
            (r#"[["@","","src","lua"],{"A":["}"]}]#0: o and"#, r#"src:lua#0 -D '{"A":["}"]}': o and"#),
            (r#"[["@","","src","lua"],{"A":*,"B":"b"}] b"#, "src:lua -D A=… -D B=b b"),
            (r#"[["@","","src","lua"],*]"#, "src:lua -D …"),
            (r#"[["@","","","a"],["@","","","b"]]"#, "[:a,:b]"),
            (r#"[["@","","","a"],{"A":1,}]"#, r#"[:a,{"A":1,}]"#),
        ] {
            assert_eq!(names_as_typed(text, ""), expected);
        }
        let names = r#"["@","main","","a"] and [["@","main","TREE","","b"],{}] and ["@","r","","c"]"#;
        assert_eq!(names_as_typed(names, "main"), ":a and tree b and @r//:c");
    }

    /// The words that `-D` takes are defined in `cli`, where each option that this module writes is read again.
    #[test]
    fn a_configuration_is_the_options_that_set_it() {
        let list = |items: &[&str]| Value::list(items.iter().map(|item| Value::string(*item)));
        for (variable, value, expected) in [
            ("OS", Value::string("linux"), "-D OS=linux"),
            ("CFLAGS", Value::string("-O2 -g"), "-D 'CFLAGS=-O2 -g'"),
            ("A", Value::string(""), "-D A="),
            ("A", Value::string("it's"), r"-D 'A=it'\''s'"),
            ("A", Value::string("{}"), "-D 'A={}'"),
            ("A", Value::string("ü"), "-D A=ü"),
            ("A", Value::string("a\nb"), r#"-D '{"A":"a\nb"}'"#),
            ("A", Value::Bool(true), r#"-D '{"A":true}'"#),
            ("A", Value::Number(-2.0), r#"-D '{"A":-2}'"#),
            ("A", Value::list([Value::Number(1.05), Value::Number(10.0)]), r#"-D '{"A":[1.05,10]}'"#),
            ("A", list(&["1.0]", "\"1.0,"]), r#"-D '{"A":["1.0]","\"1.0,"]}'"#),
            ("A", list(&["x", "y"]), r#"-D '{"A":["x","y"]}'"#),
            // What begins so is read as JSON, and the name ends at the first equals sign.
            ("", Value::string("x"), r#"-D '{"":"x"}'"#),
            ("{A", Value::string("x"), r#"-D '{"{A":"x"}'"#),
            ("A=B", Value::string("x"), r#"-D '{"A=B":"x"}'"#),
            // There is no way to type it.
            ("A", Value::Name(named("", "", "n").into()), r#"{"A":["@","","","n"]}"#),
        ] {
            let configuration: Map = [(variable, value)].into_iter().collect();
            let name = EntityName::Named(named("", "", "t"));
            assert_eq!(configured_as_typed(&name, &configuration), format!(":t {expected}"));
            let text = format!("[{},{}]", name.to_json(), configuration.to_label());
            assert_eq!(names_as_typed(&text, ""), format!(":t {expected}"));
        }
    }

    #[test]
    fn of_a_long_configuration_the_beginning_is_shown() {
        let name = EntityName::Named(named("", "", "t"));
        let shown = |configuration: Map| {
            let shown = configured_as_typed(&name, &configuration);
            let text = format!("[{},{}]", name.to_json(), configuration.to_label());
            assert_eq!(names_as_typed(&text, ""), shown);
            shown
        };
        let x = |count| "x".repeat(count);
        let long = |variable, value: String| (variable, Value::string(value));
        let one: Map = [long("A", x(1000)), long("B", x(1))].into_iter().collect();
        assert_eq!(shown(one), format!(":t -D A={}…", x(158)));
        let more: Map = [long("A", x(150)), long("B", x(1)), long("C", x(1))].into_iter().collect();
        assert_eq!(shown(more), format!(":t -D A={} …", x(150)));
        let quoted: Map = [long("A", " ".repeat(1000))].into_iter().collect();
        assert_eq!(shown(quoted), format!(":t -D 'A={}…'", " ".repeat(158)));
        let escaped: Map = [long("A", "\n".repeat(1000))].into_iter().collect();
        assert_eq!(shown(escaped), format!(r#":t -D '{{"A":"{}…'"#, r"\n".repeat(77)));
        let two: Map = [long("A", x(100)), long("B", x(100)), long("C", x(1))].into_iter().collect();
        let late: Map = [long("A", x(1000) + "\n")].into_iter().collect();
        assert_eq!(shown(late), format!(":t -D A={}…", x(158)));
        assert_eq!(shown(two), format!(":t -D A={} -D B={}…", x(100), x(56)));
        let whole: Map = [long("A", x(70)), long("B", x(70))].into_iter().collect();
        assert_eq!(shown(whole), format!(":t -D A={} -D B={}", x(70), x(70)));
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
