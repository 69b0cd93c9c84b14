//! The canonical hash of a value, without its spans: because of it, re-formatting a file invalidates nothing.

use sha2::{Digest, Sha256};

use super::{Kind, Node};

impl Node<'_> {
    /// SHA-256 of the value's structure: white space, the order of keys, escapes in strings and the notation of numbers
    /// make no difference, nor do entries that a later duplicate overrides. A change of the encoding changes keys and
    /// hashes in the engine's file (docs/store.md).
    pub fn canonical_hash(self) -> [u8; 32] {
        // Each value begins with a tag, and strings and containers with their lengths, so that no two values have the
        // same bytes.
        let mut hasher = Sha256::new();
        let text = |hasher: &mut Sha256, tag: u8, text: &str| {
            hasher.update([tag]);
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        let mut open: Vec<(Node<'_>, usize)> = Vec::new();
        let mut next = Some(self);
        loop {
            if let Some(node) = next.take() {
                match node.kind() {
                    Kind::Null => hasher.update(b"n"),
                    Kind::Bool => hasher.update(if node.slot().payload != 0 { b"t" } else { b"f" }),
                    Kind::Number => {
                        hasher.update(b"0");
                        // The bits of the double: 1, 1.0 and 1e0 are one number, and JSON has no NaN with its many
                        // forms.
                        hasher.update(node.slot().payload.to_le_bytes());
                    }
                    Kind::String => text(&mut hasher, b's', node.text()),
                    kind => {
                        hasher.update(if kind == Kind::List { b"[" } else { b"{" });
                        hasher.update((node.len() as u64).to_le_bytes());
                        open.push((node, 0));
                    }
                }
            }
            let Some((container, done)) = open.last_mut() else { break };
            match container.children().get(*done) {
                None => {
                    open.pop();
                }
                Some(child) => {
                    *done += 1;
                    let child = container.at(*child);
                    if container.kind() == Kind::Object {
                        // Children are sorted by key, so the order in the file does not count.
                        text(&mut hasher, b'k', child.key_node().text());
                    }
                    next = Some(child);
                }
            }
        }
        hasher.finalize().into()
    }
}
