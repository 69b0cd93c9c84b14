//! The options about servers that execute actions: the usual one, and those that actions with certain properties have.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use taut_digest::HashFunction;
use taut_driver::{Backend, BuildOptions, Compared, Endpoint, RemoteExecution};
use taut_remote::{Address, Client, Patience, Setup};
use taut_store::{MAX_SERVERS, Store};
use taut_syntax::{Document, Kind, Node, quoted};

use crate::{
    environment::{hash_function, is_address},
    exit::Exit,
    log::{Level, Log},
    options::{Execution, Stores},
    remote_cache::{names_certificates, patience, tls},
    set_up_server::SetUpServer,
    tool_name::Name,
    voice::{self, BadDispatch},
};

/// How many actions are executed at once by servers, if the call does not say: they queue there.
pub(crate) const JOBS: usize = 256;

/// How long look-ups may be slow in all: no limit, since there is no other way to a result.
const MAX_SLOW_TIME: Duration = Duration::from_secs(u32::MAX as u64);

/// How long a server that was there is waited for, since there is no other way to a result.
// Long enough for a service to be restarted, and short enough not to look like a hang.
const RESTART: Duration = Duration::from_secs(30);

/// Properties, and the address for actions that have them.
type Dispatch = Vec<(BTreeMap<String, String>, String)>;

/// The servers that the options name, if they name any. Nothing is connected yet.
///
/// # Errors
/// What is wrong with the options.
pub(crate) fn remote_execution(
    execution: &Execution,
    stores: &Stores,
    log: &Log,
) -> Result<Option<RemoteExecution>, String> {
    let backend = backend(execution, stores, log)?;
    if backend == Backend::default() {
        return Ok(None);
    }
    let mut servers = Servers { stores, endpoints: Vec::new(), numbers: BTreeMap::new() };
    let main = backend.address.as_deref().map(|address| servers.number(address, true)).transpose()?;
    let mut dispatch = Vec::new();
    for (properties, address) in &backend.dispatch {
        dispatch.push((properties.clone(), servers.number(address, true)?));
    }
    // Not the number of processors here: actions wait at the servers, which know what they can do at once.
    let jobs = execution.build_jobs.filter(|jobs| *jobs > 0).unwrap_or(JOBS);
    let (endpoints, compared_with) = (servers.endpoints, None);
    Ok(Some(RemoteExecution { endpoints, main, dispatch, compared_with, jobs, backend }))
}

/// Where actions are executed.
///
/// # Errors
/// What is wrong with the options.
pub(crate) fn backend(execution: &Execution, stores: &Stores, log: &Log) -> Result<Backend, String> {
    let dispatch = match &execution.endpoint_configuration {
        Some(path) => dispatch(path, log)?,
        None => Vec::new(),
    };
    if let Some(address) = &stores.server.remote_execution_address {
        check_address(address, log).map_err(|why| voice::of(log).bad_server(address, &why))?;
    }
    Ok(Backend { address: stores.server.remote_execution_address.clone(), dispatch })
}

/// Whether a text is the address of a server; if not, why. The reference knows neither schemes nor certificates in an
/// address, so what it refuses is refused under its name.
fn check_address(text: &str, log: &Log) -> Result<(), String> {
    match log.tool() {
        Name::Just if is_address(text) => Ok(()),
        Name::Just => Err(String::new()),
        Name::Taut => Address::parse(text).map(drop),
    }
}

