//! Packages of a Debian mirror, fetched by `apt-get` with lists and cache of their own: nothing is installed, no rights
//! are needed, and the machine's own package state is only read.

use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Downloads packages, also those that are installed, with the dependencies that this machine lacks, and unpacks them
/// into `root`. `place` is emptied first.
///
/// # Errors
///
/// If there is no `apt-get`, or no network, or no such package.
pub(crate) fn unpack(packages: &[&str], place: &Path, root: &Path) -> Result<()> {
    let apt = Apt::new(place)?;
    fs::create_dir_all(root)?;
    apt.get(&["update"])?;
    apt.get(
        // With `--reinstall`, packages that the machine has are downloaded too: what is wanted is their files.
        &[&["--yes", "--no-install-recommends", "--download-only", "--reinstall", "install"], packages]
            .concat(),
    )?;
    for entry in fs::read_dir(apt.cache.join("archives"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "deb") {
            succeed(Command::new("dpkg-deb").arg("-x").arg(&path).arg(root))?;
        }
    }
    apt.clean()
}

/// Downloads the sources, without the packaging, of a package of Debian's development branch; returns the directory in
/// which they are unpacked. `place` is emptied first.
///
/// # Errors
///
/// If there is no `apt-get`, or no network, or no such package, or the machine is not a Debian.
pub(crate) fn source(package: &str, place: &Path) -> Result<PathBuf> {
    let mut apt = Apt::new(place)?;
    let list = place.join("sources.list");
    let key = "/usr/share/keyrings/debian-archive-keyring.gpg";
    fs::write(&list, format!("deb-src [signed-by={key}] {} sid main\n", mirror()?))?;
    // In place of the lists of the machine, which may have no sources of packages.
    apt.options.push(format!("Dir::Etc::SourceList={}", list.display()));
    apt.options.push("Dir::Etc::SourceParts=-".to_owned());
    apt.get(&["update"])?;
    let sources = place.join("sources");
    fs::create_dir_all(&sources)?;
    succeed(apt.command(&["source", "--download-only", "--tar-only"]).arg(package).current_dir(place))?;
    for entry in fs::read_dir(place)? {
        let path = entry?.path();
        if path.to_string_lossy().contains(".orig.tar.") {
            succeed(Command::new("tar").arg("-xf").arg(&path).arg("-C").arg(&sources))?;
        }
    }
    apt.clean()?;
    let unpacked = fs::read_dir(&sources)?.next().context("the source package is empty")??;
    Ok(unpacked.path())
}

struct Apt {
    lists: PathBuf,
    cache: PathBuf,
    options: Vec<String>,
}

impl Apt {
    fn new(place: &Path) -> Result<Self> {
        let _ = fs::remove_dir_all(place);
        let (lists, cache) = (place.join("lists"), place.join("cache"));
        // apt-get refuses directories without these for what is not complete.
        fs::create_dir_all(lists.join("partial"))?;
        fs::create_dir_all(cache.join("archives/partial"))?;
        let options = vec![
            format!("Dir::State::Lists={}", lists.display()),
            format!("Dir::Cache={}", cache.display()),
            // No locks: those of the machine need root, and no other process uses these directories.
            "Debug::NoLocking=1".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=3".to_owned(),
        ];
        Ok(Self { lists, cache, options })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("apt-get");
        command.args(self.options.iter().flat_map(|option| ["-o", option])).arg("-qq").args(words);
        command
    }

    fn get(&self, words: &[&str]) -> Result<()> {
        succeed(&mut self.command(words))
    }

    /// Removes lists and packages, which are large and not needed again.
    fn clean(&self) -> Result<()> {
        fs::remove_dir_all(&self.lists)?;
        Ok(fs::remove_dir_all(&self.cache)?)
    }
}

/// The mirror that this machine uses.
fn mirror() -> Result<String> {
    let output = Command::new("apt-get")
        .args(["indextargets", "--format", "$(REPO_URI) $(COMPONENT)", "Created-By: Packages"])
        .output()
        .context("cannot start apt-get")?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        // The mirror for security updates has only the packages that were updated.
        .find(|words| words.get(1) == Some(&"main") && !words[0].contains("security"))
        .map(|words| words[0].to_owned())
        .context("apt knows no mirror")
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
