//! Commits and trees fetched by the installed git, from repositories and servers that the tests make.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    ffi::OsString,
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use taut_digest::Hash;
use taut_fetch::{
    Cause, Error, Progress, Retries, Servers, Silent, Update,
    git::{CommitRequest, Fetched, Programs, TreeCommand, fetch, tree_of_command},
};
use taut_git::Writer;
use taut_sys::{
    Dir,
    process::{HelperStart, Processes, helper_main_if_requested},
};
use taut_testkit::{HttpRequest as Received, HttpServer as Server, files_below, reply};
use tempfile::TempDir;

/// A file of certificates that are good for nothing else.
fn tls(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

fn git_command(directory: &Path) -> Command {
    let mut command = Command::new("git");
    let date = "2020-01-01T00:00:00Z";
    command.current_dir(directory).env_clear().envs([
        ("PATH", std::env::var("PATH").unwrap().as_str()),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_AUTHOR_NAME", "a"),
        ("GIT_AUTHOR_EMAIL", "a@example.org"),
        ("GIT_AUTHOR_DATE", date),
        ("GIT_COMMITTER_NAME", "a"),
        ("GIT_COMMITTER_EMAIL", "a@example.org"),
        ("GIT_COMMITTER_DATE", date),
    ]);
    command
}

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = git_command(directory).args(arguments).output().expect("git is installed");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {text}");
    text.trim_end().to_owned()
}

/// A repository with three commits in branch `main` and one in branch `side`.
struct Upstream {
    path: PathBuf,
    commits: Vec<Hash>,
    side: Hash,
}

