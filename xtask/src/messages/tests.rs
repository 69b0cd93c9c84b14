//! What counts as a message, and when a document has it: on sources and documents of a few lines.

use super::{
    Answers, Uncaused, Voice, answers, is_covered, is_of_the_product, messages_of, normal, placeholders,
    uncovered,
};

fn texts(source: &str) -> Vec<String> {
    messages_of("crates/a/src/b.rs", source).unwrap().into_iter().map(|message| message.text).collect()
}

#[test]
fn sentences_are_found_wherever_they_are_written() {
    let source = r#"
        const HINT: &str = "try it again";
        fn f() -> String {
            match x { 1 => "one word is none".into(), _ => "word".into() }
            log(format!("there is no {name:?} in {}", g("a b")));
        }
    "#;
    assert_eq!(texts(source), ["try it again", "one word is none", "there is no {} in {}", "a b"]);
}

#[test]
fn texts_for_developers_and_tests_are_no_messages() {
    let source = r#"
        //! A document.
        /// Of a function.
        #[allow(dead_code, reason = "not used yet")]
        fn f() {
            x.expect("there is one");
            text.contains("what is searched");
            assert!(x, "it has to be");
            list!(#[doc = "of a macro"] unreachable!("never comes here"));
            match text { "what it may be" | "or this one" => matches!(text, "what it is") }
        }
        impl fmt::Debug for A { fn fmt(&self) { f.write_str("what it looks like") } }
        #[cfg(test)]
        mod tests { const A: &str = "only in tests"; }
        #[test]
        fn t() { f("only in tests"); }
    "#;
    assert_eq!(texts(source), [] as [&str; 0]);
    assert!(is_of_the_product("crates/cli/src/voice.rs"));
    for name in
        ["crates/cli/tests/a.rs", "crates/testkit/src/a.rs", "crates/a/src/b/tests.rs", "xtask/src/a.rs"]
    {
        assert!(!is_of_the_product(name), "{name}");
    }
}

#[test]
fn what_is_compared_searched_for_hashed_or_a_key_is_no_message() {
    let source = r#"
        const WORDS_OF_GIT: [&str; 1] = ["early end of the file"];
        const SALT: &str = "kept names 1";
        impl Rule for A { const NAME: &'static str = "name of a rule"; }
        fn f() -> String {
            const WORDS_OF_ENDS: &[&str] = &["ends too early"];
            writer.key("start time").integer(1);
            if text == "closed by peer" || "not found" != text { return "it is shown".into() }
            match text { "first case" | "second case" => "what is shown", other if matches!(other, "a b") => "shown, too" }
        }
    "#;
    assert_eq!(texts(source), ["it is shown", "what is shown", "shown, too"]);
}

#[test]
fn what_is_inserted_may_be_anything() {
    assert_eq!(placeholders("{a} of {:>3} and {{}} {b:#?}"), "{} of {} and {} {}");
    let golden = [normal("error: the file\n  a/b  has 3 lines, too many")];
    assert!(is_covered("the file {} has {} lines", &golden));
    assert!(is_covered("too many.", &golden));
    assert!(is_covered("The file {} has", &golden));
    assert!(!is_covered("{} lines of the file", &golden));
}

#[test]
fn a_message_is_in_a_document_or_listed_with_a_reason_and_never_both() {
    let source =
        r#"const A: &str = "in the document"; const B: &str = "in the list"; const C: &str = "in none";"#;
    let messages = messages_of("a.rs", source).unwrap();
    let golden = Answers { taut: vec!["it is in the document".to_owned()], ..Answers::default() };
    let check = |list: &str| uncovered(&messages, &golden, &Uncaused::parse(list).unwrap());
    assert_eq!(check("[reason]\n|in the list|\n"), ["a.rs:1: no golden document has \"in none\""]);
    let found = check("[reason]\n|in the list|\n|in none|\n|in the document|\n|in no source|\n");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].ends_with("a golden document has \"in the document\", which is listed as not caused"));
    assert!(found[1].ends_with("no message is \"in no source\""));
}

