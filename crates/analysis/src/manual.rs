//! The purpose and the fields of the built-in rules, for `describe`. docs/language.md describes them in full.

use crate::vocabulary::Builtin;

/// The documentation of a built-in rule.
#[derive(Clone, Copy, Debug)]
pub struct Manual {
    /// What it is for.
    pub doc: &'static str,
    /// Its fields with their meaning, the most important first.
    pub fields: &'static [(&'static str, &'static str)],
    /// What the artifacts of its targets are.
    pub artifacts: &'static str,
    /// What the runfiles of its targets are.
    pub runfiles: &'static str,
}

/// The manual of a built-in rule; `None` if no built-in rule has the name.
pub fn manual(rule: &str) -> Option<Manual> {
    Builtin::from_name(rule).map(Builtin::manual)
}

const TREE_NAME: (&str, &str) = ("name", "the path of the directory; \"\" if absent");
// Shared by most rules, so that one field is described in one way everywhere.
const ARGUMENTS: (&str, &str) =
    ("arguments_config", "the variables of the configuration that the fields see, written literally");
const TAINTED: (&str, &str) =
    ("tainted", "strings that every target which depends on this one has to carry, too");

// Here and not in `vocabulary`: texts for readers change more often than the language.
impl Builtin {
    fn manual(self) -> Manual {
        match self {
            Builtin::Generic => Manual {
                doc: "one action, written down in the target",
                fields: &[
                    ("outs", "the files that the commands make; \"outs\" or \"out_dirs\" is needed"),
                    ("out_dirs", "the directories that the commands make"),
                    ("cmds", "shell commands; they become one script, each with a newline after it"),
                    ("deps", "targets; the inputs are their runfiles and, above these, their artifacts"),
                    ("env", "a map of strings: the whole environment of the commands"),
                    ("cwd", "the directory in which they run, below that of the action; \"\" if absent"),
                    ("sh -c", "what gets the script as its last word; [\"sh\", \"-c\"] if absent"),
                    ("timeout scaling", "a number that the time limit is multiplied by"),
                    ("execution properties", "a map of strings for remote execution"),
                    ARGUMENTS,
                    TAINTED,
                ],
                artifacts: "the outputs",
                runfiles: "none",
            },
            Builtin::FileGen => Manual {
                doc: "one file with the content given",
                fields: &[
                    ("name", "the path of the file; \"out.txt\" if absent"),
                    ("data", "its content; \"\" if absent"),
                    ("deps", "targets that \"outs\" and \"runfiles\" in the other fields ask"),
                    ARGUMENTS,
                    TAINTED,
                ],
                artifacts: "the file",
                runfiles: "the same",
            },
            Builtin::Symlink => Manual {
                doc: "one symbolic link",
                fields: &[
                    ("name", "the path of the link; \"out.txt\" if absent"),
                    ("data", "what it points to: a relative path that does not lead upwards"),
                    ("deps", "targets that \"outs\" and \"runfiles\" in the other fields ask"),
                    ARGUMENTS,
                    TAINTED,
                ],
                artifacts: "the link",
                runfiles: "the same",
            },
            Builtin::Install => Manual {
                doc: "artifacts of other targets at chosen paths",
                fields: &[
                    ("files", "a map, written literally, from path to a target with a single artifact"),
                    ("dirs", "pairs of a target and a directory: its runfiles and artifacts go below it"),
                    ("deps", "targets whose runfiles keep their paths; their artifacts are not taken"),
                    ARGUMENTS,
                    TAINTED,
                ],
                artifacts: "what was placed",
                runfiles: "the same",
            },
            Builtin::Tree => Manual {
                doc: "one directory as a single artifact",
                fields: &[
                    ("deps", "targets; the directory holds their runfiles and artifacts"),
                    TREE_NAME,
                    ARGUMENTS,
                    TAINTED,
                ],
                artifacts: "the directory",
                runfiles: "the same",
            },
            Builtin::TreeOverlay => Manual {
                doc: "one directory that is merged when it is built; of files at the same path the later one counts",
                fields: &[
                    ("deps", "targets whose artifacts are merged, in this order"),
                    TREE_NAME,
                    ARGUMENTS,
                    TAINTED,
                ],
                artifacts: "the directory",
                runfiles: "the same",
            },
            Builtin::DisjointTreeOverlay => Manual {
                doc: "one directory that is merged when it is built; different files at the same path are an error",
                fields: &[("deps", "targets whose artifacts are merged"), TREE_NAME, ARGUMENTS, TAINTED],
                artifacts: "the directory",
                runfiles: "the same",
            },
            Builtin::Configure => Manual {
                doc: "another target, with some variables of the configuration set to other values",
                fields: &[
                    ("target", "the target; needed"),
                    ("config", "an expression for the map of variables that are set"),
                    ("doc", "lines for readers"),
                    ARGUMENTS,
                    TAINTED,
                ],
                artifacts: "those of the target",
                runfiles: "those of the target",
            },
            Builtin::Export => Manual {
                doc: "the interface of a module: a target that depends on no variables but those named",
                fields: &[
                    ("target", "the target, written literally; needed"),
                    ("flexible_config", "the variables whose values come from outside, written literally"),
                    ("fixed_config", "a map, written literally, of variables with the values they have here"),
                    ("doc", "lines for readers"),
                    ("config_doc", "a map from variable to lines for readers"),
                ],
                artifacts: "those of the target",
                runfiles: "those of the target",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_field_of_each_rule_is_explained() {
        for (name, rule) in Builtin::NAMES {
            let explained: BTreeSet<&str> = rule.manual().fields.iter().map(|(field, _)| *field).collect();
            let known: BTreeSet<&str> = rule.all_fields().filter(|field| *field != "type").collect();
            assert_eq!(explained, known, "{name}");
        }
    }
}
