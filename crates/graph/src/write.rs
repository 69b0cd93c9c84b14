//! Graphs as JSON text, byte for byte as the reference writes them.

use taut_value::{JsonMode, JsonWriter, Value};

use crate::ActionGraph;

impl ActionGraph {
    /// The graph as indented JSON with sorted keys, ending in a line feed.
    ///
    /// Origins are left out on request. They are written in the order they have here, which should be that of
    /// [`ActionGraph::sort_origins`].
    pub fn to_json(&self, with_origins: bool) -> String {
        // Two blanks, as `--dump-graph` of the reference indents.
        let mut writer = JsonWriter::pretty(2);
        writer.object(|w| {
            w.key("actions").object(|w| {
                for (id, action) in &self.actions {
                    w.key(&id.to_hex()).object(|w| {
                        action.description.write_fields(w, |w| {
                            // Without them (`--dump-plain-graph`) equal actions of different targets give equal
                            // files.
                            if with_origins {
                                action.write_origins(w);
                            }
                        });
                    });
                }
            });
            // Sections and fields in the order of their names, as the reference's JSON library writes objects.
            w.key("blobs").strings(&self.blobs);
            // The only section that is left out when it is empty, as in the reference.
            if !self.overlays.is_empty() {
                w.key("tree_overlays").object(|w| {
                    for (id, overlay) in &self.overlays {
                        overlay.write_json(w.key(&id.to_hex()));
                    }
                });
            }
            w.key("trees").object(|w| {
                for (id, tree) in &self.trees {
                    w.key(&id.to_hex()).value(&Value::Map(tree.stage().clone()), JsonMode::All);
                }
            });
        });
        writer.finish() + "\n"
    }
}

impl crate::GraphAction {
    fn write_origins(&self, w: &mut JsonWriter) {
        w.key("origins").list(|w| {
            for origin in &self.origins {
                w.object(|w| {
                    w.key("config").value(&Value::Map(origin.config.clone()), JsonMode::All);
                    w.key("subtask").integer(origin.subtask);
                    w.key("target").value(&origin.target, JsonMode::All);
                });
            }
        });
    }
}
