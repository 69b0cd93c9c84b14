//! The dumps of what analysis found: of values, and of graphs.

use std::path::{Path, PathBuf};

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
    let of_target = |what: &str| format!("{what} target {target}");
    // In the reference's order, each with its name in announcements. At the beginning of one it gets a capital letter.
    type Dump<'d> = (&'d Option<PathBuf>, String, &'d dyn Fn() -> String);
    let write = |dumps: &[Dump<'_>]| {
        dumps.iter().try_for_each(|(path, what, text)| {
            let to_file = |path: &Path| format!("Dumping {what} to file '{}'.", path.display());
            let to_output = format!("{}{}:", what[..1].to_ascii_uppercase(), &what[1..]);
            text_file::announce_and_write(path, log, to_file, to_output, text)
        })
    };
    write(&[
        (&d.dump_result, of_target("result of"), &|| analysis.dump_result()),
        (&d.dump_actions, of_target("actions for"), &|| report::actions(&analysis.own_actions())),
        (&d.dump_blobs, of_target("blobs for"), &|| analysis.dump_blobs()),
        (&d.dump_trees, of_target("trees for"), &|| analysis.dump_trees()),
        (&d.dump_provides, of_target("provides map for"), &|| analysis.dump_provides()),
        (&d.dump_vars, of_target("variables for"), &|| analysis.dump_vars()),
        (&d.dump_targets, "list of analysed targets".to_owned(), &|| analysis.dump_targets(false)),
        (&d.dump_export_targets, "list of analysed export targets".to_owned(), &|| {
            analysis.dump_targets(true)
        }),
    ])?;
    if let Some(path) = &d.dump_targets_graph {
        voice::of(log)
            .dumping(&format!("Dumping graph of configured-targets to file {}.", path.display()), log);
        text_file::write(path, &analysis.dump_targets_graph(), log)?;
    }
    write(&[
        (&d.dump_anonymous, "list of anonymous target data".to_owned(), &|| analysis.dump_anonymous()),
        (&d.dump_nodes, of_target("target nodes of"), &|| analysis.dump_nodes()),
    ])
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
