//! Checks the certificate that a user has issued for a cluster.

use model::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::error::X509Error;
use x509_parser::parse_x509_certificate;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::super::error::CloudHsmError;

/// Why a cluster cannot be initialized with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// `SignedCert` is not one certificate in PEM.
    #[error("The SignedCert is not a certificate in PEM.")]
    SignedCertUnreadable,
    /// `TrustAnchor` is not one certificate in PEM.
    #[error("The TrustAnchor is not a certificate in PEM.")]
    TrustAnchorUnreadable,
    /// The cluster's own request cannot be read: a fault of the service.
    #[error("The certificate signing request of the cluster cannot be read.")]
    RequestUnreadable,
    /// The certificate is for another key.
    #[error("The SignedCert does not match the certificate signing request of the cluster.")]
    OtherKey,
    /// The certificate names another issuer.
    #[error("The issuer of the SignedCert is not the subject of the TrustAnchor.")]
    OtherIssuer,
    /// The anchor says of itself that it is no authority.
    #[error("The TrustAnchor is not the certificate of an authority.")]
    NotAnAuthority,
    /// Signed with an algorithm that is not verified here.
    #[error("The SignedCert is signed with an algorithm that is not supported.")]
    UnsupportedSignature,
    /// The signature is not the anchor's.
    #[error("The SignedCert is not signed by the TrustAnchor.")]
    BadSignature,
    /// The certificate is not valid yet, or no longer.
    #[error("The SignedCert is not valid at this time.")]
    SignedCertNotCurrent,
    /// The anchor is not valid yet, or no longer.
    #[error("The TrustAnchor is not valid at this time.")]
    TrustAnchorNotCurrent,
}

impl From<CertificateFault> for CloudHsmError {
    fn from(fault: CertificateFault) -> Self {
        Self::invalid(fault.to_string())
    }
}

/// Checks that `signed` certifies the key in `csr` and was issued by `anchor`, all in PEM, and that both
/// certificates are valid now. X.509 version 1, as `openssl x509 -req` used to make them, is as good as version 3.
///
/// # Errors
/// The first [`CertificateFault`] met.
pub fn check_cluster_certificate(
    signed: &str,
    anchor: &str,
    csr: &str,
    now: Timestamp,
) -> Result<(), CertificateFault> {
    let signed = der(signed, &["CERTIFICATE"]).ok_or(CertificateFault::SignedCertUnreadable)?;
    let signed = certificate(&signed).ok_or(CertificateFault::SignedCertUnreadable)?;
    let anchor = der(anchor, &["CERTIFICATE"]).ok_or(CertificateFault::TrustAnchorUnreadable)?;
    let anchor = certificate(&anchor).ok_or(CertificateFault::TrustAnchorUnreadable)?;
    check_key(&signed, csr)?;
    check_issuer(&signed, &anchor)?;
    let now = ASN1Time::from_timestamp(now.0.div_euclid(1000));
    let is_current = |it: &X509Certificate<'_>| now.as_ref().is_ok_and(|now| it.validity().is_valid_at(*now));
    if !is_current(&anchor) {
        return Err(CertificateFault::TrustAnchorNotCurrent);
    }
    if !is_current(&signed) {
        return Err(CertificateFault::SignedCertNotCurrent);
    }
    Ok(())
}

fn check_key(signed: &X509Certificate<'_>, csr: &str) -> Result<(), CertificateFault> {
    let labels = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];
    let csr = der(csr, &labels).ok_or(CertificateFault::RequestUnreadable)?;
    let (_, csr) = X509CertificationRequest::from_der(&csr).map_err(|_| CertificateFault::RequestUnreadable)?;
    if signed.public_key().raw != csr.certification_request_info.subject_pki.raw {
        return Err(CertificateFault::OtherKey);
    }
    Ok(())
}

fn check_issuer(signed: &X509Certificate<'_>, anchor: &X509Certificate<'_>) -> Result<(), CertificateFault> {
    if signed.issuer().as_raw() != anchor.subject().as_raw() {
        return Err(CertificateFault::OtherIssuer);
    }
    // A certificate of version 1 does not say whether it is an authority's.
    if matches!(anchor.basic_constraints(), Ok(Some(constraints)) if !constraints.value.ca) {
        return Err(CertificateFault::NotAnAuthority);
    }
    signed.verify_signature(Some(anchor.public_key())).map_err(|error| match error {
        X509Error::SignatureUnsupportedAlgorithm => CertificateFault::UnsupportedSignature,
        _ => CertificateFault::BadSignature,
    })
}

/// The bytes of the first PEM block, if it has one of the labels.
fn der(pem: &str, labels: &[&str]) -> Option<Vec<u8>> {
    let (_, pem) = parse_x509_pem(pem.as_bytes()).ok()?;
    labels.contains(&pem.label.as_str()).then_some(pem.contents)
}

