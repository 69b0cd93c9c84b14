//! Builds that are killed, and builds side by side: always the right result, and a next build
//! that is right.
//!
//! What is built is a graph of sums, so the right result is known without building. Where a
//! kill hits depends on the machine; what is asserted does not. `TAUT_SOAK=N`
//! multiplies the counts (`cargo xtask soak`); `TAUT_UNDER_TEST` names another binary, which is
//! how these tests are tested themselves.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use taut_digest::{Hash, HashFunction};
use taut_testkit::{Rng, Tool, Workspace, times};

/// Layers of the graph, and targets in each.
const LAYERS: usize = 6;
const WIDTH: usize = 4;

fn taut() -> Tool {
    std::env::var_os("TAUT_UNDER_TEST")
        .map_or_else(|| Tool::at(env!("CARGO_BIN_EXE_taut")), |path| Tool::at(PathBuf::from(path)))
}

/// Which targets of the layer below a target uses.
fn inputs(position: usize) -> [usize; 3] {
    [position, (position + 1) % WIDTH, (position * 2 + 1) % WIDTH]
}

/// Writes the graph; `source i` holds `numbers[i]`.
fn write(workspace: &Workspace, numbers: &[u64; WIDTH]) {
    write_numbers(workspace, numbers);
    let mut targets = Vec::new();
    for layer in 0..LAYERS {
        for position in 0..WIDTH {
            let mut deps: Vec<String> = match layer {
                0 => vec![format!("s{position}")],
                _ => inputs(position).iter().map(|p| format!("t{}-{p}", layer - 1)).collect(),
            };
            deps.sort();
            deps.dedup();
            let name = format!("t{layer}-{position}");
            let quoted: Vec<String> = deps.iter().map(|d| format!("\"{d}\"")).collect();
            targets.push(format!(
                "\"{name}\": {{\"type\": \"generic\", \"deps\": [{}], \"outs\": [\"{name}\"], \
                 \"cmds\": [\"s={layer}; for i in {}; do read x < $i; s=$((s+x)); done; \
                 echo $s > {name}\"]}}",
                quoted.join(", "),
                deps.join(" ")
            ));
        }
    }
    let last: Vec<String> = (0..WIDTH).map(|p| format!("\"r{p}\": \"t{}-{p}\"", LAYERS - 1)).collect();
    targets.push(format!("\"all\": {{\"type\": \"install\", \"files\": {{{}}}}}", last.join(", ")));
    workspace.file("TARGETS", format!("{{{}}}", targets.join(",\n")));
}

fn write_numbers(workspace: &Workspace, numbers: &[u64; WIDTH]) {
    for (position, number) in numbers.iter().enumerate() {
        workspace.file(&format!("s{position}"), format!("{number}\n"));
    }
}

/// What the last layer must hold.
fn expected(numbers: &[u64; WIDTH]) -> [u64; WIDTH] {
    let mut values = *numbers;
    for layer in 1..LAYERS as u64 {
        let below = values;
        for (position, value) in values.iter_mut().enumerate() {
            let mut used = inputs(position).to_vec();
            used.sort_unstable();
            used.dedup();
            *value = layer + used.iter().map(|p| below[*p]).sum::<u64>();
        }
    }
    values
}

#[track_caller]
fn assert_installed(out: &Path, numbers: &[u64; WIDTH]) {
    for (position, value) in expected(numbers).iter().enumerate() {
        let found = fs::read_to_string(out.join(format!("r{position}"))).unwrap();
        assert_eq!(found, format!("{value}\n"), "r{position} of {numbers:?}");
    }
}

