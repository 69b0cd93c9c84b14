//! Plain words for what the libraries for HTTP and TLS report.
//!
//! Their own texts are names of types and fields. A message about a failed download has to show which side has to change
//! something.

use std::{io, time::Duration};

use rustls::{AlertDescription, CertificateError, Error as Tls};
use taut_sys::in_words;
use ureq::Timeout;

use crate::{Cause, Options, tls::is_of_authority};

/// Why there was no answer to a request.
pub(crate) fn no_answer(error: &ureq::Error, options: &Options) -> Cause {
    use ureq::Error;

    match error {
        Error::BadUri(why) => match why.strip_prefix("unknown scheme: ") {
            // The scheme of the request was checked before (`place`): this is that of a redirection.
            Some(scheme) => Cause::Protocol(format!(
                "the server redirects to a URL of the scheme {scheme}, which is not supported"
            )),
            None => Cause::Url(format!("it is no URL: {why}")),
        },
        Error::Http(why) => Cause::Url(format!("it is no URL: {why}")),
        Error::InvalidProxyUrl => {
            Cause::Url("the proxy that the environment names has no valid URL".to_owned())
        }
        Error::Tls(why) => Cause::Tls((*why).to_owned()),
        Error::HostNotFound => Cause::UnknownHost("there is no server of that name".to_owned()),
        Error::Io(error) => match of_tls(error) {
            // The library reports failures of TLS as failures of the connection below.
            Some(error) => Cause::Tls(tls(error)),
            // Of the resolver, which has no other number for it. A server of names that does not answer is another case.
            None if error.to_string().contains("Name or service not known") => {
                Cause::UnknownHost("there is no server of that name".to_owned())
            }
            None => Cause::Connection(stream(error, options)),
        },
        Error::Timeout(which) => Cause::Connection(timeout(*which, options)),
        Error::ConnectionFailed => Cause::Connection("no connection to the server could be made".to_owned()),
        Error::ConnectProxyFailed(why) => {
            Cause::Connection(format!("the proxy makes no connection to the server: {why}"))
        }
        Error::BodyStalled => Cause::Connection("the server sends nothing any more".to_owned()),
        Error::TooManyRedirects => Cause::Protocol("the server redirects without end".to_owned()),
        Error::RedirectFailed => Cause::Protocol("a redirection of the server leads nowhere".to_owned()),
        Error::LargeResponseHeader(size, limit) => Cause::Protocol(format!(
            "the header of the server's answer has {size} bytes, more than the limit of {limit}"
        )),
        Error::Protocol(why) => Cause::Protocol(match why.to_string() {
            why if why.starts_with("http parse fail") => {
                "the server's answer is not HTTP; is the port that of another service, or does it want https?"
                    .to_owned()
            }
            why if why == "http parse resulted in too many headers" => {
                "the server's answer has more lines in its header than are accepted".to_owned()
            }
            why => format!("the server's answer is not as HTTP wants it: {why}"),
        }),
        other => Cause::Protocol(other.to_string()),
    }
}

/// Why a connection ended, or could not be made.
pub(crate) fn stream(error: &io::Error, options: &Options) -> String {
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
        Timeout::Resolve => "the server of names does not answer".to_owned(),
        _ => format!("nothing came for {}", seconds(options.stall_timeout)),
    }
}

/// What TLS reports through a stream.
fn of_tls(error: &io::Error) -> Option<&Tls> {
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
        Certificate::Revoked => "it was revoked",
        Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => {
            "it is not one for servers"
        }
        Certificate::UnhandledCriticalExtension => "it has a condition that is not known here",
        Certificate::UnsupportedSignatureAlgorithmContext { .. }
        | Certificate::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "it is signed in a way that is not supported here, such as with SHA-1"
        }
        Certificate::Other(other) => return format!("it is not as it should be ({other})"),
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
