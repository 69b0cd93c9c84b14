//! `cargo xtask edits headers`: random edits of C++ with deep headers, beside builds from nothing and beside ninja.
//!
//! Sources include headers that include others, some of them only if they are there (`__has_include`). Files get lines
//! and values, headers come and go, also ones that shadow others and one of the system, and files are saved unchanged.
//! After each edit, taut installs what a build with an empty build root installs, byte by byte.
//!
//! ninja builds the same by the dependency files of the compiler. taut never runs more actions than ninja, except when
//! headers appear or vanish: then it compiles all sources that could see them. ninja does not notice such a change, so
//! after it ninja builds everything again, which is not counted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use taut_testkit::Rng;

use crate::cargo;
use crate::edits::number_after;
use crate::realworld::processed;

// Small: what is looked for is a wrong result, and each edit costs three builds.
const LAYERS: usize = 4;
const WIDTH: usize = 4;
const SOURCES: usize = 8;

/// Of the descriptions, which are not sources that are edited.
const TARGETS: &str = r#"{ "p":
  {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.cc"], "deps": ["l"]}
, "l":
  { "type": ["@", "std", "cc", "library"], "name": ["l"], "srcs": [["GLOB", null, "s*.cc"]]
  , "private hdrs": [["h", "all"], ["GLOB", null, "*.h"]], "private include dirs": ["h"]
  }
}
"#;
const TARGETS_OF_HEADERS: &str =
    r#"{"all": {"type": ["@", "std", "", "files"], "srcs": [["GLOB", null, "*.h"]], "dir": ["h"]}}"#;

/// A header of the system, which one of the project's may shadow.
const SHADOW: &str = "string.h";

/// Runs the edits.
///
/// # Errors
///
/// There is no ninja, two builds of the same sources differ, or an edit runs more actions than ninja does.
pub(crate) fn run(args: &[String]) -> Result<()> {
    // A fixed seed, so that a run is repeated by its number.
    let (mut edits, mut seconds, mut seed) = (200, 1200, 1);
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let mut number = || number_after(word, words.next());
        match word.as_str() {
            "--edits" => edits = number()?,
            "--seconds" => seconds = number()?,
            "--seed" => seed = number()?,
            other => bail!("unknown word {other}"),
        }
    }
    let scratch = tempfile::tempdir()?;
    let ninja = std::env::var_os("NINJA").map_or_else(|| PathBuf::from("ninja"), PathBuf::from);
    let mut tree = Tree {
        scratch: scratch.path().to_owned(),
        taut: cargo::taut(false)?,
        ninja,
        files: BTreeMap::new(),
        rng: Rng::new(seed),
    };
    tree.create()?;
    tree.all(edits, Duration::from_secs(seconds))
}

struct Tree {
    scratch: PathBuf,
    taut: PathBuf,
    ninja: PathBuf,
    /// The sources and headers, by their paths.
    files: BTreeMap<String, String>,
    rng: Rng,
}

impl Tree {
    fn source(&self) -> PathBuf {
        self.scratch.join("source")
    }

    fn put(&mut self, path: &str, text: String) -> Result<()> {
        fs::write(self.source().join(path), &text)?;
        self.files.insert(path.to_owned(), text);
        Ok(())
    }

    fn create(&mut self) -> Result<()> {
        let source = self.source();
        fs::create_dir_all(source.join("h"))?;
        for (path, text) in [("ROOT", ""), ("TARGETS", TARGETS), ("h/TARGETS", TARGETS_OF_HEADERS)] {
            fs::write(source.join(path), text)?;
        }
        for layer in 0..LAYERS {
            for place in 0..WIDTH {
                let mut text = "#pragma once\n".to_owned();
                if layer + 1 < LAYERS {
                    for next in [place, (place + 1) % WIDTH] {
                        text += &format!("#include \"h/{}_{next}.h\"\n", layer + 1);
                    }
                }
                // Looked for beside the header (`h/`), then in the root (`-iquote .`): either may come and
                // go.
                let optional = format!("\"opt_{place}.h\"");
                text += &format!("#if __has_include({optional})\n#include {optional}\n#endif\n");
                text += &format!("enum {{ V_{layer}_{place} = 0 }};\n");
                self.put(&format!("h/{layer}_{place}.h"), text)?;
            }
        }
        let all = 0..SOURCES;
        for number in all.clone() {
            let (layer, place) = (number % 2, number % WIDTH);
            let header = format!("#include <string.h>\n#include \"h/{layer}_{place}.h\"\n");
            self.put(
                &format!("s{number}.cc"),
                header + &format!("int f{number}() {{ return V_{layer}_{place}; }}\n"),
            )?;
        }
        let declared: String = all.clone().map(|number| format!("int f{number}();\n")).collect();
        // The result depends on every header, so a stale object changes the program.
        let sum: Vec<String> = all.clone().map(|number| format!("f{number}()")).collect();
        self.put("main.cc", format!("{declared}int main() {{ return {}; }}\n", sum.join(" + ")))?;
        let objects: Vec<String> = all.map(|number| format!("../made/s{number}.o")).collect();
        let mut rules =
            // With the include directories of the description, so that both find the same headers.
            "rule cc\n command = c++ -g -O0 -iquote . -Ih -MD -MF $out.d -c $in -o $out\n deps = gcc\n \
                         depfile = $out.d\nrule ar\n command = rm -f $out && ar rcsD $out $in\nrule ld\n \
                         command = c++ -o $out $in\n"
                .to_owned();
        for path in self.files.keys().filter(|path| path.ends_with(".cc")) {
            rules += &format!("build ../made/{}.o: cc {path}\n", path.trim_end_matches(".cc"));
        }
        rules += &format!("build ../made/libl.a: ar {}\n", objects.join(" "));
        rules += "build ../made/p: ld ../made/main.o ../made/libl.a\n";
        Ok(fs::write(source.join("build.ninja"), rules)?)
    }

