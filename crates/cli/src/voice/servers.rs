//! The messages about addresses of servers, and about the file that assigns servers to properties of actions, in both
//! voices.

use taut_syntax::{
    Node, json,
    json::{SyntaxError, reference_error},
    quoted,
};

use super::{just::Just, taut::Taut};

/// The option that names the file.
const OPTION: &str = "--endpoint-configuration";

/// What is wrong with the file that assigns servers to properties.
pub(crate) enum BadDispatch<'d> {
    Unreadable(&'d taut_sys::Error),
    /// The file is not JSON: its bytes, and where.
    NotJson(&'d [u8], &'d SyntaxError),
    /// The whole, where a list of pairs is expected.
    NoList(Node<'d>),
    /// An entry that is not a pair.
    NoPair(Node<'d>),
    /// Properties that are not an object.
    NoObject(Node<'d>),
    /// Properties with a value that is not a string.
    NoStrings(Node<'d>),
    /// An address that is not a string.
    NoAddress(Node<'d>),
    /// A string that is not an address, and why.
    BadAddress(&'d str, String),
}

/// The texts about servers.
pub(crate) trait ServerTexts {
    /// A malformed address (`-r`), and what is wrong with it.
    fn bad_server(&self, given: &str, why: &str) -> String;

    /// A file that assigns servers to properties, and what is wrong with it.
    fn bad_dispatch(&self, file: &str, bad: &BadDispatch<'_>) -> String;
}

impl ServerTexts for Just {
    fn bad_server(&self, given: &str, _: &str) -> String {
        format!("Failed to set remote endpoint address {}", quoted(given))
    }

    fn bad_dispatch(&self, file: &str, bad: &BadDispatch<'_>) -> String {
        let (what, found) = match bad {
            BadDispatch::Unreadable(_) => return format!("Failed to read json file {}", quoted(file)),
            BadDispatch::NotJson(text, _) => {
                return format!("Failed to parse endpoint configuration: {}", reference_error(text));
            }
            BadDispatch::BadAddress(address, _) => {
                return format!("Failed to parse {} as endpoint.", quoted(address));
            }
            BadDispatch::NoList(found) => {
                ("Endpoint configuration has to be a list of pairs, but found", found)
            }
            BadDispatch::NoPair(found) => {
                ("Endpoint configuration has to be a list of pairs, but found entry", found)
            }
            BadDispatch::NoObject(found) => {
                ("Property condition has to be given as an object, but found", found)
            }
            BadDispatch::NoStrings(found) => {
                ("Property condition has to be given as an object of strings but found", found)
            }
            BadDispatch::NoAddress(found) => {
                ("Endpoint has to be specified as string (in the form host:port), but found", found)
            }
        };
        format!("{what} {}", taut_driver::plain_json(*found))
    }
}

impl ServerTexts for Taut {
    fn bad_server(&self, given: &str, why: &str) -> String {
        format!("-r {}: {}", quoted(given), with_form(why))
    }

    fn bad_dispatch(&self, file: &str, bad: &BadDispatch<'_>) -> String {
        let (expected, found) = match bad {
            BadDispatch::Unreadable(why) => return format!("{OPTION} {why}"),
            BadDispatch::NotJson(_, json::SyntaxError { line, column, message, .. }) => {
                return format!("{OPTION} {file}:{line}:{column}: {message}");
            }
            BadDispatch::BadAddress(address, why) => {
                return format!("{OPTION} {file}: {}: {}", quoted(address), with_form(why));
            }
            BadDispatch::NoList(found) | BadDispatch::NoPair(found) => {
                ("a list of pairs, each of properties and an address (HOST:PORT)", found)
            }
            BadDispatch::NoObject(found) | BadDispatch::NoStrings(found) => {
                ("properties as an object of strings", found)
            }
            BadDispatch::NoAddress(found) => ("an address as a string", found),
        };
        format!("{OPTION} {file}: expected {expected}, not {}", found.source())
    }
}

/// A text about an address, with the form that addresses have.
fn with_form(why: &str) -> String {
    format!("{why}\nhelp: HOST:PORT, or grpcs://HOST:PORT for an encrypted connection")
}
