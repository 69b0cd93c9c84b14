//! Plain words for what the libraries for HTTP and TLS report.
//!
//! Their own texts are names of types and fields. A message about a failed download has to show which side has to
//! change something.

use std::{io, time::Duration};

use rustls::{AlertDescription, CertificateError, Error as Tls};
use taut_sys::in_words;
use ureq::Timeout;

use crate::{Cause, Options, error::status_text, tls::is_of_authority};

/// Why there was no answer to a request.
pub(crate) fn no_answer(error: &ureq::Error, options: &Options) -> Cause {
    use ureq::Error;

    match error {
        Error::BadUri(why) => match why.strip_prefix("unknown scheme: ") {
            // The scheme of the request was checked before (`place`): this is that of a redirection.
            Some(scheme) => Cause::Protocol(format!(
                "the server redirects to a URL of the scheme {scheme}, which is not supported"
            )),
            None => Cause::Protocol(no_redirection(why)),
        },
        // The form of the request's URL was checked, too: this is that of a redirection.
        Error::Http(why) => Cause::Protocol(no_redirection(&why.to_string())),
        Error::Tls(why) => Cause::Tls((*why).to_owned()),
        Error::HostNotFound => Cause::UnknownHost("there is no server of that name".to_owned()),
        Error::Io(error) => match of_tls(error) {
            // The library reports failures of TLS as failures of the connection below.
            Some(error) => Cause::Tls(tls(error)),
            // Of the resolver, which has no other number for it. A server of names that does not answer is another
            // case. `EAI_NONAME` of getaddrinfo, whose text glibc has; with another libc the failure counts as one of
            // the connection.
            None if error.to_string().contains("Name or service not known") => {
                Cause::UnknownHost("there is no server of that name".to_owned())
            }
            None => Cause::Unreachable(stream(error, options)),
        },
        Error::Timeout(which) => Cause::Unreachable(timeout(*which, options)),
        Error::ConnectProxyFailed(why) => {
            // `proxy server responded 403/403`
            let status = why.rsplit_once('/').and_then(|(_, status)| status.parse().ok());
            let why =
                status.map_or_else(|| why.clone(), |status| format!("it answers {}", status_text(status)));
            Cause::Unreachable(format!("the proxy makes no connection to the server: {why}"))
        }
        Error::TooManyRedirects => Cause::Protocol("the server redirects without end".to_owned()),
        // How many there are is not known: the rest is not read.
        Error::LargeResponseHeader(_, limit) => {
            Cause::Protocol(format!("the header of the server's answer has more than {limit} bytes"))
        }
        Error::Protocol(why) => Cause::Protocol(match why.to_string() {
            why if why.starts_with("http parse fail") => {
                "the server's answer is not HTTP; is the port that of another service, or does it want https?"
                    .to_owned()
            }
            why if why == "http parse resulted in too many headers" => {
                "the server's answer has more lines in its header than are accepted".to_owned()
            }
            why if why == "missing a location header" => {
                "the server redirects, and does not say where to".to_owned()
            }
            why => match why.strip_prefix("location header is malformed: ") {
                Some(location) => no_redirection(location),
                None => format!("the server's answer is not as HTTP wants it: {why}"),
            },
        }),
        other => Cause::Protocol(other.to_string()),
    }
}

/// The error about a redirection to something that is not a URL; `what`: the known part of it.
fn no_redirection(what: &str) -> String {
    // The server may send something long.
    const MAX_SHOWN: usize = 100;
    let mut shown: String = what.chars().take(MAX_SHOWN).collect::<String>().escape_debug().collect();
    if what.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    format!("the server redirects to something that is not a URL: {shown}")
}

/// Why a connection ended, or could not be made.
pub(crate) fn stream(error: &io::Error, options: &Options) -> String {
    // The library puts its own errors into those of streams, so the reason may be inside of the reason.
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    match inner {
        Some(ureq::Error::Timeout(which)) => return timeout(*which, options),
        Some(ureq::Error::Io(error)) => return stream(error, options),
        Some(inner) => return no_answer(inner, options).to_string(),
        None => {}
    }
    if let Some(error) = of_tls(error) {
        return tls(error);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the server closed the connection".to_owned(),
        io::ErrorKind::ConnectionRefused => "connection refused: no server listens there".to_owned(),
        io::ErrorKind::ConnectionReset => "the connection was reset".to_owned(),
        _ => in_words(error),
    }
}

