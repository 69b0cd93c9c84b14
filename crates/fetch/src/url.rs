//! What a URL means: its scheme, the path of a `file` URL, and its text without a password.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf};

use crate::Cause;

/// Where a URL leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum UrlTarget {
    /// A server.
    Http,
    /// A file of this machine.
    File(PathBuf),
}

/// Where a URL leads.
pub(crate) fn place(url: &str) -> Result<UrlTarget, Cause> {
    // No general parser of URLs: the library parses what it is given again, and here only three schemes have a
    // meaning.
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(Cause::Url("it is not a URL: it has no scheme such as https://".to_owned()));
    };
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" if has_port_out_of_range(rest) => {
            Err(Cause::Url("its port is not a number from 1 to 65535".to_owned()))
        }
        "http" | "https" => match ureq::http::Uri::try_from(url) {
            Ok(_) => Ok(UrlTarget::Http),
            Err(why) => Err(Cause::Url(format!("it is not a URL: {why}"))),
        },
        "file" => {
            // RFC 8089: the host may be empty or `localhost`.
            let path = rest.strip_prefix("localhost").filter(|path| path.starts_with('/')).unwrap_or(rest);
            if !path.starts_with('/') {
                return Err(Cause::Url("a file URL needs an absolute path: file:///PATH".to_owned()));
            }
            Ok(UrlTarget::File(percent_decoded(path).into()))
        }
        other => {
            Err(Cause::Url(format!("the scheme {other} is not supported, but http, https and file are")))
        }
    }
}

/// Whether a URL, without its scheme, names a port that there is not. The library for HTTP would take the usual one.
fn has_port_out_of_range(rest: &str) -> bool {
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let host = authority.rsplit('@').next().unwrap_or_default();
    // The colons in an IPv6 address are inside of brackets.
    let behind = host.rsplit_once(']').map_or(host, |(_, behind)| behind);
    let port = behind.rsplit_once(':').map_or("", |(_, port)| port);
    !port.is_empty() && !port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn percent_decoded(text: &str) -> OsString {
    let bytes = text.as_bytes();
    let digit = |index: usize| bytes.get(index).and_then(|byte| (*byte as char).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        match (bytes[index], digit(index + 1), digit(index + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                index += 3;
            }
            // A percent sign without two digits is taken literally, and no error.
            (byte, ..) => {
                out.push(byte);
                index += 1;
            }
        }
    }
    OsString::from_vec(out)
}

/// The URL with `***` in place of a password, for messages.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // The last one before the path: passwords that were not encoded may have an @.
    let Some(at) = rest[..end].rfind('@') else { return url.to_owned() };
    let user = rest[..at].split_once(':').map_or(&rest[..at], |(user, _)| user);
    // There is a user without a password, and nothing to hide.
    if user.len() == at {
        return url.to_owned();
    }
    format!("{scheme}://{user}:***{}", &rest[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_to_servers_or_files() {
        assert_eq!(place("HTTPS://example.org/a"), Ok(UrlTarget::Http));
        assert_eq!(place("file:///a%20b/c%"), Ok(UrlTarget::File("/a b/c%".into())));
        assert_eq!(place("file://localhost/a"), Ok(UrlTarget::File("/a".into())));
        assert_eq!(place("http://u:p@[::1]:8080/a:b"), Ok(UrlTarget::Http));
        assert_eq!(place("http://host:/a"), Ok(UrlTarget::Http));
        for bad in ["http://host:0/", "http://host:65536", "https://u:p@[::1]:x/a"] {
            assert!(matches!(place(bad), Err(Cause::Url(_))), "{bad}");
        }
        for bad in ["file://host/a", "file://a", "ftp://x/y", "/a/b", ""] {
            assert!(matches!(place(bad), Err(Cause::Url(_))), "{bad}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        for (url, shown) in [
            ("https://u:secret@host/p@q", "https://u:***@host/p@q"),
            ("https://u@host/p", "https://u@host/p"),
            ("https://host/p:q@r", "https://host/p:q@r"),
            ("https://u:a@b@host", "https://u:***@host"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
