//! How processes start, and what is reported of those that cannot.

use std::os::unix::fs::PermissionsExt;

use taut_sys::process::{Command, Running, Status};

use crate::fixture::{TestDir, exit_of, exited, processes, sh};

pub(crate) const TESTS: crate::Named<fn()> = crate::named![
    exit_codes_and_signals_are_distinguished,
    a_command_that_cannot_be_started_reports_the_error_number,
    a_script_without_shebang_is_run_by_the_shell,
    a_process_gets_exactly_the_arguments_and_environment_of_its_command,
    large_arguments_and_outputs_are_passed_whole,
    many_processes_run_at_once,
];

fn exit_codes_and_signals_are_distinguished() {
    let (processes, dir) = (processes(), TestDir::new());
    for code in [0, 1, 137, 255] {
        assert_eq!(dir.run(&processes, &sh(&format!("exit {code}"))), exited(Status::Code(code)));
    }
    assert_eq!(dir.run(&processes, &sh("kill -9 $$")), exited(Status::Signal(9)));
    assert_eq!(Status::Signal(9).code(), Some(137));
}

fn a_command_that_cannot_be_started_reports_the_error_number() {
    let (processes, dir) = (processes(), TestDir::new());
    std::fs::write(dir.path("script"), "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(dir.path("script"), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(dir.path("plain"), "no program").unwrap();
    let long = "x".repeat(140_000);
    for (command, errno) in [
        (Command::new("/no/such/program"), 2),
        (Command::new(dir.path("plain")), 13),
        (Command::new(dir.path("script")), 2),
        (Command::new("./script"), 2),
        (Command::new(dir.path("plain/x")), 20),
        (sh("").args([&long]), 7),
        (Command { env: vec![("A".into(), long.into())], ..sh("") }, 7),
        (sh("").args(["a\0b"]), 22),
        (Command { env: vec![("A".into(), "a\0b".into())], ..sh("") }, 22),
    ] {
        assert_eq!(dir.run(&processes, &command), exited(Status::NotStarted(errno)));
    }
    // The runner can be used again.
    assert_eq!(dir.run(&processes, &sh("exit 3")), exited(Status::Code(3)));
}

fn a_script_without_shebang_is_run_by_the_shell() {
    let dir = TestDir::new();
    std::fs::write(dir.path("script"), "echo $0 $# $2\nexit 4\n").unwrap();
    std::fs::set_permissions(dir.path("script"), PermissionsExt::from_mode(0o755)).unwrap();
    for program in [dir.path("script").to_str().unwrap(), "./script"] {
        let before = dir.read("out").len();
        let command =
            Command { args: vec!["name".into(), "a b".into(), "c".into()], ..Command::new(program) };
        assert_eq!(dir.run(&processes(), &command), exited(Status::Code(4)));
        assert_eq!(dir.read("out")[before..], format!("{program} 2 c\n"));
    }
}

fn a_process_gets_exactly_the_arguments_and_environment_of_its_command() {
    let dir = TestDir::new();
    let words = ["env", "sh", "-c", "env; cat; pwd >&2; ls /proc/self/fd | wc -l"];
    let command = Command {
        args: words.iter().map(Into::into).collect(),
        env: vec![("A".into(), "1 2".into()), ("B".into(), "".into())],
        ..Command::new("/usr/bin/env")
    };
    assert_eq!(dir.run(&processes(), &command), exited(Status::Code(0)));
    let out = dir.read("out");
    let mut lines: Vec<&str> = out.lines().filter(|line| !line.starts_with("PWD=")).collect();
    // Three streams and the directory being listed.
    assert_eq!(lines.pop(), Some("4"), "{out}");
    assert!(lines.contains(&"A=1 2") && lines.contains(&"B="), "{out}");
    let own =
        |line: &&&str| !line.starts_with("_=") && !line.starts_with("SHLVL=") && !line.starts_with("OLDPWD");
    assert_eq!(lines.iter().filter(own).count(), 2, "{out}");
    let root = dir.root().canonicalize().unwrap();
    assert_eq!(dir.read("err"), format!("{}\n", root.display()));
}

fn large_arguments_and_outputs_are_passed_whole() {
    let dir = TestDir::new();
    let long = "x".repeat(100_000);
    let mut command = sh("echo $1$2$3; head -c 3000000 /dev/zero >&2").args([&long, &long, &long]);
    command.env.extend((0..10).map(|n| (format!("V{n}").into(), long.clone().into())));
    assert_eq!(dir.run(&processes(), &command), exited(Status::Code(0)));
    assert_eq!(std::fs::metadata(dir.path("out")).unwrap().len(), 300_001);
    assert_eq!(std::fs::metadata(dir.path("err")).unwrap().len(), 3_000_000);
}

fn many_processes_run_at_once() {
    let (processes, dir) = (processes(), TestDir::new());
    for _ in 0..2 {
        let start = |i| dir.start(&processes, &sh(&format!("exit {}", i % 100))).unwrap();
        let all: Vec<Running> = (0..200).map(start).collect();
        for (i, running) in all.into_iter().enumerate() {
            assert_eq!(exit_of(running), exited(Status::Code(i as i32 % 100)));
        }
    }
}
