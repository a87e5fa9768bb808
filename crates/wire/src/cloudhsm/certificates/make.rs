//! Makes keys, signing requests, and the certificates that stand for the hardware.

use std::time::Duration;

use model::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use zeroize::Zeroizing;

use super::super::words::ClusterMode;

/// A certificate begins to be valid this long before it is made, for those whose clock is behind.
const BACKDATED_BY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the certificates of the hardware are valid: longer than any cluster lives.
const VALID_FOR: Duration = Duration::from_secs(20 * 365 * 24 * 60 * 60);

/// 9999-12-31T23:59:59Z, the last moment that a certificate can name.
const LAST_SECOND: i64 = 253_402_300_799;

/// A key or certificate that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action}")]
pub struct CertificateError {
    /// What was being done, as a verb phrase.
    pub action: &'static str,
    #[source]
    source: rcgen::Error,
}

fn failed(action: &'static str) -> impl Fn(rcgen::Error) -> CertificateError {
    move |source| CertificateError { action, source }
}

/// The key of a cluster.
pub struct ClusterKey {
    /// The private key, PKCS #8 in PEM.
    pub key_pem: Zeroizing<String>,
    /// The request to certify the public key, PKCS #10 in PEM: `ClusterCsr`.
    pub csr_pem: String,
}

impl ClusterKey {
    /// Makes a key on the curve P-256 for a new cluster, and a request that names the cluster and its mode.
    ///
    /// # Errors
    /// When the cryptographic library fails, which is a bug or a want of randomness.
    pub fn new(cluster_id: &str, mode: ClusterMode) -> Result<Self, CertificateError> {
        Self::request(&KeyPair::generate().map_err(failed("make the key of a cluster"))?, cluster_id, mode)
    }

    /// The same for a key that was made here before: its request is for the same public key.
    ///
    /// # Errors
    /// When the text is no key.
    pub fn of_pem(key_pem: &str, cluster_id: &str, mode: ClusterMode) -> Result<Self, CertificateError> {
        Self::request(&KeyPair::from_pem(key_pem).map_err(failed("read the key of a cluster"))?, cluster_id, mode)
    }

    fn request(key: &KeyPair, cluster_id: &str, mode: ClusterMode) -> Result<Self, CertificateError> {
        let mode = match mode {
            ClusterMode::Fips => "FIPS",
            ClusterMode::NonFips => "NON-FIPS",
        };
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&[
            (DnType::CountryName, "US"),
            (DnType::StateOrProvinceName, "CA"),
            (DnType::LocalityName, "SanJose"),
            (DnType::OrganizationName, "Marvell"),
            (DnType::OrganizationalUnitName, "LiquidSecurity"),
            (DnType::CommonName, &format!("HSM:{cluster_id}:PARTN:1, for {mode} mode")),
        ]);
        let csr = params.serialize_request(key).and_then(|csr| csr.pem());
        let csr_pem = csr.map_err(failed("make the signing request of a cluster"))?;
        Ok(Self { key_pem: Zeroizing::new(key.serialize_pem()), csr_pem })
    }
}

impl std::fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterKey").field("csr_pem", &self.csr_pem).finish_non_exhaustive()
    }
}

/// What certifies the HSMs of a deployment. Made once, and kept.
///
/// There is no hardware, and no vendor that vouches for it: both certificates are signed by the deployment's own
/// key. They have the same subject and key, so that what [`Self::certify`] makes is verified by either.
pub struct Hardware {
    /// The private key, PKCS #8 in PEM.
    pub key_pem: Zeroizing<String>,
    /// `AwsHardwareCertificate`, in PEM.
    pub aws_certificate_pem: String,
    /// `ManufacturerHardwareCertificate`, in PEM.
    pub manufacturer_certificate_pem: String,
}

impl Hardware {
    /// Makes a key and its two certificates.
    ///
    /// # Errors
    /// When the cryptographic library fails, which is a bug or a want of randomness.
    pub fn new(now: Timestamp) -> Result<Self, CertificateError> {
        let key = KeyPair::generate().map_err(failed("make the key of the hardware"))?;
        let certificate = |serial: u64| {
            let certificate = hardware_params(now, serial).self_signed(&key);
            certificate.map(|certificate| certificate.pem()).map_err(failed("certify the hardware"))
        };
        Ok(Self {
            aws_certificate_pem: certificate(1)?,
            manufacturer_certificate_pem: certificate(2)?,
            key_pem: Zeroizing::new(key.serialize_pem()),
        })
    }

    /// Certifies the key in a cluster's signing request: `HsmCertificate`, in PEM.
    ///
    /// # Errors
    /// When a text is not what was made here.
    pub fn certify(&self, csr_pem: &str, now: Timestamp) -> Result<String, CertificateError> {
        let key = KeyPair::from_pem(&self.key_pem).map_err(failed("read the key of the hardware"))?;
        let issuer = Issuer::from_ca_cert_pem(&self.aws_certificate_pem, key);
        let issuer = issuer.map_err(failed("read the certificate of the hardware"))?;
        let request = CertificateSigningRequestParams::from_pem(csr_pem);
        let mut request = request.map_err(failed("read the signing request of a cluster"))?;
        limit(&mut request.params, now);
        request.params.use_authority_key_identifier_extension = true;
        let certificate = request.signed_by(&issuer).map_err(failed("certify an HSM"))?;
        Ok(certificate.pem())
    }
}