/// A certificate, and nothing behind it.
fn certificate(der: &[u8]) -> Option<X509Certificate<'_>> {
    let (rest, certificate) = parse_x509_certificate(der).ok()?;
    rest.is_empty().then_some(certificate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer, KeyPair,
        PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256, SignatureAlgorithm,
        date_time_ymd,
    };

    use super::*;
    use crate::cloudhsm::certificates::ClusterKey;
    use crate::cloudhsm::words::ClusterMode;

    /// 2026-01-15.
    const NOW: Timestamp = Timestamp(1_768_478_400_127);

    struct Authority {
        key: KeyPair,
        params: CertificateParams,
    }

    impl Authority {
        fn new(name: &str) -> Self {
            Self::with_key(name, &rcgen::PKCS_ECDSA_P256_SHA256)
        }

        fn with_key(name: &str, algorithm: &'static SignatureAlgorithm) -> Self {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Self { key: KeyPair::generate_for(algorithm).unwrap(), params }
        }

        fn pem(&self) -> String {
            self.params.self_signed(&self.key).unwrap().pem()
        }

        fn sign(&self, csr: &str, years: std::ops::Range<i32>) -> String {
            let mut request = CertificateSigningRequestParams::from_pem(csr).unwrap();
            request.params.not_before = date_time_ymd(years.start, 1, 1);
            request.params.not_after = date_time_ymd(years.end, 1, 1);
            request.signed_by(&Issuer::from_params(&self.params, &self.key)).unwrap().pem()
        }
    }

    fn csr() -> String {
        ClusterKey::new("cluster-dygnwhmscg5", ClusterMode::Fips).unwrap().csr_pem
    }

    #[test]
    fn a_certificate_for_the_request_is_taken_whatever_the_authority_signs_with() {
        let csr = csr();
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519, &PKCS_RSA_SHA256] {
            let authority = Authority::with_key("Customer CA", algorithm);
            let signed = authority.sign(&csr, 2025..2035);
            assert_eq!(check_cluster_certificate(&signed, &authority.pem(), &csr, NOW), Ok(()), "{algorithm:?}");
        }
    }

    #[test]
    fn each_fault_is_told_apart() {
        use CertificateFault as F;
        let (csr, authority, stranger) = (csr(), Authority::new("Customer CA"), Authority::new("Customer CA"));
        let (anchor, signed) = (authority.pem(), authority.sign(&csr, 2025..2035));
        let mut no_authority = Authority::new("Customer CA");
        no_authority.params.is_ca = IsCa::ExplicitNoCa;
        let mut past = Authority::new("Customer CA");
        past.params.not_after = date_time_ymd(2020, 1, 1);
        let exotic = Authority::with_key("Customer CA", &PKCS_ECDSA_P521_SHA512);
        let other_csr = self::csr();
        let cases = [
            (csr.clone(), anchor.clone(), csr.clone(), F::SignedCertUnreadable),
            (signed.clone(), "-----BEGIN".to_owned(), csr.clone(), F::TrustAnchorUnreadable),
            (signed.clone(), anchor.clone(), anchor.clone(), F::RequestUnreadable),
            (signed.clone(), anchor.clone(), other_csr, F::OtherKey),
            (signed.clone(), Authority::new("Another CA").pem(), csr.clone(), F::OtherIssuer),
            (no_authority.sign(&csr, 2025..2035), no_authority.pem(), csr.clone(), F::NotAnAuthority),
            (exotic.sign(&csr, 2025..2035), exotic.pem(), csr.clone(), F::UnsupportedSignature),
            (signed.clone(), stranger.pem(), csr.clone(), F::BadSignature),
            (past.sign(&csr, 2025..2035), past.pem(), csr.clone(), F::TrustAnchorNotCurrent),
            (authority.sign(&csr, 2020..2025), anchor.clone(), csr.clone(), F::SignedCertNotCurrent),
            (authority.sign(&csr, 2027..2035), anchor.clone(), csr.clone(), F::SignedCertNotCurrent),
        ];
        for (signed, anchor, csr, fault) in cases {
            assert_eq!(check_cluster_certificate(&signed, &anchor, &csr, NOW), Err(fault));
        }
        let far = check_cluster_certificate(&signed, &anchor, &csr, Timestamp(i64::MAX));
        assert_eq!(far, Err(F::TrustAnchorNotCurrent));
    }

    #[test]
    fn what_users_make_with_openssl_is_taken() {
        let (csr, anchor, signed) =
            (include_str!("testdata/cluster.csr"), include_str!("testdata/ca.pem"), include_str!("testdata/v1.pem"));
        // They are valid from November 2026 to 2095.
        let later = Timestamp(1_800_000_000_000);
        assert_eq!(check_cluster_certificate(signed, anchor, csr, later), Ok(()));
    }

    proptest! {
        #[test]
        fn hostile_certificates_never_panic(bytes: Vec<u8>, at in 0_usize..400, flip in 1_u8..) {
            let anchor = include_str!("testdata/ca.pem");
            let mut damaged = der(anchor, &["CERTIFICATE"]).unwrap();
            let at = at % damaged.len();
            damaged[at] ^= flip;
            for contents in [bytes, damaged] {
                use base64::Engine;
                let text = base64::engine::general_purpose::STANDARD.encode(contents);
                let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
                prop_assert!(check_cluster_certificate(&pem, &pem, include_str!("testdata/cluster.csr"), NOW).is_err());
                prop_assert!(check_cluster_certificate(&text, anchor, &text, NOW).is_err());
            }
        }
    }
}
