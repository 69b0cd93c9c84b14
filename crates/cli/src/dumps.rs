//! The dumps of what analysis found: of values, and of graphs.

use std::path::Path;

use taut_driver::Analysis;

use crate::{
    exit::Exit,
    log::{Level, Log},
    options, report, text_file, voice,
};

/// Writes the dumps of values. `target`: the target that was analysed, as messages name it.
///
/// # Errors
///
/// The exit code; the errors have been reported.
pub(crate) fn of_values(
    analysis: &Analysis,
    target: &str,
    d: &options::Dumps,
    log: &Log,
) -> Result<(), Exit> {
    if d.any_of_values() {
        check_size(analysis, log)?;
    }
    let quoted = |what: String| move |path: &Path| format!("Dumping {what} to file '{}'.", path.display());
    text_file::announce_and_write(
        &d.dump_result,
        log,
        quoted(format!("result of target {target}")),
        format!("Result of target {target}:"),
        || analysis.dump_result(),
    )?;
    text_file::announce_and_write(
        &d.dump_actions,
        log,
        quoted(format!("actions for target {target}")),
        format!("Actions for target {target}:"),
        || report::actions(&analysis.own_actions()),
    )?;
    text_file::announce_and_write(
        &d.dump_blobs,
        log,
        quoted(format!("blobs for target {target}")),
        format!("Blobs for target {target}:"),
        || analysis.dump_blobs(),
    )?;
    text_file::announce_and_write(
        &d.dump_trees,
        log,
        quoted(format!("trees for target {target}")),
        format!("Trees for target {target}:"),
        || analysis.dump_trees(),
    )?;
    text_file::announce_and_write(
        &d.dump_provides,
        log,
        quoted(format!("provides map for target {target}")),
        format!("Provides map for target {target}:"),
        || analysis.dump_provides(),
    )?;
    text_file::announce_and_write(
        &d.dump_vars,
        log,
        quoted(format!("variables for target {target}")),
        format!("Variables for target {target}:"),
        || analysis.dump_vars(),
    )?;
    text_file::announce_and_write(
        &d.dump_targets,
        log,
        quoted("list of analysed targets".into()),
        "List of analysed targets:".into(),
        || analysis.dump_targets(false),
    )?;
    text_file::announce_and_write(
        &d.dump_export_targets,
        log,
        quoted("list of analysed export targets".into()),
        "List of analysed export targets:".into(),
        || analysis.dump_targets(true),
    )?;
    text_file::announce_and_write(
        &d.dump_anonymous,
        log,
        quoted("list of anonymous target data".into()),
        "List of anonymous target data:".into(),
        || analysis.dump_anonymous(),
    )?;
    text_file::announce_and_write(
        &d.dump_nodes,
        log,
        quoted(format!("target nodes of target {target}")),
        format!("Target nodes of target {target}:"),
        || analysis.dump_nodes(),
    )?;
    if let Some(path) = &d.dump_targets_graph {
        voice::of(log)
            .dumping(&format!("Dumping graph of configured-targets to file {}.", path.display()), log);
        text_file::write(path, &analysis.dump_targets_graph(), log)?;
    }
    Ok(())
}

/// Writes the dumps of graphs.
///
/// # Errors
///
/// The exit code; the errors have been reported.
pub(crate) fn of_graphs(analysis: &Analysis, o: &options::Graph, log: &Log) -> Result<(), Exit> {
    if !o.dump_graph.is_empty() {
        check_size(analysis, log)?;
    }
    // As in the reference, `-` is a file like any other here.
    for (paths, with_origins) in [(&o.dump_graph, true), (&o.dump_plain_graph, false)] {
        for path in paths {
            voice::of(log).dumping(&format!("Dumping action graph to file {}.", path.display()), log);
            text_file::write(path, &analysis.graph().to_json(with_origins), log)?;
        }
    }
    for path in &o.dump_artifacts_to_build {
        text_file::write(path, &analysis.dump_artifacts_to_build(), log)?;
    }
    Ok(())
}

/// Refuses dumps of values that are too long as text: values share their parts, and dumps repeat them.
fn check_size(analysis: &Analysis, log: &Log) -> Result<(), Exit> {
    match analysis.too_long_to_dump() {
        Some(why) => {
            log.say(Level::Error, format!("{why}; no dumps are written."));
            Err(Exit::Environment)
        }
        None => Ok(()),
    }
}