fn timeout(which: Timeout, options: &Options) -> String {
    let seconds = |time: Duration| format!("{} s", time.as_secs_f32());
    match which {
        Timeout::Connect => format!("no connection within {}", seconds(options.connect_timeout)),
        Timeout::RecvResponse => format!("no answer within {}", seconds(options.stall_timeout)),
        _ => format!("nothing came for {}", seconds(options.stall_timeout)),
    }
}

/// What TLS reports through a stream.
fn of_tls(error: &io::Error) -> Option<&Tls> {
    // One level down as well: the error of TLS is wrapped by each stream that passes it on.
    let inner = error.get_ref()?;
    inner.downcast_ref().or_else(|| inner.source()?.downcast_ref())
}

/// Why TLS failed, with what can be done about a certificate that is not accepted.
fn tls(error: &Tls) -> String {
    match error {
        Tls::InvalidCertificate(why) => {
            let why = if is_of_authority(error) {
                "it is one of a certification authority (CA:TRUE), as self-signed certificates often are, and none that is \
                 trusted here; --fetch-cacert FILE names a file with those to trust"
                    .to_owned()
            } else {
                certificate(why)
            };
            format!("the certificate of the server is not accepted: {why}")
        }
        // The first bytes of an answer without TLS are taken for the head of a message.
        Tls::InvalidMessage(_) => "the server does not speak TLS; is the port one of http?".to_owned(),
        Tls::AlertReceived(alert) => match alert {
            AlertDescription::UnrecognisedName => "the server does not know that name".to_owned(),
            AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => {
                "the server wants a version or cipher of TLS that is not used here (1.2 and 1.3 are)"
                    .to_owned()
            }
            AlertDescription::CertificateRequired | AlertDescription::BadCertificate => {
                "the server wants a certificate of the client".to_owned()
            }
            AlertDescription::HandshakeFailure => {
                "the server finds no version, cipher or certificate of TLS that it and this tool both accept"
                    .to_owned()
            }
            AlertDescription::NoCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA => {
                "the server does not accept the certificate of the client".to_owned()
            }
            AlertDescription::AccessDenied => "the server denies access".to_owned(),
            AlertDescription::NoApplicationProtocol => "the server does not speak HTTP over TLS".to_owned(),
            AlertDescription::InternalError => "the server reports an error of its own".to_owned(),
            AlertDescription::UserCanceled => "the server cancelled the connection".to_owned(),
            // The others are about single messages; the number is that of RFC 8446, section 6.
            alert => format!("the server refuses the connection (alert {} of TLS)", u8::from(*alert)),
        },
        Tls::PeerIncompatible(_) => {
            "the server has no version and cipher of TLS that are used here (1.2 and 1.3 are)".to_owned()
        }
        Tls::NoCertificatesPresented => "the server has no certificate".to_owned(),
        Tls::PeerMisbehaved(_)
        | Tls::InappropriateMessage { .. }
        | Tls::InappropriateHandshakeMessage { .. } => {
            format!("the server does not keep to the rules of TLS ({error})")
        }
        Tls::DecryptError => {
            "what the server sent cannot be decrypted: the connection is disturbed".to_owned()
        }
        other => other.to_string(),
    }
}

/// Why a certificate is not accepted.
fn certificate(why: &CertificateError) -> String {
    use CertificateError as Certificate;

    let text = match why {
        Certificate::UnknownIssuer => {
            "it is signed by none that is trusted here; --fetch-cacert FILE names a file with those to trust"
        }
        Certificate::Expired | Certificate::ExpiredContext { .. } => "it has expired",
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => "it is not valid yet",
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
            "it is for servers of other names"
        }
        Certificate::BadSignature => {
            "its signature was not made with the key of the authority that it names; that of --fetch-cacert may be an \
             older one of the same name"
        }
        Certificate::BadEncoding => "it is damaged",
        Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => {
            "it is not one for servers"
        }
        Certificate::UnsupportedSignatureAlgorithmContext { .. }
        | Certificate::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "it is signed in a way that is not supported here, such as with SHA-1"
        }
        // Of a crate that the library does not show.
        Certificate::Other(other) => match other.to_string().as_str() {
            "UnsupportedCriticalExtension" => "it has a condition that is not known here",
            "UnsupportedCertVersion" => "it is of an old version of X.509, and only version 3 is supported",
            other => return format!("it is not as it should be ({other})"),
        },
        other => return format!("it is not as it should be ({other:?})"),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_alert_is_named_as_the_library_has_it() {
        for number in 0..=u8::MAX {
            let alert = AlertDescription::from(number);
            let name = format!("{alert:?}");
            let text = tls(&Tls::AlertReceived(alert));
            assert!(text.starts_with("the server ") && !text.contains(&name), "{number}: {text}");
        }
    }
}