/// Every stored file is what its name says. Names that are not hashes are what a killed process
/// was writing; no process reads them.
#[track_caller]
fn assert_store_is_sound(build_root: &Path) {
    let mut checked = 0;
    for generation in ["generation-0", "generation-1"] {
        for kind in ["casf", "casx"] {
            let dir = build_root.join("protocol-dependent").join(generation);
            let Ok(shards) = fs::read_dir(dir.join("git-sha1").join(kind)) else { continue };
            for shard in shards.map(Result::unwrap).filter(|s| s.file_name().len() == 2) {
                for object in fs::read_dir(shard.path()).unwrap().map(Result::unwrap) {
                    let shard = shard.file_name();
                    let name = object.file_name();
                    let name = format!("{}{}", shard.to_string_lossy(), name.to_string_lossy());
                    if Hash::from_hex(&name).is_err() {
                        continue;
                    }
                    let content = fs::read(object.path()).unwrap();
                    let hash = HashFunction::GitSha1.blob(&content).to_hex();
                    assert_eq!(hash, name, "{}", object.path().display());
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 0, "a build leaves something in the store");
}

#[test]
fn after_a_kill_at_any_moment_the_next_build_is_right() {
    let (workspace, taut, mut rng) = (Workspace::new(), taut(), Rng::new(11));
    let mut numbers = [1, 2, 3, 4];
    write(&workspace, &numbers);
    for round in 0..times(4) as u64 {
        numbers[rng.below(WIDTH)] = 100 + round;
        write_numbers(&workspace, &numbers);
        let mut build = workspace.start(&taut, ["build", "-J", "2", "all"]);
        thread::sleep(Duration::from_micros(rng.bits() % 200_000));
        build.kill().unwrap();
        build.wait().unwrap();
        if rng.chance(25) {
            workspace.run(&taut, ["gc"]).exits(0);
        }
        if rng.chance(50) {
            let out = workspace.beside(&format!("out-{round}"));
            let words = ["install", "-J", "2", "all", "-o", &out.to_string_lossy()];
            workspace.run(&taut, words).exits(0);
            assert_installed(&out, &numbers);
        }
    }
    let out = workspace.beside("out");
    let words = ["install", "-J", "2", "all", "-o", &out.to_string_lossy()];
    workspace.run(&taut, words).exits(0);
    assert_installed(&out, &numbers);
    assert_store_is_sound(&workspace.build_root());
}

#[test]
fn builds_of_overlapping_targets_beside_a_rotating_gc_are_right() {
    let (taut, done) = (taut(), AtomicBool::new(false));
    let home = Workspace::new();
    let build_root = home.build_root().to_string_lossy().into_owned();
    thread::scope(|scope| {
        let builders: Vec<_> = (0..3_u64)
            .map(|builder| {
                let (taut, build_root) = (&taut, &build_root);
                scope.spawn(move || {
                    let workspace = Workspace::new();
                    // Two numbers are shared by all builders, two are their own: some actions
                    // are the same, others are not.
                    let mut numbers = [1, 2, builder, builder];
                    write(&workspace, &numbers);
                    for round in 0..times(3) as u64 {
                        numbers[2] = round;
                        write_numbers(&workspace, &numbers);
                        let out = workspace.beside(&format!("out-{round}"));
                        let words = ["install", "--local-build-root", build_root, "all", "-o"];
                        let words = words.iter().map(|w| (*w).to_owned());
                        let words = words.chain([out.to_string_lossy().into_owned()]);
                        taut.run(&workspace.root(), words).exits(0);
                        assert_installed(&out, &numbers);
                    }
                })
            })
            .collect();
        let collector = scope.spawn(|| {
            let mut rotations = 0;
            while !done.load(Ordering::Relaxed) {
                home.run(&taut, ["gc"]).exits(0);
                rotations += 1;
            }
            rotations
        });
        let results: Vec<_> = builders.into_iter().map(|builder| builder.join()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(collector.join().unwrap() > 0, "gc ran beside the builds");
        for result in results {
            result.unwrap();
        }
    });
    // gc may have been the last to run; a build puts everything back to where it is checked.
    let workspace = Workspace::new();
    write(&workspace, &[1, 2, 0, 0]);
    let words = ["build", "--local-build-root", &build_root, "all"];
    taut.run(&workspace.root(), words).exits(0);
    assert_store_is_sound(&home.build_root());
}
