//! Output without what the machine and the user that run the tests put into it.

/// A text with `N` for owners of files, for limits of the system, and for times and numbers of processes in names. Also
/// for the id of the configuration that a build tool is started with, since that has paths in it.
pub(crate) fn without_machine(text: &str) -> String {
    let text = with_words_behind(text, "belongs to user ", |c| !c.is_whitespace());
    let text = with_words_behind(&text, "and this is user ", |c| !c.is_whitespace());
    let text = with_words_behind(&text, "/unknown/", |c| c.is_ascii_digit() || "-:N".contains(c));
    let is_call = |line: &&str| line.contains("Setup finished, exec ");
    let started = text.lines().find(is_call).unwrap_or_default();
    let masked = with_words_behind(started, "/casf/", |c| c.is_ascii_hexdigit() || c == '/');
    let text = if started.is_empty() { text } else { text.replace(started, &masked) };
    let text = with_words_behind(&text, "/remove-me", |c| c.is_ascii_digit() || c == '-');
    let text = with_words_behind(&text, "/tmp_obj_", |c| c.is_ascii_digit() || c == '_');
    ["max_user_watches", "max_user_instances"].iter().fold(text, |text, limit| {
        with_words_behind(&text, &format!("fs.inotify.{limit} = "), |c| c.is_ascii_digit())
    })
}

/// A text with `N` for what follows a text, as long as characters are of a kind.
fn with_words_behind(text: &str, before: &str, is_part: fn(char) -> bool) -> String {
    let mut parts = text.split(before);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out += before;
        out += "N";
        out += part.trim_start_matches(is_part);
    }
    out
}

#[test]
fn users_and_limits_are_replaced() {
    assert_eq!(
        without_machine("f belongs to user root (mode 0644), and this is user a"),
        "f belongs to user N (mode 0644), and this is user N"
    );
    assert_eq!(
        without_machine("the limit is fs.inotify.max_user_watches = 8192)"),
        "the limit is fs.inotify.max_user_watches = N)"
    );
}