/// Reads the file that assigns servers to properties: a list of pairs.
fn dispatch(path: &Path, log: &Log) -> Result<Dispatch, String> {
    let label = path.display().to_string();
    let wrong = |bad: BadDispatch<'_>| voice::of(log).bad_dispatch(&label, &bad);
    let text = taut_sys::Named::read(path).map_err(|error| wrong(BadDispatch::Unreadable(&error)))?;
    let document =
        Document::parse(&*label, text.clone()).map_err(|error| wrong(BadDispatch::NotJson(&text, &error)))?;
    let root = document.root();
    let mut all = Vec::new();
    for entry in root.as_list().ok_or_else(|| wrong(BadDispatch::NoList(root)))? {
        let pair: Vec<Node<'_>> = entry.as_list().map(Iterator::collect).unwrap_or_default();
        let [properties, address] = pair[..] else { return Err(wrong(BadDispatch::NoPair(entry))) };
        if properties.kind() != Kind::Object {
            return Err(wrong(BadDispatch::NoObject(properties)));
        }
        let mut wanted = BTreeMap::new();
        for (name, value) in properties.entries() {
            let value = value.as_str().ok_or_else(|| wrong(BadDispatch::NoStrings(properties)))?;
            wanted.insert(name.to_owned(), value.to_owned());
        }
        let text = address.as_str().ok_or_else(|| wrong(BadDispatch::NoAddress(address)))?;
        check_address(text, log).map_err(|why| wrong(BadDispatch::BadAddress(text, why)))?;
        all.push((wanted, text.to_owned()));
    }
    Ok(all)
}

/// The servers of a call, each once.
struct Servers<'s> {
    stores: &'s Stores,
    endpoints: Vec<Endpoint>,
    numbers: BTreeMap<String, usize>,
}

impl Servers<'_> {
    fn number(&mut self, text: &str, executes: bool) -> Result<usize, String> {
        let client = client(text, self.stores, executes)?;
        // Two spellings of an address are two servers: that costs a connection, and no result is wrong.
        let (id, name) = (id(text, self.stores), Arc::from(client.name.as_str()));
        if let Some(number) = self.numbers.get(&id) {
            return Ok(*number);
        }
        if self.endpoints.len() == MAX_SERVERS {
            return Err(format!("there are more than {MAX_SERVERS} servers, which is the limit"));
        }
        self.numbers.insert(id.clone(), self.endpoints.len());
        let client = client.client;
        self.endpoints.push(Endpoint {
            id,
            name,
            cas: client.clone(),
            results: client.clone(),
            executor: client,
        });
        Ok(self.endpoints.len() - 1)
    }
}

/// What identifies a server in what is kept between calls.
pub(crate) fn id(address: &str, stores: &Stores) -> String {
    let instance = stores.server.remote_instance_name.clone().unwrap_or_default();
    // The zero byte separates: neither an address nor a name has one.
    HashFunction::Sha256.blob(format!("{address}\0{instance}").as_bytes()).to_hex()
}

/// A server, not yet connected, and its name in messages.
pub(crate) struct NamedClient {
    pub(crate) client: Arc<Client>,
    pub(crate) name: String,
}

/// A server of objects, by its address. `executes`: whether it has to execute actions, too.
///
/// # Errors
/// What is wrong with the options.
pub(crate) fn client(text: &str, stores: &Stores, executes: bool) -> Result<NamedClient, String> {
    let address = Address::parse(text).map_err(|why| format!("{}: {why}", quoted(text)))?;
    let has_files = names_certificates(&address, stores)?;
    let tls = if address.is_encrypted(has_files) { Some(tls(stores)?) } else { None };
    // An explicit number of attempts is the limit.
    let restart = if stores.server.max_attempts.is_none() { RESTART } else { Duration::ZERO };
    let patience = Patience { max_slow: MAX_SLOW_TIME, restart, ..patience(stores) };
    let instance = stores.server.remote_instance_name.clone().unwrap_or_default();
    let (name, naming) = (address.to_string(), hash_function(stores));
    let client = Arc::new(Client::new(Setup { address, instance, tls, naming, executes, patience }));
    Ok(NamedClient { client, name })
}