fn upstream(top: &TempDir, name: &str) -> Upstream {
    let path = top.path().join(name);
    fs::create_dir_all(path.join("d")).unwrap();
    git(&path, &["init", "-q", "-b", "main"]);
    let mut commits = Vec::new();
    for n in 0..3 {
        // Enough that a pack can be cut somewhere.
        let noise: String =
            (0..20_000_u64).map(|i| format!("{:x}", (i + n).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        fs::write(path.join(format!("d/{n}")), format!("{name} {n} {noise}")).unwrap();
        git(&path, &["add", "-A"]);
        git(&path, &["commit", "-q", "-m", &format!("commit {n}")]);
        commits.push(id(&git(&path, &["rev-parse", "HEAD"])));
    }
    git(&path, &["checkout", "-q", "-b", "side"]);
    git(&path, &["commit", "-q", "--allow-empty", "-m", "side"]);
    let side = id(&git(&path, &["rev-parse", "HEAD"]));
    git(&path, &["checkout", "-q", "main"]);
    Upstream { path, commits, side }
}

impl Upstream {
    fn tree(&self, commit: &Hash) -> Hash {
        id(&git(&self.path, &["rev-parse", &format!("{}^{{tree}}", commit.to_hex())]))
    }

    fn url(&self) -> String {
        format!("file://{}", self.path.display())
    }
}

fn id(hex: &str) -> Hash {
    Hash::from_hex(hex).unwrap()
}

struct Case {
    top: TempDir,
    cache: Writer,
    scratch: Dir,
    programs: Programs,
}

impl Case {
    fn new() -> Case {
        let top = TempDir::new().unwrap();
        let cache = Writer::open(&top.path().join("cache/git")).unwrap();
        let scratch = Dir::made_of_user(&top.path().join("cache/scratch")).unwrap();
        let environment = [("PATH", std::env::var_os("PATH").unwrap()), ("GIT_CONFIG_NOSYSTEM", "1".into())];
        let programs = Programs {
            processes: Processes::new(HelperStart::this_program()),
            git: "git".into(),
            search_path: std::env::var_os("PATH"),
            environment: environment.map(|(name, value)| (name.into(), value)).into(),
            stall_timeout: Duration::from_secs(60),
            retries: Retries {
                attempts: 3,
                initial_backoff: Duration::from_millis(1),
                max_backoff: Duration::from_millis(5),
            },
            servers: Servers::default(),
        };
        Case { top, cache, scratch, programs }
    }

    fn fetch(&self, urls: &[String], commit: Hash, branch: Option<&str>) -> Result<Fetched, Error> {
        let request = CommitRequest { urls, commit, branch };
        let done = fetch(&self.programs, &request, &self.cache, &self.scratch, &Silent);
        self.check_scratch();
        done
    }

    fn check_scratch(&self) {
        assert!(self.scratch.list().unwrap().is_empty(), "something is left");
    }

    /// The cause for the only URL; nothing was changed.
    fn cause(&self, url: String, commit: Hash, branch: Option<&str>) -> Cause {
        let before = files_below(self.cache.path());
        let error = self.fetch(&[url], commit, branch).expect_err("it fails");
        assert_eq!(files_below(self.cache.path()), before);
        let [tried] = <[_; 1]>::try_from(error.tried).unwrap();
        tried.cause
    }

    fn fsck(&self) {
        let text = git(self.cache.path(), &["fsck", "--full", "--no-dangling"]);
        assert!(text.lines().all(|line| line.starts_with("notice: ")), "{text}");
    }

    fn has_commit(&self, commit: &Hash) -> bool {
        self.cache.repository().forget();
        self.cache.repository().tree_of_commit(commit).unwrap().is_some()
    }

    fn check(&self, upstream: &Upstream, commit: &Hash, fetched: &Fetched) {
        assert_eq!(fetched.tree, upstream.tree(commit));
        self.cache.repository().forget();
        assert!(self.cache.repository().is_complete(&fetched.tree).unwrap());
        self.fsck();
        // It is protected from garbage collection.
        git(self.cache.path(), &["gc", "-q", "--prune=now"]);
        self.cache.repository().forget();
        assert!(self.cache.repository().is_complete(&fetched.tree).unwrap());
    }
}

/// Answers as `git http-backend` does. Without the header that asks for version 2 of the protocol, the server sends no
/// commits that are not the tip of a branch.
fn backend(root: &Path, request: &Received, is_modern: bool) -> Vec<u8> {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let mut command = git_command(root);
    command.arg("http-backend").envs([
        ("GIT_PROJECT_ROOT", root.to_str().unwrap()),
        ("GIT_HTTP_EXPORT_ALL", "1"),
        ("PATH_INFO", path),
        ("QUERY_STRING", query),
        ("REQUEST_METHOD", &request.method),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("CONTENT_TYPE", request.header("content-type").unwrap_or_default()),
        ("CONTENT_LENGTH", &request.body.len().to_string()),
        ("HTTP_CONTENT_ENCODING", request.header("content-encoding").unwrap_or_default()),
    ]);
    if is_modern && let Some(protocol) = request.header("git-protocol") {
        command.env("GIT_PROTOCOL", protocol);
    }
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let body = request.body.clone();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&body)));
    let mut answer = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut answer).unwrap();
    writer.join().unwrap();
    child.wait().unwrap();
    answer
}

fn split_answer(answer: &[u8]) -> (String, Vec<String>, Vec<u8>) {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("headers");
    let text = String::from_utf8(answer[..end].to_vec()).unwrap();
    let (status, headers) =
        text.lines().map(str::to_owned).partition::<Vec<_>, _>(|line| line.starts_with("Status:"));
    let status = status.first().map_or("200 OK", |line| line["Status:".len()..].trim());
    (status.to_owned(), headers, answer[end + 4..].to_vec())
}

fn smart_server(upstream: &Upstream, is_modern: bool) -> Server {
    let root = upstream.path.parent().unwrap().to_owned();
    Server::new(move |request, out| {
        let (status, headers, body) = split_answer(&backend(&root, request, is_modern));
        reply(out, &status, &headers, &body);
    })
}

