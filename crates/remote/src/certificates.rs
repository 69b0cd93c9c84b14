//! Certificates that one side does not accept: another attempt would end in the same way, so there is none, and the
//! words are those of the field, not of the library.

use std::{error::Error, io};

use rustls::{
    AlertDescription, CertificateError, Error as Tls,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tonic::{Code, Status};

/// The reason if a certificate is not signed by a trusted authority.
pub(crate) const UNKNOWN_AUTHORITY: &str = "it is signed by none that is trusted here";

/// The reason if the server requires a certificate of the client, and there is none.
pub(crate) const CERTIFICATE_WANTED: &str = "the server wants a certificate of the client";

/// Whether there are certificates in a text in PEM, and all can be read.
pub(crate) fn are_in(pem: &[u8]) -> bool {
    let mut found = CertificateDer::pem_slice_iter(pem).peekable();
    found.peek().is_some() && found.all(|one| one.is_ok())
}

/// What is wrong with the certificate of a client and its key, both in PEM, in words; `None` if they can be used.
pub(crate) fn unusable(certificate: &[u8], key: &[u8]) -> Option<&'static str> {
    if !are_in(certificate) {
        return Some("the file of the client's certificate has none (--tls-client-cert takes PEM)");
    }
    if PrivateKeyDer::from_pem_slice(key).is_err() {
        return Some("the file of the client's key has none (--tls-client-key takes PEM, and no password)");
    }
    None
}

/// The words for an error about the way a client is to encrypt, if it is about its key.
pub(crate) fn of_keys(error: &(dyn Error + 'static)) -> Option<String> {
    let Tls::InconsistentKeys(_) = error.downcast_ref()? else { return None };
    Some("the key is not that of the client's certificate (--tls-client-key, --tls-client-cert)".to_owned())
}

/// The status for an error below which a certificate was not accepted; `None` for all other errors.
pub(crate) fn refusal(error: &(dyn Error + 'static)) -> Option<Status> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An error of input and output hides the one that it was made of from `source`.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = error.downcast_ref::<Tls>().or_else(|| inner?.downcast_ref());
        let refused = tls.and_then(words).or_else(|| alert_in(&error.to_string()).and_then(words_of_alert));
        if let Some(why) = refused {
            return Some(Status::new(Code::Unauthenticated, why));
        }
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn words(error: &Tls) -> Option<String> {
    Some(match error {
        Tls::InvalidCertificate(why) => {
            format!("the certificate of the server is not accepted: {}", of_server(why))
        }
        Tls::NoCertificatesPresented => "the server has no certificate".to_owned(),
        Tls::AlertReceived(alert) => return words_of_alert(*alert),
        // The others are about single messages, which a disturbed connection may have changed.
        _ => return None,
    })
}

/// The alerts by which a server refuses the certificate of a client, or asks for one (RFC 8446, 6.2).
const ALERTS: [AlertDescription; 8] = [
    AlertDescription::CertificateRequired,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateRevoked,
    AlertDescription::UnknownCA,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::BadCertificate,
    AlertDescription::CertificateUnknown,
    AlertDescription::NoCertificate,
];

fn words_of_alert(alert: AlertDescription) -> Option<String> {
    let text = match alert {
        AlertDescription::CertificateRequired => CERTIFICATE_WANTED,
        alert if ALERTS.contains(&alert) => "the server does not accept the certificate of the client",
        _ => return None,
    };
    Some(text.to_owned())
}

/// The alert about a certificate that a text of the library ends with: HTTP/2 keeps no more than the text of an alert
/// that comes after the handshake, as all do in TLS 1.3.
fn alert_in(text: &str) -> Option<AlertDescription> {
    ALERTS.into_iter().find(|alert| text.ends_with(&Tls::AlertReceived(*alert).to_string()))
}

fn of_server(why: &CertificateError) -> String {
    use CertificateError as Certificate;

    let text = match why {
        Certificate::UnknownIssuer => UNKNOWN_AUTHORITY,
        Certificate::Expired | Certificate::ExpiredContext { .. } => "it has expired",
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => "it is not valid yet",
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
            "it is for servers of other names"
        }
        Certificate::BadSignature => {
            "its signature was not made with the key of the authority that it names; that of --tls-ca-cert may be an \
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
            "CaUsedAsEndEntity" => "it is one of a certification authority, and none that is trusted here",
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

    fn refused(error: &(dyn Error + 'static)) -> Option<String> {
        refusal(error).map(|status| status.message().to_owned())
    }

    #[test]
    fn alerts_are_known_whether_they_come_as_errors_or_as_texts() {
        let wanted = Tls::AlertReceived(AlertDescription::CertificateRequired);
        assert_eq!(refused(&wanted).as_deref(), Some(CERTIFICATE_WANTED));
        assert_eq!(refused(&io::Error::other(wanted.clone())).as_deref(), Some(CERTIFICATE_WANTED));
        // As HTTP/2 passes it on.
        assert_eq!(refused(&io::Error::other(wanted.to_string())).as_deref(), Some(CERTIFICATE_WANTED));
        let revoked = Tls::AlertReceived(AlertDescription::CertificateRevoked);
        let words = "the server does not accept the certificate of the client";
        assert_eq!(refused(&io::Error::other(revoked.to_string())).as_deref(), Some(words));
    }

    #[test]
    fn an_alert_about_a_message_may_be_the_fault_of_the_connection() {
        let disturbed = Tls::AlertReceived(AlertDescription::BadRecordMac);
        assert_eq!(refused(&disturbed), None);
        assert_eq!(refused(&io::Error::other(disturbed.to_string())), None);
    }
}