/// Sets what results of actions that run again are compared with: those of this build root, or of a server.
///
/// # Errors
/// The exit code; the error has been reported.
pub(crate) fn compare_with(
    options: &mut BuildOptions,
    vs: &str,
    stores: &Stores,
    log: &Log,
) -> Result<(), Exit> {
    if vs == "local" {
        // Without servers, results are compared with those of the build root in any case.
        if let Some(remote) = &mut options.remote_execution {
            remote.compared_with = Some(Compared::Local);
        }
        return Ok(());
    }
    let remote =
        options.remote_execution.get_or_insert_with(|| RemoteExecution { jobs: JOBS, ..Default::default() });
    let mut servers =
        Servers { stores, endpoints: std::mem::take(&mut remote.endpoints), numbers: BTreeMap::new() };
    // The server to compare with may be one of those that execute.
    for (number, endpoint) in servers.endpoints.iter().enumerate() {
        servers.numbers.insert(endpoint.id.clone(), number);
    }
    let number = servers.number(vs, false);
    remote.endpoints = servers.endpoints;
    // In native mode the reference asks the server under another name than that of the result, if actions run here.
    if log.tool() == Name::Just
        && !stores.server.compatible
        && remote.main.is_none()
        && remote.dispatch.is_empty()
    {
        remote.compared_with = number.is_ok().then_some(Compared::Nothing);
        return Ok(());
    }
    remote.compared_with = Some(Compared::Server(number.map_err(|why| {
        log.say(Level::Error, format!("--vs {why}"));
        Exit::Environment
    })?));
    Ok(())
}

/// Checks the address of the server that the options name, if they name one, before anything is done.
///
/// # Errors
/// The exit code; the error has been reported.
pub(crate) fn check_server(stores: &Stores, log: &Log) -> Result<(), Exit> {
    let Some(address) = &stores.server.remote_execution_address else { return Ok(()) };
    check_address(address, log).map_err(|why| {
        log.say(Level::Error, voice::of(log).bad_server(address, &why));
        Exit::Environment
    })
}

/// A server of objects that the options name ([`check_server`] has accepted its address), with what it takes from and
/// gives to a store, which it is attached to.
///
/// # Errors
/// The exit code; the error has been reported.
pub(crate) fn server_of_objects(stores: &Stores, store: &Store, log: &Log) -> Result<Option<Endpoint>, Exit> {
    let Some(address) = &stores.server.remote_execution_address else { return Ok(None) };
    let mut servers = Servers { stores, endpoints: Vec::new(), numbers: BTreeMap::new() };
    servers.number(address, false).map_err(|why| {
        log.say(Level::Error, why);
        Exit::Environment
    })?;
    store.attach(servers.endpoints.iter().map(Endpoint::object_server).collect()).map_err(|error| {
        log.say(Level::Error, format!("Cannot use the build root: {error}"));
        Exit::Environment
    })?;
    Ok(servers.endpoints.pop())
}

/// The server of objects that the options name, for set-ups in a build root.
///
/// # Errors
/// What is wrong with the options.
pub(crate) fn server_of_set_ups(
    stores: &Stores,
    build_root: &Path,
    log: &Log,
) -> Result<Option<Arc<SetUpServer>>, String> {
    let Some(address) = &stores.server.remote_execution_address else { return Ok(None) };
    check_address(address, log).map_err(|why| voice::of(log).bad_server(address, &why))?;
    let mut servers = Servers { stores, endpoints: Vec::new(), numbers: BTreeMap::new() };
    servers.number(address, false)?;
    let server = |endpoint| SetUpServer::new(endpoint, build_root.to_owned(), hash_function(stores));
    Ok(servers.endpoints.pop().map(server).map(Arc::new))
}

/// Makes the servers of a call known to its store.
///
/// # Errors
/// The exit code; the error has been reported.
pub(crate) fn attach(options: &BuildOptions, store: &Store, log: &Log) -> Result<(), Exit> {
    let servers = options.remote_execution.as_ref().map(RemoteExecution::object_servers).unwrap_or_default();
    store.attach(servers).map_err(|error| {
        log.say(Level::Error, format!("Cannot use the build root: {error}"));
        Exit::Environment
    })
}
