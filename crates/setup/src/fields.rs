//! The keys of a description, and what each of them holds: one table for the check (`check.rs`) and for the schema of
//! the file, which a test compares with it. The keys of an rc file and of checkout locations are here, too, for keys
//! that look misspelt (`misspelt.rs`).

/// What a key holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
// No more than the check needs: whether a value is right is found when it is read, with its meaning.
pub enum Form {
    /// A string.
    Text,
    /// The name of another repository.
    Name,
    /// A map from names to names of repositories.
    NameMap,
    /// A list of strings.
    Texts,
    /// A list of strings that is not empty.
    Command,
    /// A map from names to strings.
    TextMap,
    /// True or false.
    Flag,
    /// An object.
    Object,
    /// One of the words for what is done with special entries.
    Special,
    /// The name of another repository, or an object.
    Source,
    /// A list of a module and the name of a target.
    Target,
}

impl Form {
    /// What a value of another form should be, in messages.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Form::Text | Form::Special => "a string",
            Form::Name => "the name of a repository",
            Form::NameMap => "a map from names to names of repositories",
            Form::Texts => "a list of strings",
            Form::Command => "a program with its arguments, a list of at least one string",
            Form::TextMap => "a map from names to strings",
            Form::Flag => "true or false",
            Form::Object => "an object",
            Form::Source => "an object, or the name of another repository",
            Form::Target => "a list of a module and a target in it",
        }
    }
}

/// Keys, and what they hold.
pub type Fields = &'static [(&'static str, Form)];

/// The keys of a description.
pub const DESCRIPTION_FIELDS: Fields = &[("main", Form::Name), ("repositories", Form::Object)];

/// The keys of a repository.
pub const ENTRY: Fields = &[
    ("repository", Form::Source),
    ("bindings", Form::NameMap),
    ("target_root", Form::Name),
    ("rule_root", Form::Name),
    ("expression_root", Form::Name),
    ("target_file_name", Form::Text),
    ("rule_file_name", Form::Text),
    ("expression_file_name", Form::Text),
];

/// The keys of the object `pragma` of a source.
pub const PRAGMA: Fields = &[("special", Form::Special), ("to_git", Form::Flag), ("absent", Form::Flag)];

/// The keys of what a repository is made from, by type.
// By type, since a key that one type has is a misspelling or a mistake in another.
pub const SOURCES: [(&str, Fields); 9] = [
    ("file", &[TYPE, PRAGMAS, ("path", Form::Text)]),
    (
        "git",
        &[
            TYPE,
            PRAGMAS,
            ("repository", Form::Text),
            ("commit", Form::Text),
            ("branch", Form::Text),
            ("mirrors", Form::Texts),
            ("subdir", Form::Text),
            ("inherit env", Form::Texts),
        ],
    ),
    (
        "git tree",
        &[
            TYPE,
            PRAGMAS,
            ("id", Form::Text),
            ("cmd", Form::Command),
            ("env", Form::TextMap),
            ("inherit env", Form::Texts),
        ],
    ),
    ("archive", ARCHIVE),
    ("zip", ARCHIVE),
    (
        "foreign file",
        &[
            TYPE,
            PRAGMAS,
            ("content", Form::Text),
            ("fetch", Form::Text),
            ("mirrors", Form::Texts),
            ("distfile", Form::Text),
            ("sha256", Form::Text),
            ("sha512", Form::Text),
            ("name", Form::Text),
            ("executable", Form::Flag),
        ],
    ),
    ("distdir", &[TYPE, PRAGMAS, ("repositories", Form::Texts)]),
    ("computed", &[TYPE, PRAGMAS, ("repo", Form::Name), ("target", Form::Target), ("config", Form::Object)]),
    ("tree structure", &[TYPE, PRAGMAS, ("repo", Form::Name)]),
];

const TYPE: (&str, Form) = ("type", Form::Text);

const PRAGMAS: (&str, Form) = ("pragma", Form::Object);

// Shared by `archive` and `zip`, which differ in the format of the file alone.
const ARCHIVE: Fields = &[
    TYPE,
    PRAGMAS,
    ("content", Form::Text),
    ("fetch", Form::Text),
    ("mirrors", Form::Texts),
    ("distfile", Form::Text),
    ("sha256", Form::Text),
    ("sha512", Form::Text),
    ("subdir", Form::Text),
];

/// The keys of a type of source; none for an unknown one.
pub(crate) fn of_type(name: &str) -> Fields {
    SOURCES.iter().find(|(of, _)| *of == name).map_or(&[], |(_, fields)| fields)
}

/// The keys of checkout locations.
pub(crate) const LOCATIONS: &[&str] =
    &["checkouts", "local mirrors", "preferred hostnames", "extra inherit env"];

/// The systems of version control that have checkouts.
pub(crate) const CHECKOUTS: &[&str] = &["git"];

/// The keys of a location in an rc file.
pub(crate) const LOCATION: &[&str] = &["root", "path", "base"];

/// What a key of an rc file holds, as far as it has keys of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
// Coarser than [`Form`]: for keys that look misspelt, only the places where further keys may be matter.
pub(crate) enum RcForm {
    /// No object.
    Plain,
    /// An object with these keys.
    Keys(&'static [(&'static str, RcForm)]),
    /// A location, or a list of locations.
    Locations,
    /// A map from subcommands to words.
    Subcommands,
}

/// The keys of an rc file.
pub(crate) const RC: &[(&str, RcForm)] = &[
    ("rc files", RcForm::Locations),
    ("absent", RcForm::Locations),
    ("local build root", RcForm::Locations),
    ("checkout locations", RcForm::Locations),
    ("distdirs", RcForm::Locations),
    ("config lookup order", RcForm::Locations),
    ("log files", RcForm::Locations),
    ("just", RcForm::Locations),
    ("git", RcForm::Locations),
    (
        "just files",
        RcForm::Keys(&[("config", RcForm::Locations), ("endpoint-configuration", RcForm::Locations)]),
    ),
    ("just args", RcForm::Subcommands),
    ("local launcher", RcForm::Plain),
    ("log limit", RcForm::Plain),
    ("restrict stderr log limit", RcForm::Plain),
    ("remote-execution properties", RcForm::Plain),
    ("max attempts", RcForm::Plain),
    ("initial backoff seconds", RcForm::Plain),
    ("max backoff seconds", RcForm::Plain),
    (
        "remote execution",
        RcForm::Keys(&[
            ("address", RcForm::Plain),
            ("instance name", RcForm::Plain),
            ("compatible", RcForm::Plain),
        ]),
    ),
    ("remote serve", RcForm::Keys(&[("address", RcForm::Plain)])),
    // An unknown key of it is an error (`RcFiles::remote_cache`).
    ("remote cache", RcForm::Plain),
    (
        "authentication",
        RcForm::Keys(&[
            ("ca cert", RcForm::Locations),
            ("client cert", RcForm::Locations),
            ("client key", RcForm::Locations),
        ]),
    ),
    (
        "invocation log",
        RcForm::Keys(&[
            ("directory", RcForm::Locations),
            ("project id", RcForm::Plain),
            ("invocation message", RcForm::Plain),
            ("metadata", RcForm::Plain),
            ("context variables", RcForm::Plain),
            ("--dump-graph", RcForm::Plain),
            ("--dump-plain-graph", RcForm::Plain),
            ("--dump-artifacts-to-build", RcForm::Plain),
            ("--dump-artifacts", RcForm::Plain),
            ("--profile", RcForm::Plain),
        ]),
    ),
];
