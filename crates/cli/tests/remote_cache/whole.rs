//! Whether a build root is whole, whatever went wrong: nothing in it is half-written.

use std::path::{Path, PathBuf};

use taut_digest::HashFunction;
use taut_testkit::Workspace;

/// Each stored content is what its name says, and nothing is left of what was not completed.
#[track_caller]
pub(super) fn is_whole(workspace: &Workspace) {
    let generation = workspace.build_root().join("protocol-dependent/generation-0");
    for (naming, store) in [(HashFunction::GitSha1, "git-sha1"), (HashFunction::Sha256, "compatible-sha256")]
    {
        // Files, programs, and trees.
        for kind in ["casf", "casx", "cast"] {
            for shard in below(&generation.join(store).join(kind)) {
                for file in below(&shard) {
                    let bytes = std::fs::read(&file).unwrap();
                    let hash = match (naming, kind) {
                        (HashFunction::GitSha1, "cast") => naming.tree(&bytes),
                        _ => naming.blob(&bytes),
                    };
                    let name =
                        [&shard, &file].map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
                    assert_eq!(hash.to_hex(), name.concat(), "{}", file.display());
                }
            }
        }
    }
    let mut left = below(&generation.join("ephemeral"));
    // Where actions ran; nothing is in it.
    left.retain(|path| !path.ends_with("exec_root") || !below(path).is_empty());
    assert!(left.is_empty(), "{left:?}");
}

fn below(path: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(path).into_iter().flatten();
    found.map(|entry| entry.unwrap().path()).collect()
}
