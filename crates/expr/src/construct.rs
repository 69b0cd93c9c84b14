//! The constructs that evaluate their arguments, and in which order.

use crate::host::Context;

// One table, so that names, arguments and contexts of a construct cannot disagree. The order of the arguments is that
// of their evaluation.
macro_rules! constructs {
    ($($variant:ident $name:literal [$($argument:literal)*] $contexts:pat,)*) => {
        /// A construct of the language other than the special forms.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Construct {
            $(#[doc = $name] $variant,)*
        }

        impl Construct {
            /// All constructs.
            pub(crate) const ALL: &[Construct] = &[$(Construct::$variant,)*];

            /// The value of `type`.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Construct::$variant => $name,)*
                }
            }

            /// The evaluated arguments.
            pub(crate) fn arguments(self) -> &'static [&'static str] {
                match self {
                    $(Construct::$variant => &[$($argument),*],)*
                }
            }

            /// Whether the construct exists in a context.
            pub(crate) fn exists_in(self, context: Context) -> bool {
                use Context::*;
                match self {
                    $(Construct::$variant => matches!(context, $contexts),)*
                }
            }

            /// The construct of that name.
            pub(crate) fn from_name(name: &str) -> Option<Construct> {
                Some(match name {
                    $($name => Construct::$variant,)*
                    _ => return None,
                })
            }
        }
    };
}

impl Construct {
    /// The keys whose values are the names of variables that the construct binds.
    // Apart from the table, since these keys hold names and are not evaluated.
    pub(crate) fn bound_by(self) -> &'static [&'static str] {
        match self {
            Construct::Foreach | Construct::Assert => &["var"],
            Construct::ForeachMap => &["var_key", "var_val"],
            Construct::ZipWith => &["var_1", "var_2"],
            Construct::Foldl => &["accum_var", "var"],
            _ => &[],
        }
    }

    /// All parts: the arguments, the names of variables, and what is neither.
    fn parts(self) -> [&'static [&'static str]; 3] {
        let others: &[&str] = match self {
            Construct::Foreach | Construct::ForeachMap | Construct::ZipWith | Construct::Foldl => &["body"],
            Construct::Action => &["may_fail", "no_cache"],
            Construct::CallExpression => &["name"],
            _ => &[],
        };
        [self.arguments(), self.bound_by(), others]
    }
}

constructs! {
    Not "not" ["$1"] _,
    And "and" ["$1"] _,
    Or "or" ["$1"] _,
    Equal "==" ["$1" "$2"] _,
    If "if" ["cond" "then" "else"] _,
    Fail "fail" ["msg"] _,
    Context "context" ["$1" "msg"] _,
    AssertNonEmpty "assert_non_empty" ["$1" "msg"] _,
    Assert "assert" ["$1" "predicate" "msg"] _,
    Flatten "++" ["$1"] _,
    Add "+" ["$1"] _,
    Multiply "*" ["$1"] _,
    NubRight "nub_right" ["$1"] _,
    NubLeft "nub_left" ["$1"] _,
    Range "range" ["$1"] _,
    ChangeEnding "change_ending" ["$1" "ending"] _,
    Basename "basename" ["$1"] _,
    Join "join" ["$1" "separator"] _,
    JoinCmd "join_cmd" ["$1"] _,
    JsonEncode "json_encode" ["$1"] _,
    EscapeChars "escape_chars" ["$1" "chars" "escape_prefix"] _,
    Keys "keys" ["$1"] _,
    Values "values" ["$1"] _,
    Enumerate "enumerate" ["$1"] _,
    Set "set" ["$1"] _,
    Reverse "reverse" ["$1"] _,
    Length "length" ["$1"] _,
    Lookup "lookup" ["key" "map" "default"] _,
    Index "[]" ["index" "list" "default"] _,
    EmptyMap "empty_map" [] _,
    SingletonMap "singleton_map" ["key" "value"] _,
    DisjointMapUnion "disjoint_map_union" ["$1" "msg"] _,
    MapUnion "map_union" ["$1"] _,
    ToSubdir "to_subdir" ["$1" "subdir" "flat" "msg"] _,
    FromSubdir "from_subdir" ["$1" "subdir"] _,
    ConcatTargetName "concat_target_name" ["$1" "$2"] _,
    Foreach "foreach" ["range"] _,
    ForeachMap "foreach_map" ["range"] _,
    ZipWith "zip_with" ["range_1" "range_2"] _,
    ZipMap "zip_map" ["range_key" "range_val"] _,
    Foldl "foldl" ["range" "start"] _,
    Outs "outs" ["dep" "transition"] Field,
    Runfiles "runfiles" ["dep" "transition"] Field,
    Field "FIELD" ["name"] Rule | Transition,
    DepArtifacts "DEP_ARTIFACTS" ["dep" "transition"] Rule,
    DepRunfiles "DEP_RUNFILES" ["dep" "transition"] Rule,
    DepProvides "DEP_PROVIDES" ["dep" "transition" "provider" "default"] Rule,
    Blob "BLOB" ["data"] Rule,
    Symlink "SYMLINK" ["data"] Rule,
    Tree "TREE" ["$1"] Rule,
    TreeOverlay "TREE_OVERLAY" ["$1"] Rule,
    DisjointTreeOverlay "DISJOINT_TREE_OVERLAY" ["$1"] Rule,
    ValueNode "VALUE_NODE" ["$1"] Rule,
    AbstractNode "ABSTRACT_NODE" ["node_type" "string_fields" "target_fields"] Rule,
    Result "RESULT" ["artifacts" "runfiles" "provides"] Rule,
    Action "ACTION" ["inputs" "outs" "out_dirs" "cmd" "cwd" "env" "fail_message" "timeout scaling" "execution properties" "depfile"] Rule,
    CallExpression "CALL_EXPRESSION" [] Rule | Transition,
}

/// The special forms, with all their parts.
// They are not in the table, but compiled into operations of their own (`Op`): some of their parts are literal, or
// evaluated only in some cases.
pub(crate) const SPECIAL_FORMS: [(&str, &[&str]); 8] = [
    ("var", &["name", "default"]),
    ("'", &["$1"]),
    ("`", &["$1"]),
    ("cond", &["cond", "default"]),
    ("case", &["expr", "case", "default"]),
    ("case*", &["expr", "case", "default"]),
    ("let*", &["bindings", "body"]),
    ("env", &["vars"]),
];

/// The parts of the construct of that name, in any of these lists.
pub(crate) fn parts_of(name: &str) -> Option<[&'static [&'static str]; 3]> {
    let special =
        || SPECIAL_FORMS.iter().find(|(form, _)| *form == name).map(|(_, parts)| [*parts, &[], &[]]);
    Construct::from_name(name).map(Construct::parts).or_else(special)
}

/// The names of all constructs and special forms, as values of `type`, each with the keys of its parts; both sorted.
/// Forms that occur only within quasi-quotations are left out.
pub fn vocabulary() -> Vec<(&'static str, Vec<&'static str>)> {
    let constructs = Construct::ALL.iter().map(|construct| (construct.name(), construct.parts().concat()));
    let special = SPECIAL_FORMS.iter().map(|(name, parts)| (*name, parts.to_vec()));
    let mut all: Vec<_> = constructs.chain(special).collect();
    all.iter_mut().for_each(|(_, parts)| parts.sort_unstable());
    all.sort_unstable();
    all
}
