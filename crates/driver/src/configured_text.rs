//! A target with its configuration, as messages of the reference show it.

use taut_value::{EntityName, JsonMode, JsonWriter, Map, NamedTarget, Value};

/// A target and its configuration as messages show them.
pub(crate) fn configured_text(target: &NamedTarget, configuration: &Map) -> String {
    let mut writer = JsonWriter::compact();
    writer.list(|w| {
        EntityName::Named(target.clone()).write_json(w);
        w.value(&Value::Map(configuration.clone()), JsonMode::All);
    });
    writer.finish()
}