#[test]
fn a_list_without_reasons_is_an_error() {
    for list in ["|a message|", "[reason]\na message", "[reason]\n|a b|\n|a b|"] {
        assert!(Uncaused::parse(list).is_err(), "{list}");
    }
}

#[test]
fn what_belongs_to_one_voice_is_looked_for_in_its_answers_only() {
    let source = r#"
        impl Texts for Just { fn a(&self) { say("of just alone"); } }
        impl Texts for Taut { fn a(&self) { say("of taut alone"); } }
        fn wrong(name: Name) {
            let reference = format!("for the reference {name}");
            match name { Name::Just => say("arm of just"), Name::Taut => say("arm of taut") }
            error("first as taut").reference("second as just");
            error("of both names")
        }
        fn in_reference() -> String { "text as reference".into() }
    "#;
    let messages = messages_of("a.rs", source).unwrap();
    let of = |voice: Voice| {
        let texts = messages.iter().filter(|message| message.voice == voice);
        texts.map(|message| message.text.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of(Voice::Taut), ["of taut alone", "arm of taut", "first as taut"]);
    assert_eq!(
        of(Voice::Just),
        ["of just alone", "for the reference {}", "arm of just", "second as just", "text as reference"]
    );
    assert_eq!(of(Voice::Both), ["of both names"]);
    let of_file = |name: &str| messages_of(name, r#"const A: &str = "a b";"#).unwrap()[0].voice;
    assert_eq!(of_file("crates/cli/src/mr/words.rs"), Voice::Just);
    assert_eq!(of_file("crates/cli/src/watch.rs"), Voice::Both);

    let all: Vec<String> = messages.iter().map(|message| message.text.replace("{}", "x")).collect();
    let golden = Answers { taut: vec![all.join("; ")], ..Answers::default() };
    let found = uncovered(&messages, &golden, &Uncaused::default());
    assert_eq!(found.len(), 5, "{found:#?}");
    assert!(found.iter().all(|found| found.ends_with(" under the name just")), "{found:#?}");
}

#[test]
fn errors_begin_with_a_small_letter() {
    let mut golden = Answers::default();
    let text = "error: Cannot read it\nwarning: cannot\nerror: TREE conflict\nerror: Git is absent\nerror: C++20 is\n";
    golden.add(text, super::Golden::Whole(Voice::Just));
    assert_eq!(golden.capitals.len(), 0);
    golden.add(text, super::Golden::Whole(Voice::Taut));
    assert_eq!(Vec::from_iter(&golden.capitals), ["Cannot read it"]);
}

#[test]
fn what_the_author_of_a_rule_wrote_may_have_a_capital_letter() {
    let of_rule = "error: Ask Legal\n  --> TARGETS:1:2\n  note: the rule says so here: RULES:1:9\n";
    assert_eq!(super::capitals(of_rule), [] as [&str; 0]);
    let of_both = format!("error: Cannot read it\n{of_rule}");
    assert_eq!(super::capitals(&of_both), ["Cannot read it"]);
}

#[test]
fn answers_are_the_blocks_below_calls() {
    let document = "`$ just a` exits with 1:\n\n```\nequal\n```\n\n`$ just b` exits with 1, taut differs:\n\n\
        ```\nother\n```\n\n`f`\n\n```json\na file\n```\n\n`$ taut c` exits with 0:\n\n```\nours\n```\n\n\
        Under the name `just` it exits with 0:\n\n```\ntheirs\n```\n\n`$ taut d` goes on after `x`:\n\n```\nx\n```\n\n\
        It is interrupted and exits with 3:\n\n```\nthe end\n```\nProse.\n";
    let found = answers(document);
    let found: Vec<_> = found.iter().map(|(voice, text)| (*voice, text.as_str())).collect();
    assert_eq!(
        found,
        [
            (Voice::Just, "equal\n"),
            (Voice::Taut, "ours\n"),
            (Voice::Just, "theirs\n"),
            (Voice::Taut, "x\n"),
            (Voice::Taut, "the end\n"),
        ]
    );
}
