//! Formats that programs write: objects, messages, the engine's file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

use taut_analysis::{Config, ConfiguredTarget, TargetRule, Workspace};
use taut_digest::{
    HashFunction, ObjectType, TreeEntry, decode_git_tree, encode_git_tree, parse_git_tree,
    validate_entry_name,
};
use taut_engine::{Key, Rule};
use taut_exec::ReceivedTree;
use taut_proto::{
    Action, ActionResult, Command, Digest, Directory, DirectoryNode, EnvironmentVariable, FileNode, Message,
    OutputFile, Property, SymlinkNode, TreeBytes,
};
use taut_repos::{Overrides, RepoConfig};
use taut_value::path::is_non_upwards;
use taut_value::{
    AnonymousTarget, Artifact, Decoder, Encoder, EntityName, Map, NamedTarget, Node, TargetResult, Value,
};

/// Trees of git: a tree that is decoded and encoded again decodes to the same tree; names are valid and occur once.
pub(crate) fn git_tree(bytes: &[u8]) {
    // The ids of SHA-1 and of SHA-256.
    for length in [20, 32] {
        if let Ok(entries) = parse_git_tree(bytes, length) {
            let names: BTreeSet<&[u8]> = entries.iter().map(|entry| entry.name).collect();
            assert_eq!(names.len(), entries.len());
            assert!(names.iter().all(|name| validate_entry_name(name)));
            // A tree of git may name submodules; one that taut builds with may not.
            let has_submodule = entries.iter().any(|entry| entry.object_type.is_none());
            assert_eq!(decode_git_tree(bytes, length).is_err(), has_submodule);
        }
        if let Ok(entries) = decode_git_tree(bytes, length) {
            // Compared as entries, not as bytes: git also accepts modes such as 100664, which are written as 100644.
            let written = encode_git_tree(&entries);
            assert_eq!(decode_git_tree(&written, length).expect("a tree"), entries);
        }
    }
}

pub(crate) fn git_trees() -> Vec<Vec<u8>> {
    let entry = |kind| TreeEntry { hash: HashFunction::GitSha1.blob(b"x"), object_type: kind };
    let kinds = [ObjectType::File, ObjectType::Executable, ObjectType::Tree, ObjectType::Symlink];
    let names = ["a", "b.txt", "d", "l"];
    let all: BTreeMap<&str, TreeEntry> = names.into_iter().zip(kinds.map(entry)).collect();
    let submodule = [b"160000 m\0".as_slice(), &[7; 20]].concat();
    vec![encode_git_tree(&all), encode_git_tree(&BTreeMap::<&str, TreeEntry>::new()), submodule]
}

/// Messages of the Remote Execution API: as for trees.
pub(crate) fn message(bytes: &[u8]) {
    fn check<M: Message + Default + PartialEq + Debug>(bytes: &[u8]) {
        // Bytes may differ: unknown fields are skipped, and fields may come in any order.
        if let Ok(message) = M::decode(bytes) {
            assert_eq!(M::decode(message.encode_to_vec().as_slice()).expect("a message"), message);
        }
    }
    check::<ActionResult>(bytes);
    check::<Action>(bytes);
    check::<Command>(bytes);
}

pub(crate) fn messages() -> Vec<Vec<u8>> {
    // As in native mode: the two digits of a blob before the forty of git's id.
    let digest = Digest { hash: "62".repeat(21), size_bytes: 3 };
    let file = OutputFile { path: "out".into(), digest: Some(digest.clone()), ..OutputFile::default() };
    let result = ActionResult {
        output_files: vec![file],
        exit_code: 1,
        stdout_digest: Some(digest.clone()),
        ..ActionResult::default()
    };
    let command = Command {
        arguments: vec!["sh".into(), "-c".into(), "true".into()],
        environment_variables: vec![EnvironmentVariable { name: "A".into(), value: "1".into() }],
        output_files: vec!["out".into()],
        platform: Some(taut_proto::Platform {
            properties: vec![Property { name: "p".into(), value: "v".into() }],
        }),
        ..Command::default()
    };
    let action = Action { command_digest: Some(digest), do_not_cache: true, ..Action::default() };
    vec![result.encode_to_vec(), command.encode_to_vec(), action.encode_to_vec()]
}

/// `Tree` messages from a remote cache: what passes has only names and links that an action could have left.
pub(crate) fn received_tree(bytes: &[u8]) {
    for (name, target) in ReceivedTree::parse(bytes).iter().flat_map(ReceivedTree::names_and_links) {
        assert!(validate_entry_name(name.as_bytes()), "{name:?}");
        assert!(target.is_none_or(is_non_upwards), "{target:?}");
    }
}

