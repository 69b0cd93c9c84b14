//! The parser compared with another one, and its error messages.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use taut_syntax::{Diagnostic, Dialect, Document, JsonPath, Kind, Location, Node, diagnostic::render};

fn to_other(node: Node<'_>) -> serde_json::Value {
    match node.kind() {
        Kind::Null => serde_json::Value::Null,
        Kind::Bool => node.as_bool().into(),
        Kind::Number => node.as_number().into(),
        Kind::String => node.as_str().into(),
        Kind::List => node.items().map(to_other).collect(),
        Kind::Object => node.entries().map(|(key, value)| (key, to_other(value))).collect(),
    }
}

/// The other parser keeps whole numbers apart from doubles.
fn only_doubles(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Number(number) => *value = number.as_f64().into(),
        serde_json::Value::Array(items) => items.iter_mut().for_each(only_doubles),
        serde_json::Value::Object(entries) => entries.values_mut().for_each(only_doubles),
        _ => {}
    }
}

fn agrees(text: &[u8]) {
    let ours = Document::parse("f", text);
    match (ours, serde_json::from_slice::<serde_json::Value>(text)) {
        (Ok(document), Ok(mut other)) => {
            only_doubles(&mut other);
            assert_eq!(to_other(document.root()), other);
        }
        (Err(_), Err(_)) => {}
        (Ok(_), Err(other)) => panic!("only the other parser refuses {text:?}: {other}"),
        (Err(ours), Ok(_)) => assert!(text.starts_with(b"\xef\xbb\xbf"), "refused: {ours}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_parsed_or_refused_as_by_another_parser(text in proptest::collection::vec(any::<u8>(), 0..60)) {
        if !text.starts_with(b"\xef\xbb\xbf") {
            agrees(&text);
        }
    }

    #[test]
    fn pieces_of_json_are_parsed_or_refused_as_by_another_parser(
        pieces in proptest::collection::vec(proptest::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"b\":", "\"a\":", "1", "-", "0", ".5", "e9", "1e400", "null",
            "true", "false", " ", "\n", "\\u0041", "\\ud83d\\ude00", "\\ud800", "\\n", "\\x", "é", "//", "-0", "01", "\u{1}",
        ]), 0..14),
    ) {
        agrees(pieces.concat().as_bytes());
    }

    #[test]
    fn paths_lead_back_to_their_values(text in "\\[(\\{\"a\":[0-9],\"b\":\\[\\[1\\],\\{\"c\":2\\}\\]\\},){0,3}[0-9]\\]") {
        fn check(document: &Document, node: Node<'_>) {
            assert_eq!(document.at(&node.path()).map(Node::span), Some(node.span()));
            node.items().for_each(|item| check(document, item));
            node.entries().for_each(|(_, value)| check(document, value));
        }
        let document = Document::parse("f", text).unwrap();
        check(&document, document.root());
    }
}

