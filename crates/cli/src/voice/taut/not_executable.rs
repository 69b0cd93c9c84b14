//! What to do about an action that may not run a file of the workspace, since that is not executable.

use taut_driver::RepoConfig;
use taut_value::{ActionDescription, Artifact};

/// What helps if permission is denied to run an input which is a source without that permission.
pub(super) fn hint(
    action: &ActionDescription,
    printed: &[String],
    repositories: &RepoConfig,
) -> Option<String> {
    let denied = printed.iter().flat_map(|text| text.lines()).filter_map(named_in);
    denied.filter_map(|name| about(name, action, repositories)).next()
}

/// The file that a line says may not be used, as shells print it.
fn named_in(line: &str) -> Option<&str> {
    let name = line.strip_suffix(": Permission denied")?.rsplit(' ').next()?;
    Some(name.trim_matches(['\'', '‘', '’', '"']))
}

fn about(name: &str, action: &ActionDescription, repositories: &RepoConfig) -> Option<String> {
    let at = name.strip_prefix("./").unwrap_or(name);
    let (_, value) = action.inputs.iter().find(|(path, _)| path.as_str() == at)?;
    let Artifact::Local { path, repository } = value.as_artifact()? else { return None };
    let root = repositories.repositories.get(repository)?.workspace_root.directory()?;
    let stat = taut_sys::Named::stat(&root.join(path.as_str())).ok()?;
    (stat.is_file() && !stat.is_executable())
        .then(|| format!("help: {path} is not executable; chmod +x changes that"))
}

#[cfg(test)]
mod tests {
    use super::named_in;

    #[test]
    fn what_shells_print_names_the_file() {
        for (line, name) in [
            ("sh: 1: ./a.sh: Permission denied", Some("./a.sh")),
            ("env: ‘d/a.sh’: Permission denied", Some("d/a.sh")),
            ("sh: 1: ./a.sh: not found", None),
        ] {
            assert_eq!(named_in(line), name, "{line}");
        }
    }
}
