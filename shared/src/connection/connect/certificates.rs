//! The files that TLS needs: whom we trust, and who we are.
//!
//! Read when an endpoint is parsed, and again when a connection is refused. Must not show a key.

use std::path::Path;

use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};

use super::error::EndpointError;
use super::options::RedisOptions;

/// What the files held.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Certificates {
    /// The authorities that we trust instead of the system's.
    authorities: Option<Vec<u8>>,
    /// Our certificate and its key.
    client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Certificates {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn read(info: &ConnectionInfo, options: &RedisOptions) -> Result<Self, EndpointError> {
        let is_tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        if options.ca_file.is_some() && !is_tls {
            return Err(EndpointError::CaFileWithoutTls);
        }
        let of_ca = |path: &Path, what: String| EndpointError::CaFile { path: path.to_path_buf(), what };
        let of_client =
            |path: &Path, what: String| EndpointError::ClientCertificate { path: path.to_path_buf(), what };
        let authorities = match &options.ca_file {
            Some(path) => Some(
                pem(path, "CERTIFICATE", "the authority's certificate").map_err(|what| of_ca(path, what))?,
            ),
            None => None,
        };
        let client = match (&options.cert_file, &options.key_file) {
            (None, None) => None,
            _ if !is_tls => return Err(EndpointError::ClientCertificateWithoutTls),
            (Some(certificate), Some(key)) => Some((
                pem(certificate, "CERTIFICATE", "our own certificate")
                    .map_err(|what| of_client(certificate, what))?,
                pem(key, "PRIVATE KEY", "the certificate's key").map_err(|what| of_client(key, what))?,
            )),
            _ => return Err(EndpointError::HalfAClientCertificate),
        };
        Ok(Self { authorities, client })
    }

    /// The same address, which is spoken to with these.
    pub(super) fn put_into(
        &self,
        info: ConnectionInfo,
        options: &RedisOptions,
    ) -> Result<ConnectionInfo, EndpointError> {
        if self.is_empty() {
            return Ok(info);
        }
        let client_tls = self.client.as_ref().map(|(certificate, key)| ClientTlsConfig {
            client_cert: certificate.clone(),
            client_key: key.clone(),
        });
        let certificates = TlsCertificates { client_tls, root_cert: self.authorities.clone() };
        let path = options.cert_file.as_ref().or(options.ca_file.as_ref()).cloned().unwrap_or_default();
        let client = Client::build_with_tls(info, certificates).map_err(|error| match &self.client {
            Some(_) => EndpointError::ClientCertificate { path, what: error.to_string() },
            None => EndpointError::CaFile { path, what: error.to_string() },
        })?;
        Ok(client.get_connection_info().clone())
    }
}

fn pem(path: &Path, label: &str, what: &str) -> Result<Vec<u8>, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let has_label = String::from_utf8_lossy(&bytes)
        .lines()
        .any(|line| line.starts_with("-----BEGIN ") && line.ends_with(&format!("{label}-----")));
    if has_label {
        Ok(bytes)
    } else {
        Err(format!("no {} in it; it is a PEM file with {what}", label.to_lowercase()))
    }
}
