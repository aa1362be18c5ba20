//! TLS for both sides: what venues and issuers are checked against, and the certificate that listeners show.
//!
//! Nothing here turns verification off, and nothing else in the crate makes a TLS configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use simple_asn1::ASN1Block;

/// Why TLS cannot be set up. Names files, never their content.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path} cannot be read ({}); check the path and its rights", super::io_words(*kind))]
    Unreadable { path: PathBuf, kind: std::io::ErrorKind },
    #[error("{0} cannot be read as PEM certificates; is it the right file?")]
    Certificates(PathBuf),
    #[error("{0} holds no certificate (-----BEGIN CERTIFICATE-----)")]
    NoCertificate(PathBuf),
    #[error("{0} holds a certificate that cannot be used as a root")]
    Root(PathBuf),
    #[error("{0} cannot be read as a private key in PEM; is it the right file?")]
    Key(PathBuf),
    #[error("the key {key} does not belong to the certificate {cert}, or is of a kind not supported")]
    Mismatch { cert: PathBuf, key: PathBuf },
}

/// What other servers are checked against: the system's roots, and those in `ca_file`. Call after
/// [`install_crypto`](super::install_crypto).
///
/// # Errors
/// `ca_file` gives no usable root.
pub fn client_tls(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        tracing::warn!("the system has no certificate roots; encrypted addresses cannot be reached without upstream.ca_file");
    }
    if let Some(file) = ca_file {
        for root in certificates(file)? {
            roots.add(root).map_err(|_| TlsError::Root(file.to_path_buf()))?;
        }
    }
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

/// What our own listener is checked against, asked on this machine, where its certificate's names do not help: it must show the very
/// certificate that stands first in `cert_file`, and hold its key. Neither names nor dates are looked at. Call after
/// [`install_crypto`](super::install_crypto).
///
/// # Errors
/// The file gives no certificate.
pub fn own_tls(cert_file: &Path) -> Result<Arc<ClientConfig>, TlsError> {
    let leaf = certificates(cert_file)?.swap_remove(0);
    let provider = CryptoProvider::get_default().expect("the process's cryptography is installed first");
    let own = Own { leaf, algorithms: provider.signature_verification_algorithms };
    let config = ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::new(own));
    Ok(Arc::new(config.with_no_client_auth()))
}

/// One certificate and no other.
#[derive(Debug)]
struct Own {
    leaf: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Own {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *shown == self.leaf { Ok(ServerCertVerified::assertion()) } else { Err(CertificateError::UnknownIssuer.into()) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What a listener shows: a chain with the leaf first, and its key, both PEM. Call after [`install_crypto`](super::install_crypto).
///
/// # Errors
/// A file is unreadable or no PEM, or the two do not belong together.
pub fn server_tls(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(cert)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(error, key, TlsError::Key))?;
    let mismatch = |_| TlsError::Mismatch { cert: cert.to_path_buf(), key: key.to_path_buf() };
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, private).map_err(mismatch)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| unreadable(error, file, TlsError::Certificates))?;
    if found.is_empty() { Err(TlsError::NoCertificate(file.to_path_buf())) } else { Ok(found) }
}

/// A file that is not there or not ours to read is told apart from one with something else in it.
fn unreadable(error: pem::Error, file: &Path, otherwise: fn(PathBuf) -> TlsError) -> TlsError {
    match error {
        pem::Error::Io(error) => TlsError::Unreadable { path: file.to_path_buf(), kind: error.kind() },
        _ => otherwise(file.to_path_buf()),
    }
}

/// When the first certificate of a chain ends, in seconds since 1970. `None`: it is not read as one.
pub fn not_after(cert: &Path) -> Option<i64> {
    let list = |block| if let ASN1Block::Sequence(_, list) = block { Some(list) } else { None };
    let unix = |block: &ASN1Block| match block {
        ASN1Block::UTCTime(_, at) | ASN1Block::GeneralizedTime(_, at) => Some(at.assume_utc().unix_timestamp()),
        _ => None,
    };
    let leaf = certificates(cert).ok()?.into_iter().next()?;
    let certificate = list(simple_asn1::from_der(&leaf).ok()?.into_iter().next()?)?;
    // RFC 5280, 4.1: of the parts that are signed, the validity alone is a sequence of two times.
    let signed = list(certificate.into_iter().next()?)?;
    signed.into_iter().filter_map(list).find_map(|part| match part.iter().map(unix).collect::<Vec<_>>()[..] {
        [Some(_), Some(not_after)] => Some(not_after),
        _ => None,
    })
}
