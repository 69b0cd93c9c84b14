//! The vocabulary of description files: built-in rules with their fields, keys of rules and functions.
//!
//! Their meaning is implemented in `builtin` and `rules`; here they can be listed without evaluation, for suggestions
//! and `describe`.

/// A rule that is built in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Builtin {
    Export,
    Install,
    Generic,
    FileGen,
    Symlink,
    Tree,
    TreeOverlay,
    DisjointTreeOverlay,
    Configure,
}

impl Builtin {
    // One table for both directions, so that a name cannot be accepted and not be shown.
    pub(crate) const NAMES: [(&str, Builtin); 9] = [
        ("export", Builtin::Export),
        ("install", Builtin::Install),
        ("generic", Builtin::Generic),
        ("file_gen", Builtin::FileGen),
        ("symlink", Builtin::Symlink),
        ("tree", Builtin::Tree),
        ("tree_overlay", Builtin::TreeOverlay),
        ("disjoint_tree_overlay", Builtin::DisjointTreeOverlay),
        ("configure", Builtin::Configure),
    ];

    pub(crate) fn from_name(name: &str) -> Option<Builtin> {
        Builtin::NAMES.iter().find(|(known, _)| *known == name).map(|(_, rule)| *rule)
    }

    pub(crate) fn name(self) -> &'static str {
        Builtin::NAMES.iter().find(|(_, rule)| *rule == self).map_or("", |(name, _)| name)
    }

    /// Its targets, as messages of the reference call them.
    pub(crate) fn kind_in_reference(self) -> &'static str {
        match self {
            Builtin::Export => "export target",
            Builtin::Install => "install target",
            Builtin::Generic => "generic target",
            Builtin::FileGen => "file-generation target",
            Builtin::Symlink => "symlink target",
            Builtin::Tree => "tree target",
            Builtin::TreeOverlay => "tree overlay target",
            Builtin::DisjointTreeOverlay => "disjoint_tree_overlay target",
            Builtin::Configure => "configure target",
        }
    }

    /// The fields that most targets have.
    fn common(self) -> &'static [&'static str] {
        // `export` evaluates nothing, so it has no variables, and it must not be tainted.
        if self == Builtin::Export { &COMMON[..1] } else { &COMMON }
    }

    /// All fields that its targets can have.
    pub(crate) fn all_fields(self) -> impl Iterator<Item = &'static str> + Clone {
        self.common().iter().chain(self.fields()).copied()
    }

    /// The fields beside those that all targets have.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Builtin::Export => &["target", "flexible_config", "fixed_config", "doc", "config_doc"],
            Builtin::Install => &["deps", "files", "dirs"],
            Builtin::Generic => &[
                "cmds",
                "outs",
                "out_dirs",
                "cwd",
                "env",
                "sh -c",
                "deps",
                "timeout scaling",
                "execution properties",
            ],
            Builtin::FileGen | Builtin::Symlink => &["name", "data", "deps"],
            Builtin::Tree | Builtin::TreeOverlay | Builtin::DisjointTreeOverlay => &["deps", "name"],
            Builtin::Configure => &["target", "config", "doc"],
        }
    }
}

/// Fields that any target can have, except `export`.
pub(crate) const COMMON: [&str; 3] = ["type", "arguments_config", "tainted"];

/// Whether a word is the name of a built-in rule.
pub fn is_builtin(word: &str) -> bool {
    Builtin::from_name(word).is_some()
}

/// The built-in rules, each with all fields that its targets can have, except `type`.
pub fn builtin_rules() -> Vec<(&'static str, Vec<&'static str>)> {
    let fields = |rule: Builtin| rule.all_fields().filter(|field| *field != "type").collect();
    Builtin::NAMES.iter().map(|(name, rule)| (*name, fields(*rule))).collect()
}

/// The keys of rules.
// Sorted, so that suggestions and messages are in a stable order.
pub const RULE: &[&str] = &[
    "anonymous",
    "artifacts_doc",
    "config_doc",
    "config_fields",
    "config_transitions",
    "config_vars",
    "doc",
    "expression",
    "field_doc",
    "implicit",
    "imports",
    "provides_doc",
    "runfiles_doc",
    "string_fields",
    "tainted",
    "target_fields",
];

/// The keys of functions in expressions files.
pub const FUNCTION: &[&str] = &["doc", "expression", "imports", "vars", "vars_doc"];