#[test]
fn the_last_of_equal_keys_counts_and_the_others_are_reported() {
    let document = Document::parse("f", "{\"a\":1,\n \"b\":2, \"a\":3}").unwrap();
    assert_eq!(document.root().get("a").and_then(Node::as_number), Some(3.0));
    assert_eq!(document.root().len(), 2);
    let sources = |_: &str| Some("{\"a\":1,\n \"b\":2, \"a\":3}".into());
    let warnings: Vec<String> = Diagnostic::of_duplicates(&document, document.root().span())
        .map(|warning| render(&warning, &sources, false))
        .collect();
    expect![[r#"
        key "a" occurs twice in one object; this one is ignored
         --> f:1:2
          |
        1 | {"a":1,
          |  ^^^
          note: the last one counts: f:2:9"#]]
    .assert_eq(&warnings.concat());
}

#[test]
fn a_byte_order_mark_is_skipped() {
    assert_eq!(Document::parse("f", "\u{feff}[1]").unwrap().root().len(), 1);
}

#[test]
fn formatting_does_not_change_the_canonical_hash() {
    let hash = |text: &str| Document::parse("f", text).unwrap().root().canonical_hash();
    assert_eq!(
        hash(r#"{"a":[1,"A"],"b":null}"#),
        hash("{ \"b\":null,\n \"a\":9, \"a\" : [1.0, \"\\u0041\"] }")
    );
    let different =
        ["[]", "{}", "null", "0", "\"\"", "[[]]", "[[],[]]", "[\"\"]", "{\"\":0}", "true", "false", "[0,0]"];
    for (i, a) in different.iter().enumerate() {
        for b in &different[i + 1..] {
            assert_ne!(hash(a), hash(b), "{a} {b}");
        }
    }
}

#[test]
fn deep_nesting_is_parsed_without_recursion() {
    let deep = format!("{}{}", "[{\"a\":".repeat(100_000), "}]".repeat(100_000));
    assert!(Document::parse("f", deep).is_err());
    let deep = format!("{}1{}", "[{\"a\":".repeat(100_000), "}]".repeat(100_000));
    let document = Document::parse("f", deep).unwrap();
    assert_ne!(document.root().canonical_hash(), [0; 32]);
    let mut node = document.root();
    while let Some(inner) = node.item(0).and_then(|object| object.get("a")) {
        node = inner;
    }
    assert_eq!(node.path().steps().len(), 200_000);
    assert_eq!(document.at(&node.path()).and_then(Node::as_number), Some(1.0));
    assert!(Document::parse("f", "[".repeat(1_000_000)).is_err());
}

fn syntax_error(text: impl AsRef<[u8]>, expected: Expect) {
    syntax_error_in(Dialect::Strict, text, expected);
}

fn syntax_error_in(dialect: Dialect, text: impl AsRef<[u8]>, expected: Expect) {
    let bytes = text.as_ref().to_vec();
    let shown: std::sync::Arc<str> = String::from_utf8_lossy(&bytes).into();
    let error = Document::parse_as(dialect, "m/TARGETS", bytes).unwrap_err();
    let sources = move |_: &str| Some(shown.clone());
    expected.assert_eq(&render(&error.into(), &sources, false));
}

#[test]
fn syntax_errors_show_the_location() {
    syntax_error(
        "{\n  \"a\": 1,\n}",
        expect![[r#"
            Invalid JSON in line 2: a comma before the closing }
             --> m/TARGETS:2:9
              |
            2 |   "a": 1,
              |         ^
              help: JSON has no trailing commas; remove it"#]],
    );
    syntax_error(
        "[1 2]",
        expect![[r#"
            Invalid JSON in line 1: expected a comma or ], found 2
             --> m/TARGETS:1:4
              |
            1 | [1 2]
              |    ^
              help: entries are separated by commas; is one missing before this?"#]],
    );
    syntax_error(
        "{\"a\": // no\n 1}",
        expect![[r#"
            Invalid JSON in line 1: expected a value, found //
             --> m/TARGETS:1:7
              |
            1 | {"a": // no
              |       ^^
              help: JSON has no comments; where documentation is wanted there are fields for it"#]],
    );
    syntax_error(
        "{\"a\"",
        expect![[r#"
            Invalid JSON in line 1: this { is never closed
             --> m/TARGETS:1:1
              |
            1 | {"a"
              | ^
              note: the file ends here: m/TARGETS:1:5"#]],
    );
    syntax_error(
        "",
        expect![[r#"
            Invalid JSON in line 1: the file is empty
             --> m/TARGETS:1:1
              |
            1 | 
              | ^
              help: a file without entries holds {}"#]],
    );
    syntax_error(
        "[1] x",
        expect![[r#"
            Invalid JSON in line 1: expected the end of the file, found x
             --> m/TARGETS:1:5
              |
            1 | [1] x
              |     ^"#]],
    );
    syntax_error(
        "[\"\\ud800\"]",
        expect![[r#"
            Invalid JSON in line 1: half a surrogate pair is not a character
             --> m/TARGETS:1:3
              |
            1 | ["\ud800"]
              |   ^^^^^^
              help: characters above U+FFFF are written as two escapes, or directly"#]],
    );
    syntax_error(
        "[1e400]",
        expect![[r#"
            Invalid JSON in line 1: the number 1e400 is too large
             --> m/TARGETS:1:2
              |
            1 | [1e400]
              |  ^^^^^"#]],
    );
    syntax_error(
        "[tru]",
        expect![[r#"
            Invalid JSON in line 1: expected a value, found tru
             --> m/TARGETS:1:2
              |
            1 | [tru]
              |  ^^^
              help: text is written in double quotes: "tru""#]],
    );
    syntax_error(
        "[\"a\nb\"]",
        expect![[r#"
            Invalid JSON in line 1: this string does not end in its line
             --> m/TARGETS:1:2
              |
            1 | ["a
              |  ^^
              help: close it with ", or write a line break within it as \n"#]],
    );
    syntax_error(
        b"[\"\xff\"]",
        expect![[r#"
            Invalid JSON in line 1: the byte 0xFF is not UTF-8
             --> m/TARGETS:1:3
              |
            1 | ["�"]
              |   ^
              help: files are read as UTF-8; convert this one, for example with iconv"#]],
    );
    syntax_error(
        "{'a': 1}",
        expect![[r#"
            Invalid JSON in line 1: expected a key or }, found 'a'
             --> m/TARGETS:1:2
              |
            1 | {'a': 1}
              |  ^^^
              help: strings are written in double quotes"#]],
    );
    syntax_error(
        "[\"\\q\"]",
        expect![[r#"
            Invalid JSON in line 1: unknown escape \q
             --> m/TARGETS:1:3
              |
            1 | ["\q"]
              |   ^^
              help: a backslash itself is written as \\"#]],
    );
    syntax_error(
        "[-]",
        expect![[r#"
            Invalid JSON in line 1: the number - is incomplete
             --> m/TARGETS:1:2
              |
            1 | [-]
              |  ^"#]],
    );
}

#[test]
fn syntax_errors_of_what_people_write_show_the_location() {
    syntax_error_in(
        Dialect::Extended,
        "{ // the number\n  \"a\": /* one 1,\n  \"b\": 2\n}",
        expect![[r#"
            Invalid JSON in line 2: this comment does not end
             --> m/TARGETS:2:8
              |
            2 |   "a": /* one 1,
              |        ^^
              help: close it with */"#]],
    );
    syntax_error_in(
        Dialect::Extended,
        "[1] # done",
        expect![[r#"
        Invalid JSON in line 1: expected the end of the file, found #
         --> m/TARGETS:1:5
          |
        1 | [1] # done
          |     ^
          help: a comment begins with //, or is between /* and */"#]],
    );
    syntax_error_in(
        Dialect::Extended,
        "[1, // one\n / two\n 2]",
        expect![[r#"
        Invalid JSON in line 2: expected a value, found /
         --> m/TARGETS:2:2
          |
        2 |  / two
          |  ^
          help: a comment begins with //, or is between /* and */"#]],
    );
    syntax_error_in(
        Dialect::Extended,
        "[1,, 2]",
        expect![[r#"
        Invalid JSON in line 1: expected a value, found ,
         --> m/TARGETS:1:4
          |
        1 | [1,, 2]
          |    ^"#]],
    );
    syntax_error_in(
        Dialect::Extended,
        "{/* none */,}",
        expect![[r#"
        Invalid JSON in line 1: expected a key or }, found ,
         --> m/TARGETS:1:12
          |
        1 | {/* none */,}
          |            ^"#]],
    );
    syntax_error_in(
        Dialect::Extended,
        "[1, // one\n}",
        expect![[r#"
            Invalid JSON in line 2: expected a value, found }
             --> m/TARGETS:2:1
              |
            2 | }
              | ^
              note: this [ is open: m/TARGETS:1:1"#]],
    );
    syntax_error_in(
        Dialect::Extended,
        "[1, // one ]",
        expect![[r#"
        Invalid JSON in line 1: this [ is never closed
         --> m/TARGETS:1:1
          |
        1 | [1, // one ]
          | ^
          note: the file ends here: m/TARGETS:1:13"#]],
    );
    syntax_error_in(
        Dialect::Extended,
        "// {}\n",
        expect![[r#"
        Invalid JSON in line 2: the file is empty
         --> m/TARGETS:2:1
          |
        2 | 
          | ^
          help: a file without entries holds {}"#]],
    );
}

#[test]
fn places_behind_comments_are_those_in_the_file() {
    let text = "/* é */ { // the number\n  \"a\" /* is */ : /*\n*/ 1, // one\n}";
    let document = Document::parse_as(Dialect::Extended, "f", text).unwrap();
    let number = document.root().get("a").unwrap();
    let shown: std::sync::Arc<str> = text.into();
    let sources = move |_: &str| Some(shown.clone());
    let shown = |location| render(&Diagnostic::error("here").at(location), &sources, false);
    expect![[r#"
        here
         --> f:3:4
          |
        3 | */ 1, // one
          |    ^"#]]
    .assert_eq(&shown(Location::value("f", number.path())));
    expect![[r#"
        here
         --> f:2:3
          |
        2 |   "a" /* is */ : /*
          |   ^^^"#]]
    .assert_eq(&shown(Location::key("f", number.path())));
    assert_eq!(document.root().source(), &text["/* é */ ".len()..]);
}

/// The message and the advice for a text that is not JSON.
fn reported(text: &str) -> String {
    let error = Document::parse("f", text).expect_err("no JSON");
    format!("{}:{}: {}; {}", error.line, error.column, error.message, error.help.unwrap_or_default())
}

#[test]
fn invisible_and_confusable_characters_are_named() {
    for (text, expected) in [
        (
            "{\u{a0}\"a\": 1}",
            "1:2: expected a key or }, found a no-break space (U+00A0); it looks like an ordinary space; replace it by one",
        ),
        (
            "{\u{200b}\"a\": 1}",
            "1:2: expected a key or }, found a zero-width space (U+200B); it is invisible; remove it",
        ),
        (
            "\u{feff}\u{feff}{}",
            "1:1: expected a value, found a byte order mark (U+FEFF); it can only stand at the beginning of the file; remove it",
        ),
        (
            "[1,\u{2028}2]",
            "1:4: expected a value, found a special line break (U+2028); replace it by an ordinary line break",
        ),
        (
            "[\u{7f}1]",
            "1:2: expected a value, found a control character (U+007F); it is invisible; remove it",
        ),
        (
            "{“a”: 1}",
            "1:2: expected a key or }, found the typographic quotation mark “ (U+201C); strings are written in straight double quotes: \"",
        ),
        (
            "{\"a\": ‘b’}",
            "1:7: expected a value, found the typographic quotation mark ‘ (U+2018); strings are written in straight double quotes: \"",
        ),
        (
            "{\"a\"： 1}",
            "1:5: expected : after the key, found the colon of another script ： (U+FF1A); write it as :",
        ),
        (
            "[1， 2]",
            "1:3: expected a comma or ], found the comma of another script ， (U+FF0C); write it as ,",
        ),
        ("[−1]", "1:2: expected a value, found the dash − (U+2212); a minus sign is written as -"),
        (
            "[\"\\\u{200b}\"]",
            "1:3: unknown escape \\ and a zero-width space (U+200B); a backslash itself is written as \\\\",
        ),
    ] {
        assert_eq!(reported(text), expected, "{text:?}");
    }
}

#[test]
fn conflict_markers_of_an_unfinished_merge_are_named() {
    let help = "a merge left its conflicts here: choose between the sides and remove the marks";
    for (text, expected) in [
        ("{\n<<<<<<< HEAD\n}", "2:1: expected a key or }, found the conflict mark <<<<<<<"),
        ("{\"a\": 1\n=======\n}", "2:1: expected a comma or }, found the conflict mark ======="),
        ("{\"a\":\n||||||| base\n1}", "2:1: expected a value, found the conflict mark |||||||"),
        (
            "{\"a\": 1}\n>>>>>>> theirs\n",
            "2:1: expected the end of the file, found the conflict mark >>>>>>>",
        ),
    ] {
        assert_eq!(reported(text), format!("{expected}; {help}"), "{text:?}");
    }
    assert_eq!(reported("{\n <<<<<<< HEAD\n}"), "2:2: expected a key or }, found <; ");
    assert_eq!(reported("{\n<<<<<<<<\n}"), "2:1: expected a key or }, found <; ");
}

#[test]
fn long_lines_are_cut_around_the_location() {
    let text: std::sync::Arc<str> = format!("[{}\"here\",{}1]", "0,".repeat(500), "0,".repeat(500)).into();
    let sources = |_: &str| Some(text.clone());
    let diagnostic = Diagnostic::error("look")
        .at(Location::value("f", JsonPath::root().index(500)))
        .suggest(Some("there"));
    expect![[r#"
        look
         --> f:1:1002
          |
        1 | …0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"here",0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0…
          |                                                    ^^^^^^
          help: did you mean "there"?"#]].assert_eq(&render(&diagnostic, &sources, false));
}