fn a_commit_is_fetched_without_those_before_it() {
    let case = Case::new();
    let first = upstream(&case.top, "first");
    let second = upstream(&case.top, "second");
    for upstream in [&first, &second] {
        let commit = upstream.commits[1];
        let fetched = case.fetch(&[upstream.url()], commit, Some("main")).unwrap();
        assert_eq!(fetched.url, upstream.url());
        // All of two files of noise that packs hardly make smaller, and nothing of the third one.
        assert!((100_000..700_000).contains(&fetched.bytes), "{}", fetched.bytes);
        case.check(upstream, &commit, &fetched);
        assert!(case.has_commit(&commit) && !case.has_commit(&upstream.commits[0]));
        assert!(case.cache.is_kept(&commit).unwrap());
    }
    assert_eq!(fs::read_to_string(case.cache.path().join("shallow")).unwrap().lines().count(), 2);
    // By a path, and again: what is there stays.
    let fetched = case.fetch(&[first.path.display().to_string()], first.commits[1], None).unwrap();
    case.check(&first, &first.commits[1], &fetched);
}

fn servers_by_http_are_used_as_they_can() {
    for (is_modern, branch, has_history) in
        [(true, Some("main"), false), (true, None, false), (false, Some("main"), true), (false, None, true)]
    {
        let case = Case::new();
        let upstream = upstream(&case.top, "up");
        let server = smart_server(&upstream, is_modern);
        let commit = upstream.commits[1];
        let fetched = case.fetch(&[server.url("/up")], commit, branch).unwrap();
        case.check(&upstream, &commit, &fetched);
        assert_eq!(case.has_commit(&upstream.commits[0]), has_history, "{is_modern} {branch:?}");
        // An old server sends the tip of a branch without the history.
        if !is_modern {
            let case = Case::new();
            let fetched = case.fetch(&[server.url("/up")], upstream.commits[2], branch).unwrap();
            case.check(&upstream, &upstream.commits[2], &fetched);
            assert!(!case.has_commit(&upstream.commits[1]));
        }
    }
}

fn certificates_are_verified_unless_that_is_switched_off() {
    let mut case = Case::new();
    let upstream = upstream(&case.top, "up");
    let root = upstream.path.parent().unwrap().to_owned();
    let server = Server::with_certificate(Some(&tls("cert.pem")), &tls("key.pem"), move |request, out| {
        let (status, headers, body) = split_answer(&backend(&root, request, true));
        reply(out, &status, &headers, &body);
    });
    let ca_file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/ca.pem");
    let environment = case.programs.environment.clone();
    let commit = upstream.commits[1];
    // git goes by its own variables and configuration.
    for (variable, is_trusted) in
        [(None, false), (Some(("GIT_SSL_CAINFO", ca_file)), true), (Some(("GIT_SSL_NO_VERIFY", "1")), true)]
    {
        case.programs.environment = environment.clone();
        case.programs.environment.extend(variable.map(|(name, value)| (name.into(), value.into())));
        let fetched = case.fetch(&[server.url("/up")], commit, Some("main"));
        assert_eq!(fetched.is_ok(), is_trusted, "{fetched:?}");
    }
}

/// A directory of files, as any web server offers it.
fn servers_that_know_only_files_are_used() {
    let case = Case::new();
    let upstream = upstream(&case.top, "up");
    git(&upstream.path, &["update-server-info"]);
    let root = upstream.path.join(".git");
    let server = Server::new(move |request, out| {
        let path = request.path.split('?').next().unwrap().trim_start_matches("/up/");
        match fs::read(root.join(path)) {
            Ok(content) => reply(out, "200 OK", &[format!("content-length: {}", content.len())], &content),
            Err(_) => reply(out, "404 Not Found", &["content-length: 0".to_owned()], b""),
        }
    });
    let commit = upstream.commits[1];
    let fetched = case.fetch(&[server.url("/up")], commit, Some("main")).unwrap();
    assert_eq!(fetched.tree, upstream.tree(&commit));
    assert!(fetched.bytes > 100_000, "{}", fetched.bytes);
    case.check(&upstream, &commit, &fetched);
}

fn a_commit_of_another_branch_is_not_contained() {
    let case = Case::new();
    let upstream = upstream(&case.top, "up");
    let server = smart_server(&upstream, false);
    // The commit before the tip of the other branch is one of this branch, so only the tip is missing. An old server
    // sends it by its id, since it is a tip: so it is made unreachable first.
    git(&upstream.path, &["branch", "-q", "-D", "side"]);
    let cause = case.cause(server.url("/up"), upstream.side, Some("main"));
    let expected = format!("it does not contain commit {} in branch main", upstream.side.to_hex());
    assert_eq!(cause.to_string(), expected);
    let cause = case.cause(server.url("/up"), upstream.side, Some("nothing"));
    assert!(cause.to_string().contains("couldn't find remote ref nothing"), "{cause}");
}

