//! `watch --compile-commands`: the compilation database follows descriptions and generated headers.

use std::fs;

use taut_testkit::Workspace;

use super::Watching;

fn project() -> Workspace {
    let workspace = Workspace::new();
    workspace.file(
        "TARGETS",
        r#"{"app": {"type": ["@", "std", "cc", "binary"], "name": ["app"], "srcs": ["app.c", "table"]},
            "table": {"type": ["@", "std", "", "genrule"], "outs": ["table.h"], "srcs": ["size"],
              "cmds": ["(printf '#define SIZE '; cat size) > table.h"]}}"#,
    );
    workspace
        .file("app.c", "#include \"table.h\"\nint main(void) { return SIZE; }\n")
        .file("size", "3\n")
        .file("more.c", "int more;\n");
    workspace
}

#[test]
fn the_database_follows_and_is_written_only_if_it_is_another_one() {
    let workspace = project();
    let file = workspace.beside("compile_commands.json");
    let words = ["app", "--compile-commands", file.to_str().unwrap()];
    let mut watching = Watching::elsewhere(&workspace, &workspace.root(), &words);
    watching.until("compile_commands.json: 1 command\n");
    watching.until("Interrupt to end.");
    let text = || fs::read_to_string(&file).unwrap();
    assert!(text().contains("app.c") && !text().contains("more.c"), "{}", text());
    // The directory in which the generated header lies is named in the command.
    let generated = || {
        let text = text();
        let at = text.find("/compile-commands/").expect("a directory of generated headers");
        let begin = text[..at].rfind('"').unwrap() + 1;
        let end = at + text[at..].find('"').unwrap();
        let directory = text[begin..end].trim_start_matches("-I").to_owned();
        fs::read_to_string(format!("{directory}/table.h")).unwrap()
    };
    assert_eq!(generated(), "#define SIZE 3\n");

    // A mark that a rewritten file would not have.
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    workspace.file("size", "4\n");
    watching.round("size changed.");
    workspace.file("app.c", "#include \"table.h\"\nint main(void) { return SIZE + 1; }\n");
    watching.round("app.c changed.");
    // The round before this one has ended when the next one begins.
    assert_eq!(generated(), "#define SIZE 4\n");
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);

    let targets = fs::read_to_string(workspace.root().join("TARGETS")).unwrap();
    workspace.file("TARGETS", targets.replace("\"app.c\", ", "\"app.c\", \"more.c\", "));
    watching.until("compile_commands.json: 2 commands\n");
    assert!(text().contains("app.c") && text().contains("more.c"), "{}", text());

    // While the description is wrong, the commands stay.
    workspace.file("TARGETS", "{");
    watching.until("Analysis failed; waiting for a change.");
    workspace.file("TARGETS", targets);
    watching.until("compile_commands.json: 1 command\n");
    assert_eq!(watching.interrupt(), 130);
}
