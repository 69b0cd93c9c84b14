//! Problems with the target that the command line names: what it is called there, and how to name what was meant. In a
//! targets file the same target is named in another way, which the command line does not take.

use taut_driver::{
    DEFINES, Diagnostic, IS_MODULE, NO_MODULE, NO_SOURCE, OUTSIDE, RULES_IN_THE_BOX, Request, UNKNOWN_RULE,
    join, normal_path, words_of_list,
};
use taut_syntax::{Document, quoted, with_and};
use taut_value::{NamedTarget, ReferenceType, named_as_typed};

use crate::reproduce::quoted as for_shell;

/// How many targets of a module are listed at most.
const MAX_LISTED: usize = 12;

/// A problem with the requested target, in names as they are typed.
pub(crate) fn as_typed(problem: Diagnostic, request: &Request, words: &[String]) -> Diagnostic {
    let target = meant(&problem, request);
    let mut problem = problem;
    // Recognised by their texts, which are constants of the crate that writes them: a diagnostic is data without a
    // code.
    if words.len() == 2 && problem.message.starts_with(NO_MODULE) {
        problem =
            problem.help("two words are a module and a target in it, or two targets of the current module");
    }
    if let Some(meant) = problem.suggestion.take() {
        // A rule that is typed by its name alone is one that has no module, or of the current module.
        let is_plain_rule = problem.message.starts_with(UNKNOWN_RULE) && words == [target.name.as_str()];
        let meant = match of_list(request, target, &meant) {
            Some(typed) => typed,
            None if is_plain_rule => meant,
            None => typed(request, &target.module, &meant),
        };
        problem.help.insert(0, format!("did you mean {meant}?"));
    }
    for help in &mut problem.help {
        if let Some((path, _)) = help.split_once(IS_MODULE)
            && let Some(targets) = of_module(request, path)
        {
            *help = targets;
        }
        if let Some(rules) = help.strip_prefix(RULES_IN_THE_BOX) {
            let rules: Option<Vec<String>> =
                lists(rules).iter().map(|list| of_list(request, target, list)).collect();
            if let Some(rules) = rules {
                *help = format!("{RULES_IN_THE_BOX}{}", rules.join(", "));
            }
        }
    }
    if target.reference != ReferenceType::Target {
        return problem;
    }
    if problem.message.starts_with(NO_SOURCE) {
        let problem = no_source(problem, request, target);
        match words {
            // Each was taken for a target, since the first is not a module.
            [module, name] if request.targets.iter().len() > 1 && is_plain(module) && is_plain(name) => {
                problem.note(format!(
                    "two words can also be a module and a target in it, but there is no module {}",
                    quoted(module)
                ))
            }
            _ => problem,
        }
    } else if problem.message.starts_with(OUTSIDE) {
        outside(problem, request, target, words)
    } else {
        problem
    }
}

/// Whether a word may be the path of a module, or a name in it, by its form.
fn is_plain(word: &str) -> bool {
    !word.starts_with('@') && !word.contains(':') && !word.ends_with("...")
}

/// The target of the request that a problem is about: of several, the one whose name the message begins with.
fn meant<'r>(problem: &Diagnostic, request: &'r Request) -> &'r NamedTarget {
    // By the text, as above: the messages of `analysis` begin with constants followed by the name.
    let is_named = |target: &&NamedTarget| {
        let name = target.name.as_str();
        problem.message.starts_with(&format!("{NO_SOURCE}{}: ", quoted(&name)))
            || problem.message == format!("{OUTSIDE}{name}")
    };
    request.targets.iter().find(is_named).unwrap_or_else(|| request.targets.first())
}

fn typed(request: &Request, module: &str, name: &str) -> String {
    typed_in(request, &request.targets.first().repository, module, name)
}

/// A name in a repository, which has its global name.
fn typed_in(request: &Request, repository: &str, module: &str, name: &str) -> String {
    let of_main = repository == request.repositories.main.as_str();
    named_as_typed(&NamedTarget::new(if of_main { "" } else { repository }, module, name))
}

/// A name that is written for files of the repository of a target: a list of module and name, or of "@", a repository
/// as it is called there, module and name.
fn of_list(request: &Request, target: &NamedTarget, list: &str) -> Option<String> {
    match &words_of_list(list)?[..] {
        [module, name] => Some(typed(request, module, name)),
        [mark, local, module, name] if mark == "@" => {
            let bindings = &request.repositories.repositories.get(&target.repository)?.bindings;
            Some(typed_in(request, bindings.get(local.as_str())?, module, name))
        }
        _ => None,
    }
}

/// The lists in a text that is nothing but lists with commas in between.
fn lists(text: &str) -> Vec<String> {
    let document = Document::parse("", format!("[{text}]"));
    let items = document.iter().flat_map(|document| document.root().as_list()).flatten();
    items.map(|item| item.source().to_owned()).collect()
}