fn the_next_mirror_is_used_and_errors_list_all() {
    let case = Case::new();
    let upstream = upstream(&case.top, "up");
    let missing = case.top.path().join("missing").display().to_string();
    let urls = [missing.clone(), "https://user:secret@127.0.0.1:1/x".to_owned(), upstream.url()];
    let fetched = case.fetch(&urls, upstream.commits[0], Some("main")).unwrap();
    assert_eq!(fetched.url, upstream.url());
    let before = files_below(case.cache.path());
    let error = case.fetch(&urls[..2], upstream.commits[0], Some("main")).unwrap_err();
    assert_eq!(files_below(case.cache.path()), before);
    let text = error.to_string();
    assert!(text.contains(&format!("{missing}: git failed with exit code 128")), "{text}");
    assert!(text.contains("does not appear to be a git repository"), "{text}");
    assert!(text.contains("https://user:***@127.0.0.1:1/x: git failed"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    let commit = id("0123456789012345678901234567890123456789");
    let cause = case.cause(upstream.url(), commit, Some("main"));
    assert_eq!(cause.to_string(), format!("it does not contain commit {} in branch main", commit.to_hex()));
    // An id of something that is not a commit, and a URL that looks like an option.
    let cause = case.cause(upstream.url(), upstream.tree(&upstream.commits[0]), Some("main"));
    assert!(cause.to_string().contains("it is a tree, not a commit"), "{cause}");
    let marker = case.top.path().join("marker");
    for url in
        [format!("--upload-pack=touch {}", marker.display()), format!("ext::touch {}", marker.display())]
    {
        let error = case.fetch(&[url], upstream.commits[0], Some("main")).unwrap_err();
        assert!(!marker.exists(), "{error}");
    }
}

/// The program that `git` starts for `ssh` is given by the environment, and gets host and command.
fn commits_are_fetched_through_ssh() {
    let mut case = Case::new();
    let upstream = upstream(&case.top, "up");
    let (ssh, log) = (case.top.path().join("ssh"), case.top.path().join("log"));
    let script = "#!/bin/sh\nwhile test $# -gt 2; do shift; done\necho \"$1\" >> LOG\nexec sh -c \"$2\"\n";
    fs::write(&ssh, script.replace("LOG", log.to_str().unwrap())).unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    case.programs.environment.push(("GIT_SSH".into(), ssh.into()));
    let url = format!("ssh://git@example.org{}", upstream.path.display());
    let scp_like = format!("git@example.org:{}", upstream.path.display());
    for (url, commit) in [(url, upstream.commits[0]), (scp_like, upstream.commits[2])] {
        let fetched = case.fetch(&[url], commit, Some("main")).unwrap();
        case.check(&upstream, &commit, &fetched);
    }
    let hosts = fs::read_to_string(log).unwrap();
    assert!(hosts.lines().all(|host| host == "git@example.org"), "{hosts}");
}

/// ssh ends its lines as terminals in raw mode want them.
fn what_ssh_prints_decides_whether_it_is_tried_again() {
    let mut case = Case::new();
    let ssh = case.top.path().join("ssh");
    let prints = |printed: &str| {
        fs::write(&ssh, format!("#!/bin/sh\nprintf '{printed}\\r\\n' >&2\nexit 255\n")).unwrap();
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    };
    case.programs.environment.push(("GIT_SSH".into(), ssh.clone().into()));
    let commit = id("0123456789012345678901234567890123456789");
    for (printed, attempts) in [
        ("ssh: connect to host example.org port 22: Connection refused", 3),
        ("kex_exchange_identification: Connection closed by remote host", 3),
        ("Host key verification failed.", 1),
    ] {
        prints(printed);
        let error = case.fetch(&["git@example.org:up".to_owned()], commit, Some("main")).unwrap_err();
        assert_eq!(error.tried[0].attempts, attempts, "{error}");
        let may_pass = matches!(error.tried[0].cause, Cause::Connection(_) | Cause::Unreachable(_));
        assert_eq!(may_pass, attempts > 1, "{error}");
        assert!(error.to_string().contains(printed), "{error}");
        assert!(!error.to_string().contains('\r'), "{error}");
    }
}

fn packs_that_are_cut_or_forged_leave_nothing() {
    let case = Case::new();
    let upstream = upstream(&case.top, "up");
    let root = upstream.path.parent().unwrap().to_owned();
    // A stream that ends early may come whole the next time; other contents are the server's.
    let is_cut = |damage| matches!(damage, 0 | 3);
    for damage in 0..6_usize {
        let root = root.clone();
        let server = Server::new(move |request, out| {
            let (status, headers, mut body) = split_answer(&backend(&root, request, true));
            if request.method == "POST" && body.len() > 10_000 {
                let middle = body.len() / 2;
                match damage {
                    0 => body.truncate(middle),
                    1 => body[middle] ^= 1,
                    2 => drop(body.drain(middle..middle + 7)),
                    3 => body.truncate(20),
                    4 => body[middle..].fill(0),
                    _ => body = b"0008NAK\n".repeat(1000),
                }
            }
            reply(out, &status, &headers, &body);
        });
        let cause = case.cause(server.url("/up"), upstream.commits[2], Some("main"));
        assert_eq!(matches!(cause, Cause::Connection(_)), is_cut(damage), "{damage}: {cause:?}");
    }
}

fn a_fetch_that_is_cut_is_tried_again() {
    let case = Case::new();
    let upstream = upstream(&case.top, "up");
    let root = upstream.path.parent().unwrap().to_owned();
    // Ends the connection in the middle of two packs, then answers that it cannot now.
    let count = AtomicU64::new(0);
    let server = Server::new(move |request, out| {
        let (status, headers, mut body) = split_answer(&backend(&root, request, true));
        if request.method == "POST" && body.len() > 10_000 {
            match count.fetch_add(1, SeqCst) {
                0 => body.truncate(body.len() / 2),
                1 => return reply(out, "503 Service Unavailable", &["content-length: 0".to_owned()], b""),
                _ => {}
            }
        }
        reply(out, &status, &headers, &body);
    });
    let noted = Noted::default();
    let (urls, commit) = ([server.url("/up")], upstream.commits[2]);
    let request = CommitRequest { urls: &urls, commit, branch: Some("main") };
    let fetched = fetch(&case.programs, &request, &case.cache, &case.scratch, &noted).unwrap();
    case.check_scratch();
    case.check(&upstream, &commit, &fetched);
    let noted = noted.0.into_inner().unwrap();
    assert_eq!(noted.len(), 2, "{noted:?}");
    assert!(noted[0].contains("early EOF") && noted[1].contains("503"), "{noted:?}");
}

fn what_may_pass_is_tried_at_each_mirror_and_the_error_says_how_often() {
    let case = Case::new();
    let upstream = upstream(&case.top, "up");
    // A port without a listener, a server without repositories, a server with another repository.
    let gone = Server::new(|_, _| {}).url("/up");
    let unknown = Server::new(|_, out| reply(out, "404 Not Found", &["content-length: 0".to_owned()], b""));
    let urls = [gone, unknown.url("/up"), upstream.url()];
    let commit = id("0123456789012345678901234567890123456789");
    let error = case.fetch(&urls, commit, Some("main")).unwrap_err();
    let attempts: Vec<u32> = error.tried.iter().map(|tried| tried.attempts).collect();
    assert_eq!(attempts, [3, 1, 1], "{error}");
    assert!(matches!(error.tried[0].cause, Cause::Unreachable(_)), "{error}");
    assert!(error.to_string().contains("(3 attempts)"), "{error}");
    // The next commit is not worth as much of the server that is down.
    let error = case.fetch(&urls, commit, Some("main")).unwrap_err();
    let attempts: Vec<u32> = error.tried.iter().map(|tried| tried.attempts).collect();
    assert_eq!(attempts, [1, 1, 1], "{error}");
}

/// Keeps why attempts are repeated.
#[derive(Default)]
struct Noted(Mutex<Vec<String>>);

impl Progress for Noted {
    fn update(&self, _: Update<'_>) {}

    fn retry(&self, _: &str, cause: &Cause) {
        self.0.lock().unwrap().push(cause.to_string());
    }
}

fn a_server_that_asks_for_a_password_is_given_up() {
    let case = Case::new();
    let server = Server::new(|_, out| {
        let headers = ["www-authenticate: Basic realm=\"x\"".to_owned(), "content-length: 0".to_owned()];
        reply(out, "401 Unauthorized", &headers, b"");
    });
    let commit = id("0123456789012345678901234567890123456789");
    let cause = case.cause(server.url("/up"), commit, Some("main"));
    assert!(cause.to_string().contains("terminal prompts disabled"), "{cause}");
}

fn a_server_that_stalls_is_given_up() {
    let mut case = Case::new();
    case.programs.stall_timeout = Duration::from_millis(700);
    let server = Server::new(|_, _| std::thread::sleep(Duration::from_secs(600)));
    let started = Instant::now();
    let commit = id("0123456789012345678901234567890123456789");
    let cause = case.cause(server.url("/up"), commit, Some("main"));
    assert_eq!(cause, Cause::Unreachable("no progress for 0.7 s".to_owned()));
    assert!(started.elapsed() < Duration::from_secs(300));
}

fn a_fetch_can_be_cancelled() {
    #[derive(Default)]
    struct Cancel(AtomicBool);
    impl Progress for Cancel {
        fn update(&self, _: Update<'_>) {
            self.0.store(true, SeqCst);
        }
        fn is_cancelled(&self) -> bool {
            self.0.load(SeqCst)
        }
    }
    let case = Case::new();
    let server = Server::new(|_, _| std::thread::sleep(Duration::from_secs(600)));
    let urls = [server.url("/up"), server.url("/other")];
    let commit = id("0123456789012345678901234567890123456789");
    let request = CommitRequest { urls: &urls, commit, branch: None };
    let error = fetch(&case.programs, &request, &case.cache, &case.scratch, &Cancel::default()).unwrap_err();
    assert_eq!(error.tried.len(), 1);
    assert_eq!(error.tried[0].cause, Cause::Cancelled);
    case.check_scratch();
}

fn progress_has_the_bytes_that_came() {
    struct Bytes(AtomicU64);
    impl Progress for Bytes {
        fn update(&self, update: Update<'_>) {
            self.0.fetch_max(update.bytes, SeqCst);
        }
    }
    let case = Case::new();
    let upstream = upstream(&case.top, "up");
    let bytes = Bytes(AtomicU64::new(0));
    let urls = [upstream.url()];
    let request = CommitRequest { urls: &urls, commit: upstream.commits[2], branch: None };
    fetch(&case.programs, &request, &case.cache, &case.scratch, &bytes).unwrap();
    assert!(bytes.0.load(SeqCst) > 10_000, "{bytes:?}", bytes = bytes.0);
}

/// What `git` gets: the environment of the call and what keeps it from asking; nothing else of this process.
fn the_environment_is_that_of_the_call() {
    let mut case = Case::new();
    let (script, out) = (case.top.path().join("git"), case.top.path().join("env"));
    fs::write(&script, format!("#!/bin/sh\nenv > {}\nexit 3\n", out.display())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    case.programs.git = script;
    case.programs.environment =
        vec![("PATH".into(), "/usr/bin:/bin".into()), ("GIT_DIR".into(), "/other".into())];
    let commit = id("0123456789012345678901234567890123456789");
    let cause = case.cause("x".to_owned(), commit, None);
    assert!(cause.to_string().contains("failed with exit code 3"), "{cause}");
    let env = fs::read_to_string(out).unwrap();
    // Options of git are in its environment, too: there they hold for the programs that it starts.
    assert!(env.lines().any(|line| line == "GIT_CONFIG_KEY_0=gc.auto"), "{env}");
    // The shell adds the last ones.
    let mut env: Vec<&str> = env
        .lines()
        .filter(|line| !line.starts_with("GIT_CONFIG_"))
        .filter(|line| !line.starts_with("PWD=") && !line.starts_with("_=") && !line.starts_with("SHLVL="))
        .collect();
    env.sort_unstable();
    assert_eq!(env, ["GIT_DIR=.", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C", "PATH=/usr/bin:/bin"]);
    case.programs.git = "no-such-program".into();
    let cause = case.cause("x".to_owned(), commit, None);
    assert_eq!(cause.to_string(), "the program no-such-program is not in PATH");
    // The program is searched where the call searches, whatever its own environment has.
    let directory = case.top.path().join("programs");
    fs::create_dir(&directory).unwrap();
    fs::rename(case.top.path().join("git"), directory.join("no-such-program")).unwrap();
    case.programs.search_path = Some(directory.into());
    let cause = case.cause("x".to_owned(), commit, None);
    assert!(cause.to_string().contains("failed with exit code 3"), "{cause}");
    // Without `PATH` in the call, as the system does.
    (case.programs.git, case.programs.search_path) = ("false".into(), None);
    let cause = case.cause("x".to_owned(), commit, None);
    assert_eq!(cause.to_string(), "false failed with exit code 1");
}

fn several_fetches_run_at_the_same_time() {
    let case = Case::new();
    let upstreams: Vec<Upstream> = (0..4).map(|n| upstream(&case.top, &format!("up{n}"))).collect();
    std::thread::scope(|scope| {
        for upstream in &upstreams {
            for commit in &upstream.commits {
                let case = &case;
                scope.spawn(move || {
                    let urls = [upstream.url()];
                    let request = CommitRequest { urls: &urls, commit: *commit, branch: Some("main") };
                    let fetched =
                        fetch(&case.programs, &request, &case.cache, &case.scratch, &Silent).unwrap();
                    assert_eq!(fetched.tree, upstream.tree(commit));
                });
            }
        }
    });
    case.check_scratch();
    case.fsck();
    for upstream in &upstreams {
        for commit in &upstream.commits {
            assert!(case.cache.is_kept(commit).unwrap());
            assert!(case.cache.repository().is_complete(&upstream.tree(commit)).unwrap());
        }
    }
}

fn run(case: &Case, script: &str, tree: Hash) -> Result<u64, Error> {
    let command: Vec<OsString> = ["sh", "-c", script].map(Into::into).into();
    let request = TreeCommand { command: &command, tree };
    let done = tree_of_command(&case.programs, &request, &case.cache, &case.scratch, &Silent);
    case.check_scratch();
    done
}

fn a_command_makes_a_tree() {
    let case = Case::new();
    let expected = case.top.path().join("expected");
    fs::create_dir_all(expected.join("sub")).unwrap();
    fs::write(expected.join("sub/f"), "f\n").unwrap();
    fs::write(expected.join("run"), "x\n").unwrap();
    fs::set_permissions(expected.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    git(&expected, &["init", "-q"]);
    git(&expected, &["add", "-A"]);
    let tree = id(&git(&expected, &["write-tree"]));
    let make = "mkdir sub && echo f > sub/f && echo x > run && chmod +x run";
    for (script, is_good) in [
        (make.to_owned(), true),
        (format!("mkdir -p foo/bar && cd foo/bar && {make} && git init -q . && mv .git .."), true),
        // The tree decides, and not the exit code.
        (format!("{make} && exit 1"), true),
        (format!("{make} && echo y > other"), false),
        ("true".to_owned(), false),
    ] {
        let before = files_below(case.cache.path());
        match run(&case, &script, tree) {
            Ok(bytes) => {
                assert!(is_good, "{script}");
                assert_eq!(bytes, 4, "of the files in the tree");
                case.cache.repository().forget();
                assert!(case.cache.repository().is_complete(&tree).unwrap());
                assert!(case.cache.is_kept(&tree).unwrap());
                case.fsck();
            }
            Err(error) => {
                assert!(!is_good, "{script}: {error}");
                assert_eq!(files_below(case.cache.path()), before);
                let text = error.to_string();
                let expected_text = format!(
                    "the command succeeded; neither the directory that it ran in nor one below is the tree {}",
                    tree.to_hex()
                );
                assert!(text.ends_with(&expected_text), "{text}");
                // What was made instead, so that it can be described.
                let Cause::NoTree { made, .. } = &error.tried[0].cause else { panic!("{error}") };
                let other = case.top.path().join("other");
                fs::create_dir(&other).unwrap();
                git(&other, &["init", "-q"]);
                let made_by = Command::new("sh").args(["-c", &script]).current_dir(&other).status();
                assert!(made_by.unwrap().success());
                git(&other, &["add", "-A"]);
                assert_eq!(*made, id(&git(&other, &["write-tree"])), "{script}");
                fs::remove_dir_all(&other).unwrap();
            }
        }
    }
    let text = run(&case, "echo why; echo because >&2; exit 7", tree).unwrap_err().to_string();
    assert!(text.contains("the command failed with exit code 7; neither"), "{text}");
    assert!(text.ends_with("; it printed\nwhy\nbecause"), "{text}");
    let text = run(&case, "mkfifo f", tree).unwrap_err().to_string();
    assert!(text.contains("is not a file, directory or symbolic link"), "{text}");
    let text = run(&case, "kill -9 $$", tree).unwrap_err().to_string();
    assert!(text.contains("the command was killed by signal 9"), "{text}");
}

/// What a command starts and leaves is ended before the directory is read and removed.
fn a_command_leaves_no_process() {
    let case = Case::new();
    let pid_file = case.top.path().join("pid");
    let empty = id("4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    let script = format!(
        "setsid sh -c 'echo $$ > {}; sleep 1000' & while ! test -s {0}; do sleep 0.01; done",
        pid_file.display()
    );
    run(&case, &script, empty).unwrap();
    let pid = fs::read_to_string(&pid_file).unwrap();
    assert!(!Path::new(&format!("/proc/{}", pid.trim())).exists());
}

fn main() {
    helper_main_if_requested();
    let tests: &[(&str, fn())] = &[
        ("a_commit_is_fetched_without_those_before_it", a_commit_is_fetched_without_those_before_it),
        ("servers_by_http_are_used_as_they_can", servers_by_http_are_used_as_they_can),
        (
            "certificates_are_verified_unless_that_is_switched_off",
            certificates_are_verified_unless_that_is_switched_off,
        ),
        ("servers_that_know_only_files_are_used", servers_that_know_only_files_are_used),
        ("a_commit_of_another_branch_is_not_contained", a_commit_of_another_branch_is_not_contained),
        ("the_next_mirror_is_used_and_errors_list_all", the_next_mirror_is_used_and_errors_list_all),
        ("commits_are_fetched_through_ssh", commits_are_fetched_through_ssh),
        (
            "what_ssh_prints_decides_whether_it_is_tried_again",
            what_ssh_prints_decides_whether_it_is_tried_again,
        ),
        ("packs_that_are_cut_or_forged_leave_nothing", packs_that_are_cut_or_forged_leave_nothing),
        ("a_fetch_that_is_cut_is_tried_again", a_fetch_that_is_cut_is_tried_again),
        (
            "what_may_pass_is_tried_at_each_mirror_and_the_error_says_how_often",
            what_may_pass_is_tried_at_each_mirror_and_the_error_says_how_often,
        ),
        ("a_server_that_asks_for_a_password_is_given_up", a_server_that_asks_for_a_password_is_given_up),
        ("a_server_that_stalls_is_given_up", a_server_that_stalls_is_given_up),
        ("a_fetch_can_be_cancelled", a_fetch_can_be_cancelled),
        ("progress_has_the_bytes_that_came", progress_has_the_bytes_that_came),
        ("the_environment_is_that_of_the_call", the_environment_is_that_of_the_call),
        ("several_fetches_run_at_the_same_time", several_fetches_run_at_the_same_time),
        ("a_command_makes_a_tree", a_command_makes_a_tree),
        ("a_command_leaves_no_process", a_command_leaves_no_process),
    ];
    std::process::exit(taut_testkit::run_tests(tests));
}
