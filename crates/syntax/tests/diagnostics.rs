//! The text of diagnostics, and their equality.

use std::sync::Arc;

use expect_test::expect;
use taut_syntax::{Diagnostic, Diagnostics, Frame, JsonPath, Location, diagnostic::render};

fn example() -> Diagnostic {
    let at = |path: JsonPath| Location::value("m/TARGETS", path);
    let target = JsonPath::root().key("app");
    Diagnostic::error("Cannot determine source file \"mian.c\"")
        .at(at(target.key("srcs").index(0)))
        .suggest(Some("main.c"))
        .note("looked in directory \"m\"")
        .within(Frame::new("in field \"srcs\"").at(Location::key("m/TARGETS", target.key("srcs"))))
        .within(Frame::new("of target app").at(at(target)).detail("CC = \"gcc\""))
}

#[test]
fn a_diagnostic_shows_location_suggestion_and_chain() {
    let sources =
        |file: &str| (file == "m/TARGETS").then(|| Arc::from("{ \"app\":\n  { \"srcs\": [\"mian.c\"] }\n}"));
    expect![[r#"
        Cannot determine source file "mian.c"
         --> m/TARGETS:2:14
          |
        2 |   { "srcs": ["mian.c"] }
          |              ^^^^^^^^
          help: did you mean "main.c"?
          note: looked in directory "m"
          in field "srcs", m/TARGETS:2:5
          of target app, m/TARGETS:2:3
            CC = "gcc""#]]
    .assert_eq(&render(&example(), &sources, false));
}

#[test]
fn reformatting_changes_only_the_location() {
    let other = |_: &str| Some(Arc::from("{\"app\":{\"type\":1,\"srcs\":[\"mian.c\"]}}"));
    expect![[r#"
        Cannot determine source file "mian.c"
         --> m/TARGETS:1:26
          |
        1 | {"app":{"type":1,"srcs":["mian.c"]}}
          |                          ^^^^^^^^
          help: did you mean "main.c"?
          note: looked in directory "m"
          in field "srcs", m/TARGETS:1:18
          of target app, m/TARGETS:1:8
            CC = "gcc""#]]
    .assert_eq(&render(&example(), &other, false));
}

#[test]
fn a_diagnostic_without_its_file_shows_the_file_name() {
    expect![[r#"
        Cannot determine source file "mian.c"
         --> m/TARGETS
          help: did you mean "main.c"?
          note: looked in directory "m"
          in field "srcs", m/TARGETS
          of target app, m/TARGETS
            CC = "gcc""#]]
    .assert_eq(&render(&example(), &|_: &str| None, false));
}

#[test]
fn equal_diagnostics_are_reported_once_where_they_occur_first() {
    let set = |names: &[&str]| names.iter().map(|name| Diagnostic::error(*name)).collect::<Diagnostics>();
    let merged = Diagnostics::merge([&set(&["a", "b", "a"]), &Diagnostics::none(), &set(&["c", "b"])]);
    assert_eq!(merged.iter().map(|d| d.message.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(merged.has_errors());
    assert_eq!(Diagnostics::merge([&merged, &merged]), merged);
}

#[test]
fn merging_along_a_chain_shares_parts_and_frees_them_without_recursion() {
    const LENGTH: usize = 100_000;
    let mut all = Diagnostics::none();
    for i in 0..LENGTH {
        all = Diagnostics::merge([&Diagnostics::from(Diagnostic::error(format!("{i}"))), &all]);
    }
    let messages: Vec<&str> = all.iter().map(|d| d.message.as_str()).collect();
    assert_eq!((messages.len(), messages[0], messages[LENGTH - 1]), (LENGTH, "99999", "0"));
    drop(all);
}

#[test]
fn a_shared_part_is_visited_once() {
    let mut all = Diagnostics::from(Diagnostic::error("deep down"));
    for i in 0..60 {
        let left = Diagnostics::merge([&all, &Diagnostic::error(format!("left {i}")).into()]);
        let right = Diagnostics::merge([&all, &Diagnostic::error(format!("right {i}")).into()]);
        all = Diagnostics::merge([&left, &right]);
    }
    assert_eq!(all.iter().len(), 1 + 2 * 60);
}

#[test]
fn settle_changes_only_diagnostics_without_a_target() {
    let settled = Diagnostic::error("in a").within(Frame::of_target("a"));
    let set: Diagnostics = [settled.clone(), Diagnostic::error("loose")].into_iter().collect();
    assert!(set.is_unsettled());
    let set = set.settle(|diagnostic| diagnostic.within(Frame::of_target("b")));
    assert!(!set.is_unsettled());
    let loose = Diagnostic::error("loose").within(Frame::of_target("b"));
    assert_eq!(set.iter().cloned().collect::<Vec<_>>(), [settled, loose]);
}

#[test]
fn the_text_of_the_reference_has_the_first_way_to_a_problem() {
    let problem = Diagnostics::from(example().reference("no file").within(Frame::of_target("lib")));
    let (one, other) = (problem.below("While a:"), problem.below("While b:"));
    let all = Diagnostics::merge([&one, &other]).below("While all:");
    assert_eq!(all.iter().len(), 1);
    let texts: Vec<String> = all.referenced().iter().map(|found| found.reference_text().to_owned()).collect();
    assert_eq!(texts, ["While all:\nWhile a:\nno file"]);
    // Ours stays as it is.
    assert_eq!(all.iter().next(), problem.iter().next());
}

#[test]
fn what_the_reference_tries_once_has_a_name_and_warnings_come_first() {
    let warning = Diagnostic::warning("odd").reference("unexpected");
    let own = Diagnostic::warning("ours alone").reference("");
    let problem = Diagnostic::error("bad").once("rule r").below("While looking up r:");
    let problem = problem.after_warnings([&warning, &own].into_iter()).below("While all:");
    let messages = problem.reference_messages();
    let shown: Vec<_> = messages.iter().map(|message| (message.is_warning, message.text.as_str())).collect();
    assert_eq!(shown, [(true, "While all:\nunexpected"), (false, "While all:\nWhile looking up r:\nbad")]);
    assert!(messages[0].once.is_empty() && messages[1].once.len() == 1);
    assert!(own.below("While all:").reference_messages().is_empty());
}