impl std::fmt::Debug for Hardware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hardware").finish_non_exhaustive()
    }
}

fn hardware_params(now: Timestamp, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(&[
        (DnType::OrganizationName, "offsite"),
        (DnType::OrganizationalUnitName, "HSM"),
        (DnType::CommonName, "Hardware of this deployment"),
    ]);
    params.serial_number = Some(serial.into());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    limit(&mut params, now);
    params
}

fn limit(params: &mut CertificateParams, now: Timestamp) {
    let second = |after: i64| {
        let second = now.0.div_euclid(1000).saturating_add(after).clamp(0, LAST_SECOND);
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(second.unsigned_abs())
    };
    params.not_before = second(-seconds(BACKDATED_BY));
    params.not_after = second(seconds(VALID_FOR));
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn name(parts: &[(DnType, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (part, text) in parts {
        name.push(part.clone(), *text);
    }
    name
}

#[cfg(test)]
mod tests {
    use x509_parser::parse_x509_certificate;
    use x509_parser::prelude::{FromDer, X509CertificationRequest, parse_x509_pem};

    use super::*;

    const NOW: Timestamp = Timestamp(1_768_478_400_127);

    fn der(pem: &str) -> Vec<u8> {
        parse_x509_pem(pem.as_bytes()).unwrap().1.contents
    }

    #[test]
    fn a_request_names_its_cluster_and_is_signed_by_its_key() {
        let cluster = ClusterKey::new("cluster-dygnwhmscg5", ClusterMode::Fips).unwrap();
        assert!(cluster.csr_pem.starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
        let request = der(&cluster.csr_pem);
        let (_, request) = X509CertificationRequest::from_der(&request).unwrap();
        request.verify_signature().unwrap();
        assert_eq!(
            request.certification_request_info.subject.to_string(),
            "C=US, ST=CA, L=SanJose, O=Marvell, OU=LiquidSecurity, CN=HSM:cluster-dygnwhmscg5:PARTN:1, for FIPS mode"
        );
        assert!(!format!("{cluster:?}").contains("PRIVATE"));
    }

    #[test]
    fn a_key_that_was_kept_asks_for_the_same_again() {
        let subject_key = |csr: &str| {
            let request = der(csr);
            let (_, request) = X509CertificationRequest::from_der(&request).unwrap();
            request.certification_request_info.subject_pki.raw.to_vec()
        };
        let first = ClusterKey::new("cluster-dygnwhmscg5", ClusterMode::Fips).unwrap();
        let again = ClusterKey::of_pem(&first.key_pem, "cluster-dygnwhmscg5", ClusterMode::Fips).unwrap();
        assert_eq!(subject_key(&first.csr_pem), subject_key(&again.csr_pem));
        assert!(ClusterKey::of_pem("nonsense", "cluster-dygnwhmscg5", ClusterMode::Fips).is_err());
    }

    #[test]
    fn the_hardware_certifies_the_key_of_the_request() {
        let cluster = ClusterKey::new("cluster-dygnwhmscg5", ClusterMode::NonFips).unwrap();
        let hardware = Hardware::new(NOW).unwrap();
        let certified = der(&hardware.certify(&cluster.csr_pem, NOW).unwrap());
        let (_, certified) = parse_x509_certificate(&certified).unwrap();
        for root in [&hardware.aws_certificate_pem, &hardware.manufacturer_certificate_pem] {
            let root = der(root);
            let (_, root) = parse_x509_certificate(&root).unwrap();
            root.verify_signature(None).unwrap();
            certified.verify_signature(Some(root.public_key())).unwrap();
            assert_eq!(certified.issuer(), root.subject());
            assert!(root.is_ca());
        }
        let request = der(&cluster.csr_pem);
        let (_, request) = X509CertificationRequest::from_der(&request).unwrap();
        assert_eq!(certified.public_key().raw, request.certification_request_info.subject_pki.raw);
        assert_ne!(hardware.aws_certificate_pem, hardware.manufacturer_certificate_pem);
    }

    #[test]
    fn any_time_can_be_told() {
        for now in [i64::MIN, -1, 0, i64::MAX] {
            assert!(Hardware::new(Timestamp(now)).is_ok(), "{now}");
        }
    }

    #[test]
    fn what_was_not_made_here_is_not_certified() {
        let hardware = Hardware::new(NOW).unwrap();
        let error = hardware.certify("nonsense", NOW).unwrap_err();
        assert_eq!(error.to_string(), "failed to read the signing request of a cluster");
    }
}
