//! The `taut` binary; called as `just` it takes exactly that tool's command line.

fn main() {
    // First: as the helper this program has another task, and must not open anything.
    taut::helper_main_if_requested();
    taut::raise_open_file_limit();
    // `exit` rather than returning: big structures are left to the kernel instead of being dropped.
    std::process::exit(taut::run(std::env::args_os().collect()))
}
