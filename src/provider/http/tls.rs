//! TLS for all clients: rustls with ring, the system's root certificates, and Mozilla's bundled ones where the system has none.
//!
//! reqwest's own default verifies with the platform and fails to build a client where no certificate files are installed, as in
//! an image made from scratch; a workflow runner lives in just such images. Reading the roots costs milliseconds, so it happens
//! once a process, and only when some URL is https.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// Which servers a client will meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peers {
    /// Any on the internet: the roots are needed.
    Public,
    /// None over TLS: the base URL is `http` on this machine.
    Plain,
}

/// Returns the TLS configuration, offering HTTP/1.1 by not negotiating anything else.
pub(crate) fn config(peers: Peers) -> ClientConfig {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = match peers {
        Peers::Plain => Arc::new(RootCertStore::empty()),
        Peers::Public => {
            Arc::clone(ROOTS.get_or_init(|| Arc::new(roots(rustls_native_certs::load_native_certs().certs))))
        }
    };
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Returns a store of these certificates, or of the bundled ones where none of these is usable.
fn roots(found: Vec<rustls::pki_types::CertificateDer<'static>>) -> RootCertStore {
    let mut store = RootCertStore::empty();
    let (usable, _) = store.add_parsable_certificates(found);
    if usable == 0 {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    store
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_system_has_no_roots_the_bundled_ones_stand_in() {
        assert_eq!(roots(Vec::new()).len(), webpki_roots::TLS_SERVER_ROOTS.len());
        assert_eq!(roots(vec![vec![1, 2, 3].into()]).len(), webpki_roots::TLS_SERVER_ROOTS.len());
    }
}