pub(crate) fn received_trees() -> Vec<Vec<u8>> {
    let digest = |bytes: &[u8]| {
        Some(Digest { hash: HashFunction::Sha256.blob(bytes).to_hex(), size_bytes: bytes.len() as i64 })
    };
    let file = |name: &str| FileNode { name: name.into(), digest: digest(b"x"), is_executable: true };
    let link = SymlinkNode { name: "l".into(), target: "d/f".into() };
    let below = Directory { files: vec![file("f"), file("g")], ..Directory::default() }.encode_to_vec();
    let directory = DirectoryNode { name: "d".into(), digest: digest(&below) };
    let root = Directory { files: vec![file("f")], directories: vec![directory], symlinks: vec![link] };
    let whole = TreeBytes { root: root.encode_to_vec(), children: vec![below] };
    vec![whole.encode_to_vec(), TreeBytes::default().encode_to_vec()]
}

/// Stored values and stored targets: as for trees.
pub(crate) fn value(bytes: &[u8]) {
    let mut decoder = Decoder::new(bytes);
    if let Some(value) = decoder.value() {
        let mut encoder = Encoder::new();
        if encoder.value(&value) {
            let again = encoder.finish();
            assert_eq!(Decoder::new(&again).value().expect("a value"), value);
        }
        value.to_json();
    }
    // Of these nothing is known but that they return.
    let _ = Decoder::new(bytes).action();
    let _ = Decoder::new(bytes).overlay();
    let _ = Decoder::new(bytes).name();
    let _ = Decoder::new(bytes).result();
    static RULE: OnceLock<TargetRule> = OnceLock::new();
    // Once, since it writes files, and thousands of inputs need nothing of it but its hash function.
    let rule = RULE.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("ROOT"), "").expect("written");
        TargetRule(Arc::new(Workspace {
            repositories: RepoConfig::read(None, &Overrides::default(), directory.path())
                .expect("a workspace"),
            hash_function: HashFunction::GitSha1,
            log_limit: 80,
        }))
    });
    let key =
        ConfiguredTarget { name: EntityName::Named(target_name()), config: Config::new(Map::default()) };
    if let Some(target) = rule.decode_value(&key, bytes) {
        let written = rule.encode_value(&key, &target).expect("a target that can be kept");
        let again = rule.decode_value(&key, &written).expect("a target");
        assert_eq!(rule.content_hash(&key, &again), rule.content_hash(&key, &target));
    }
    if let Some(key) = ConfiguredTarget::decode(bytes) {
        key.to_string();
    }
}

fn target_name() -> NamedTarget {
    NamedTarget::new("repo", "m", "t")
}

pub(crate) fn values() -> Vec<Vec<u8>> {
    let named = target_name();
    let artifact = Artifact::Local { path: "m/f".into(), repository: "repo".into() };
    let artifact = Value::Artifact(artifact.into());
    let stage: Map = [("a", artifact.clone()), ("d/b", artifact)].into_iter().collect();
    let provides: Map =
        [("names", Value::list([Value::Name(EntityName::Named(named.clone()))]))].into_iter().collect();
    let result = TargetResult::new(stage.clone(), Map::default(), provides);
    let leaf = Node::Value(result.clone());
    let node = Node::new_abstract(
        "n".into(),
        [("s", Value::list([Value::string("x")]))].into_iter().collect(),
        [("deps", Value::list([Value::Node(leaf.clone()), Value::Node(leaf)]))].into_iter().collect(),
    );
    let rule_map: Map = [("n", Value::Name(EntityName::Named(named)))].into_iter().collect();
    let anonymous = EntityName::Anonymous(AnonymousTarget { rule_map, node: node.clone() });
    let all = [
        Value::Null,
        Value::list([Value::Bool(true), Value::Number(-0.5), Value::string("ü"), Value::Map(stage)]),
        Value::Result(result),
        Value::Node(node),
        Value::Name(anonymous),
    ];
    let encoded = |value: &Value| {
        let mut encoder = Encoder::new();
        assert!(encoder.value(value), "a value that can be kept");
        encoder.finish()
    };
    let mut seeds: Vec<Vec<u8>> = all.iter().map(encoded).collect();
    // A target with nothing but its result: what is not there is empty.
    let Value::Result(result) = &all[2] else { unreachable!("as written above") };
    let mut encoder = Encoder::new();
    assert!(encoder.result(result));
    (0..9).for_each(|_| encoder.number(0));
    encoder.bool(true);
    encoder.bool(false);
    seeds.push(encoder.finish());
    seeds
}