/// A module in words.
fn place(request: &Request, target: &NamedTarget) -> String {
    let module = match target.module.as_str() {
        "" => "the root module".to_owned(),
        module => format!("module {}", quoted(module)),
    };
    match target.repository == request.repositories.main {
        true => module,
        false => format!("{module} of repository {}", quoted(&*target.repository)),
    }
}

/// A name of neither a target nor a file.
fn no_source(mut problem: Diagnostic, request: &Request, target: &NamedTarget) -> Diagnostic {
    let (module, name) = (target.module.as_str(), target.name.as_str());
    problem.message = format!("No target or file {} in {}", quoted(name), place(request, target));
    // In the note, too, the targets are as they are typed.
    for note in &mut problem.notes {
        if let Some((file, _)) = note.message.split_once(DEFINES)
            && let Some(targets) = request.targets_of(module)
        {
            let targets: Vec<String> = targets.iter().map(|name| typed(request, module, name)).collect();
            let word = if targets.len() == 1 { "target" } else { "targets" };
            note.message = format!("{file}{DEFINES}{word} {}", with_and(&targets));
        }
    }
    if name.starts_with('@') && name.contains("//") && problem.help.is_empty() {
        problem.notes.clear();
        return problem.help("a target of another repository is named @REPOSITORY//MODULE:TARGET");
    }
    let path = normal_path(&join(module, name));
    let shown_module = for_shell(module);
    let names_directory = name.ends_with('/');
    // Ordered by likelihood; only the first is shown.
    if let Some(targets) = of_module(request, &path).filter(|_| names_directory) {
        problem.help = vec![targets];
        problem.notes.clear();
    } else if problem.help.iter().any(|help| help.starts_with("it is a directory")) {
        let as_tree = format!("TREE {shown_module} {}", for_shell(name.trim_end_matches('/')));
        problem.help = vec![match of_module(request, &path) {
            Some(targets) => targets,
            None => format!("it is a directory; as a tree it is named {as_tree}"),
        }];
    } else if problem.help.iter().any(|help| help.starts_with("a pattern")) {
        problem.help = vec![format!("a pattern is named GLOB {shown_module} {}", for_shell(name))];
    } else if let Some(making) = request.target_with_output(module, name) {
        problem.help = vec![format!(
            "{} is an output of {}; it is built with that target",
            quoted(name),
            typed(request, module, &making)
        )];
    } else if name == "all" && target.repository == request.repositories.main && problem.help.is_empty() {
        // Ninja, make and Bazel have this name for it.
        let pattern = if module.is_empty() { "...".to_owned() } else { format!("{module}/...") };
        problem =
            problem.help(format!("{} means all targets of this module and of those below", quoted(&pattern)));
    }
    problem
}

/// A name that leads out of its module, or an absolute one.
fn outside(mut problem: Diagnostic, request: &Request, target: &NamedTarget, words: &[String]) -> Diagnostic {
    let name = target.name.as_str();
    let [word] = words else { return problem };
    let path = match name.strip_prefix("//") {
        Some(path) => normal_path(path),
        // It has no meaning in a repository, and so leads out of it.
        None if name.starts_with('/') => "..".to_owned(),
        None => normal_path(&join(&target.module, name)),
    };
    problem.message = format!("No target or file {}", quoted(word));
    if path == ".." || path.starts_with("../") {
        problem.help = vec!["only targets and files of a repository can be named".to_owned()];
        return problem;
    }
    problem.help = vec![match of_module(request, &path) {
        Some(targets) => targets,
        None => {
            let (module, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let is_target =
                request.targets_of(module).is_some_and(|targets| targets.iter().any(|target| target == name));
            match is_target {
                true => format!("did you mean {}?", typed(request, module, name)),
                false => "a target or file of another module is named MODULE:NAME".to_owned(),
            }
        }
    }];
    problem
}

/// The targets of a module, if there is one at that path.
fn of_module(request: &Request, path: &str) -> Option<String> {
    let module = if path == "." { "" } else { path };
    let targets = request.targets_of(module)?;
    let shown: Vec<String> =
        targets.iter().take(MAX_LISTED).map(|name| typed(request, module, name)).collect();
    let what = if module.is_empty() { "it is the root module" } else { &format!("{module} is a module") };
    Some(match targets.len().saturating_sub(MAX_LISTED) {
        _ if targets.is_empty() => format!("{what} that defines no targets"),
        0 if shown.len() == 1 => format!("{what}; its only target is {}", shown[0]),
        0 => format!("{what}; its targets are {}", with_and(&shown)),
        more => format!("{what}; its targets are {} and {more} more", shown.join(", ")),
    })
}
