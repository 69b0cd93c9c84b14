//! The address of a service, as users write it.

use std::fmt;

/// Where a service listens.
// The text is checked once, here: what gets this type can make a URI of it without an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// `host:port`, the host in brackets if it is an IPv6 address.
    authority: String,
    /// Whether the connection is encrypted; `None` if the address does not say.
    is_encrypted: Option<bool>,
}

impl Address {
    /// Reads `grpc://HOST:PORT`, `grpcs://HOST:PORT` or `HOST:PORT`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Address, String> {
        let (is_encrypted, authority) = match text.split_once("://") {
            Some(("grpc", rest)) => (Some(false), rest),
            Some(("grpcs", rest)) => (Some(true), rest),
            Some((scheme, _)) => return Err(format!("{scheme}:// is neither grpc:// nor grpcs://")),
            None => (None, text),
        };
        // People copy addresses from pages, with the slash that a URL has at its end.
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        // From the right: an IPv6 address has colons of its own, which is why it needs the brackets.
        let (host, port) = authority.rsplit_once(':').ok_or("it has no port")?;
        let is_bracketed = host.len() > 2 && host.starts_with('[') && host.ends_with(']');
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        // `%` is for the zone of a link-local address (RFC 4007, 11).
        let is_inside = |byte: u8| byte.is_ascii_hexdigit() || b":.%".contains(&byte);
        let is_good = match is_bracketed {
            true => host[1..host.len() - 1].bytes().all(is_inside),
            false => !host.is_empty() && host.bytes().all(is_host),
        };
        if !is_good {
            return Err("its host is neither a name nor an address (IPv6 in brackets)".to_owned());
        }
        // Port 0 means "any" to a server that listens, and nothing to a client.
        if !matches!(port.parse::<u16>(), Ok(port) if port > 0) {
            return Err("its port is not a number from 1 to 65535".to_owned());
        }
        Ok(Address { authority: authority.to_owned(), is_encrypted })
    }

    /// Whether the connection is encrypted. `by_default`: where the address does not say.
    pub fn is_encrypted(&self, by_default: bool) -> bool {
        self.is_encrypted.unwrap_or(by_default)
    }

    /// Whether it says that the connection is not encrypted.
    pub fn is_plain(&self) -> bool {
        self.is_encrypted == Some(false)
    }

    pub(crate) fn uri(&self, is_encrypted: bool) -> String {
        // The URI that tonic wants; `grpc` and `grpcs` are schemes of command lines only.
        format!("{}://{}", if is_encrypted { "https" } else { "http" }, self.authority)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_encrypted {
            Some(true) => write!(f, "grpcs://{}", self.authority),
            Some(false) => write!(f, "grpc://{}", self.authority),
            None => f.write_str(&self.authority),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for good in ["a:1", "cache.example:8980", "grpc://127.0.0.1:1", "grpcs://[::1]:65535"] {
            assert_eq!(Address::parse(good).map(|address| address.to_string()), Ok(good.to_owned()));
        }
        assert_eq!(
            Address::parse("grpc://a:1/").map(|address| address.to_string()),
            Ok("grpc://a:1".to_owned())
        );
        for bad in
            ["", "a", ":1", "a:", "a:0", "a:65536", "a b:1", "::1:1", "[]:1", "http://a:1", "a:1/b", "a@b:1"]
        {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_scheme_decides_on_encryption() {
        let is_encrypted = |text, by_default| Address::parse(text).unwrap().is_encrypted(by_default);
        assert!(is_encrypted("grpcs://a:1", false) && !is_encrypted("grpc://a:1", true));
        assert!(is_encrypted("a:1", true) && !is_encrypted("a:1", false));
    }
}