    fn all(&mut self, edits: u64, time: Duration) -> Result<()> {
        let start = Instant::now();
        let kept = self.scratch.join("kept");
        self.build_with_ninja(&[])?;
        let (_, cold) = self.build(&kept)?;
        let (mut ours, mut ninjas, mut renamed, mut number) = (0, 0, 0, 0);
        while number < edits && start.elapsed() < time {
            // So that the time of each file differs from that of what was built before: ninja compares nothing else.
            thread::sleep(Duration::from_millis(20));
            let (what, changes_names) = self.edit(number)?;
            let theirs = self.build_with_ninja(&[])?;
            let (now, ran) = self.build(&kept)?;
            // An empty build root is the model that each incremental build is compared with.
            let fresh = self.scratch.join("fresh");
            if self.build(&fresh)?.0 != now {
                bail!("after edit {number} ({what}) a build from nothing differs");
            }
            fs::remove_dir_all(fresh)?;
            if changes_names {
                self.build_with_ninja(&["-t", "clean"])?;
                self.build_with_ninja(&[])?;
                renamed += 1;
            } else if ran > theirs {
                bail!("edit {number} ({what}) ran {ran} actions, and {theirs} with ninja");
            } else {
                ours += ran;
                ninjas += theirs;
            }
            println!("{number}: {what}: {ran} actions, {theirs} with ninja");
            number += 1;
        }
        println!(
            "{number} edits gave what builds from nothing ({cold} actions) give; {} of them left the names of files as they were \
             and ran {ours} actions, {ninjas} with ninja",
            number - renamed
        );
        Ok(())
    }

    /// Changes a file; returns what was done, and whether the names of files changed.
    fn edit(&mut self, number: u64) -> Result<(String, bool)> {
        let paths: Vec<String> = self.files.keys().cloned().collect();
        let path = self.rng.pick(&paths).clone();
        let text = self.files[&path].clone();
        let place = self.rng.below(WIDTH);
        match self.rng.below(10) {
            0..=2 => self.put(&path, format!("{text}// {number}\n"))?,
            3 | 4 => self.put(&path, format!("{text}extern int x{number};\n"))?,
            5 => self.put(&path, text.replace("= 0 }", &format!("= {} }}", number % 50 + 1)))?,
            // Saved unchanged: a new time alone must not run anything in taut.
            6 => self.put(&path, text)?,
            7 => return self.add_or_remove(&format!("opt_{place}.h"), number),
            8 => return self.add_or_remove(&format!("h/opt_{place}.h"), number),
            _ => return self.add_or_remove(SHADOW, number),
        }
        Ok((path, false))
    }

    fn add_or_remove(&mut self, path: &str, number: u64) -> Result<(String, bool)> {
        if self.files.remove(path).is_some() {
            fs::remove_file(self.source().join(path))?;
            return Ok((format!("{path} is gone"), true));
        }
        let text = match path {
            SHADOW => format!("#pragma once\n#include_next <{SHADOW}>\n"),
            _ => format!("#pragma once\nextern int optional{number};\n"),
        };
        self.put(path, text)?;
        Ok((format!("{path} is new"), true))
    }

    /// Builds with a build root; returns the program, and how many actions ran.
    fn build(&self, root: &Path) -> Result<(Vec<u8>, usize)> {
        let out = self.scratch.join("out");
        // Removed, so an old program is never taken for a new one.
        let _ = fs::remove_dir_all(&out);
        let mut command = Command::new(&self.taut);
        command.args(["install", "p", "--local-build-root"]).arg(root).arg("-o").arg(&out);
        let output = command.current_dir(self.source()).output()?;
        let log = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!("taut exits with {}\n{log}", output.status);
        }
        let (actions, not_run) = processed(&log)?;
        Ok((fs::read(out.join("p"))?, actions - not_run))
    }

    /// How many commands ninja runs.
    fn build_with_ninja(&self, words: &[&str]) -> Result<usize> {
        let mut command = Command::new(&self.ninja);
        command.arg("-v").args(words).current_dir(self.source());
        let output = command.output().with_context(|| format!("cannot start {}", self.ninja.display()))?;
        let log = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("ninja exits with {}\n{log}", output.status);
        }
        // With `-v` ninja prints each command behind its number in brackets.
        Ok(log.lines().filter(|line| line.starts_with('[')).count())
    }
}
