//! Credentials of a profile, in the two files that AWS's tools share: a key, a role that is assumed with another profile's, a
//! program that tells them.
//!
//! They are looked up anew every few minutes: other tools write new ones into the files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use object_store::aws::{AwsCredential, AwsCredentialProvider};
use object_store::{CredentialProvider, Error};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::REGION_DEFAULT;

/// How long credentials are used before they are looked up again.
const KEPT: Duration = Duration::from_secs(5 * 60);

/// A program or a service that takes longer to tell them does not answer.
const LOOK_MAX: Duration = Duration::from_secs(30);

/// After a look that was in vain, what was found before is used for so long without another.
const LOOKED_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Those that expire are used no longer than until so long before.
const MARGIN: Duration = Duration::from_secs(60);

/// Where an environment says that profiles are, and which is meant.
#[derive(Debug)]
pub(super) struct ProfileChoice {
    name: Option<String>,
    files: Vec<(EnvConfigFileKind, PathBuf)>,
    region: String,
}

impl ProfileChoice {
    /// `None` where no profile is named and there are no files.
    pub(super) fn of(environment: &[(String, String)], region: Option<&str>) -> Option<Self> {
        let value = |wanted: &str| environment.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let file = |kind, variable, usual| {
            let home = || value("HOME").map(|home| Path::new(home).join(usual));
            let path = value(variable).map(PathBuf::from).or_else(home)?;
            path.is_file().then_some((kind, path))
        };
        let files: Vec<_> = [
            file(EnvConfigFileKind::Config, "AWS_CONFIG_FILE", ".aws/config"),
            file(EnvConfigFileKind::Credentials, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let name = value("AWS_PROFILE").filter(|name| !name.is_empty()).map(str::to_owned);
        let region = region.unwrap_or(REGION_DEFAULT).to_owned();
        (name.is_some() || !files.is_empty()).then_some(Self { name, files, region })
    }

    async fn look_up(&self) -> Result<Credentials, CredentialsError> {
        if self.files.is_empty() {
            return Err(CredentialsError::not_loaded("there is no file with profiles"));
        }
        let files =
            self.files.iter().fold(EnvConfigFiles::builder(), |files, (kind, path)| files.with_file(*kind, path));
        let config = ProviderConfig::default().with_region(Some(aws_config::Region::new(self.region.clone())));
        let profile = ProfileFileCredentialsProvider::builder().configure(&config).profile_files(files.build());
        // Never the one that the process's own environment names.
        let profile = profile.profile_name(self.name.as_deref().unwrap_or("default")).build();
        let looked_up = tokio::time::timeout(LOOK_MAX, profile.provide_credentials()).await;
        looked_up.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(LOOK_MAX)))
    }

    /// Whether the files may be without credentials: only those that are named have to be there.
    fn may_have_none(&self, error: &CredentialsError) -> bool {
        matches!(error, CredentialsError::CredentialsNotLoaded(_)) && self.name.is_none()
    }
}

/// A profile's credentials, or else those of `otherwise`: where no profile is named, the files need not have any.
pub(super) struct Profile {
    choice: ProfileChoice,
    otherwise: AwsCredentialProvider,
    found: Mutex<Option<Found>>,
}

/// What was found when it was looked last: `None` where the files have none.
struct Found {
    credential: Option<Arc<AwsCredential>>,
    /// When it is looked up again.
    until: Instant,
    /// When it is of no use any more, if it ever is.
    end: Option<Instant>,
}

impl Profile {
    pub(super) fn new(choice: ProfileChoice, otherwise: AwsCredentialProvider) -> Self {
        Self { choice, otherwise, found: Mutex::default() }
    }

    /// What is found now, or was before and is still of use.
    async fn look(&self) -> object_store::Result<Option<Arc<AwsCredential>>> {
        // Whoever else asks meanwhile waits for the same answer.
        let mut found = self.found.lock().await;
        let now = Instant::now();
        if let Some(found) = found.as_ref().filter(|found| now < found.until) {
            return Ok(found.credential.clone());
        }
        let new = match self.choice.look_up().await {
            Ok(looked_up) => Found::of(&looked_up, Instant::now()),
            Err(error) if self.choice.may_have_none(&error) => Found { credential: None, until: now + KEPT, end: None },
            Err(error) => {
                let before = found.as_mut().filter(|found| found.end.is_none_or(|end| now < end));
                let before = before.ok_or_else(|| fault(error))?;
                // Each look may take long, and all wait for it.
                before.until = Instant::now() + LOOKED_AGAIN_AFTER;
                return Ok(before.credential.clone());
            }
        };
        Ok(found.insert(new).credential.clone())
    }
}

impl Found {
    fn of(credentials: &Credentials, now: Instant) -> Self {
        let credential = AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
        };
        // What is still to come has elapsed less than nothing, by so much.
        let left = |end: SystemTime| end.elapsed().map_or_else(|ahead| ahead.duration(), |_| Duration::ZERO);
        let left = credentials.expiry().map(left);
        let kept = left.map_or(KEPT, |left| left.saturating_sub(MARGIN).min(KEPT));
        Self { credential: Some(Arc::new(credential)), until: now + kept, end: left.map(|left| now + left) }
    }
}

/// What cannot be told just now may be told later; what is said wrongly in the files stays wrong.
fn fault(error: CredentialsError) -> Error {
    match error {
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => {
            Error::Unauthenticated { path: "AWS".to_owned(), source: error.into() }
        }
        error => Error::Generic { store: "AWS profile", source: error.into() },
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({:?})", self.choice)
    }
}

#[async_trait]
impl CredentialProvider for Profile {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        match self.look().await? {
            Some(found) => Ok(found),
            None => self.otherwise.get_credential().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};
    use std::thread::JoinHandle;
    use std::time::UNIX_EPOCH;

    use super::super::credentials::credentials;
    use super::*;

    fn environment(folder: &tempfile::TempDir, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let home = ("HOME", folder.path().to_str().unwrap());
        more.iter().chain([&home]).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// A home with two profiles.
    fn home() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".aws")).unwrap();
        let keys = "[default]\naws_access_key_id = usual\naws_secret_access_key = secret\n";
        std::fs::write(folder.path().join(".aws/credentials"), keys).unwrap();
        let told = r#"{"Version": 1, "AccessKeyId": "told", "SecretAccessKey": "secret", "SessionToken": "token"}"#;
        let config = format!("[profile backup]\ncredential_process = echo '{told}'\n");
        std::fs::write(folder.path().join(".aws/config"), config).unwrap();
        folder
    }

    async fn found(environment: Vec<(String, String)>) -> Result<(String, Option<String>), object_store::Error> {
        let found = credentials(environment, None).unwrap().get_credential().await?;
        Ok((found.key_id.clone(), found.token.clone()))
    }

    #[tokio::test]
    async fn a_profile_is_the_one_that_is_named_or_the_usual_one() {
        let home = home();
        assert_eq!(found(environment(&home, &[])).await.unwrap(), ("usual".to_owned(), None));
        let named = environment(&home, &[("AWS_PROFILE", "backup")]);
        assert_eq!(found(named).await.unwrap(), ("told".to_owned(), Some("token".to_owned())));
        let elsewhere = home.path().join(".aws/credentials");
        let set = [("AWS_SHARED_CREDENTIALS_FILE", elsewhere.to_str().unwrap()), ("HOME", "/nowhere")];
        assert_eq!(found(environment(&home, &set)).await.unwrap().0, "usual");
    }

    #[tokio::test]
    async fn a_key_in_the_environment_comes_first() {
        let key = [("AWS_ACCESS_KEY_ID", "given"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_PROFILE", "backup")];
        assert_eq!(found(environment(&home(), &key)).await.unwrap().0, "given");
    }

    #[tokio::test]
    async fn a_profile_that_is_named_has_to_be_there() {
        for folder in [home(), tempfile::tempdir().unwrap()] {
            let error = found(environment(&folder, &[("AWS_PROFILE", "lost")])).await.unwrap_err();
            assert!(matches!(error, object_store::Error::Unauthenticated { .. }), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_program_that_fails_may_succeed_later() {
        let home = home();
        let told = r#"{"Version": 1, "AccessKeyId": "told", "SecretAccessKey": "secret"}"#;
        let flag = home.path().join("flag");
        let program = format!("[profile backup]\ncredential_process = sh -c \"cat {}\"\n", flag.display());
        std::fs::write(home.path().join(".aws/config"), program).unwrap();
        let provider = credentials(environment(&home, &[("AWS_PROFILE", "backup")]), None).unwrap();
        let error = provider.get_credential().await.unwrap_err();
        assert!(matches!(error, Error::Generic { .. }), "{error:?}");
        std::fs::write(flag, told).unwrap();
        assert_eq!(provider.get_credential().await.unwrap().key_id, "told");
    }

    #[tokio::test]
    async fn what_was_found_before_is_used_for_a_while_after_a_look_in_vain() {
        let home = home();
        let looks = home.path().join("looks");
        let program =
            format!("[profile backup]\ncredential_process = sh -c \"echo look >> {}; exit 1\"\n", looks.display());
        std::fs::write(home.path().join(".aws/config"), program).unwrap();
        let choice = ProfileChoice::of(&environment(&home, &[("AWS_PROFILE", "backup")]), None).unwrap();
        let otherwise = credentials(environment(&home, &[]), None).unwrap();
        let profile = Profile::new(choice, otherwise);
        let before = Found::of(&Credentials::new("before", "secret", None, None, "test"), Instant::now());
        *profile.found.lock().await = Some(Found { until: Instant::now(), ..before });
        for _ in 0..3 {
            assert_eq!(profile.get_credential().await.unwrap().key_id, "before");
        }
        assert_eq!(std::fs::read_to_string(looks).unwrap(), "look\n");
    }

    /// A service that hands out the credentials of one role, once, and tells how it was asked.
    fn token_service() -> (SocketAddr, JoinHandle<String>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let answer = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>assumed</AccessKeyId>\
                      <SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>\
                      <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";
        let service = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut asked = String::new();
            let mut lines = BufReader::new(connection.try_clone().unwrap());
            while !asked.ends_with("\r\n\r\n") {
                lines.read_line(&mut asked).unwrap();
            }
            let head = asked.to_lowercase();
            let bytes = head.split_once("content-length: ").unwrap().1.lines().next().unwrap().parse().unwrap();
            let mut body = vec![0; bytes];
            lines.read_exact(&mut body).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n", answer.len());
            connection.write_all((head + answer).as_bytes()).unwrap();
            asked + std::str::from_utf8(&body).unwrap()
        });
        (address, service)
    }

    #[tokio::test]
    async fn a_role_is_assumed_with_the_credentials_of_another_profile() {
        let (home, (address, service)) = (home(), token_service());
        let role = format!(
            "[profile backup]\nrole_arn = arn:aws:iam::123456789012:role/backup\nsource_profile = default\n\
             endpoint_url = http://{address}\n"
        );
        std::fs::write(home.path().join(".aws/config"), role).unwrap();
        let named = environment(&home, &[("AWS_PROFILE", "backup")]);
        assert_eq!(found(named).await.unwrap(), ("assumed".to_owned(), Some("token".to_owned())));
        let asked = service.join().unwrap();
        assert!(asked.contains("Action=AssumeRole&") && asked.contains("role%2Fbackup"), "{asked}");
        assert!(asked.contains("Credential=usual/"), "{asked}");
    }

    #[test]
    fn what_expires_is_looked_up_before_and_used_until_then() {
        let now = Instant::now();
        let expiring = |seconds| {
            let end = UNIX_EPOCH + UNIX_EPOCH.elapsed().unwrap() + Duration::from_secs(seconds);
            Found::of(&Credentials::new("id", "secret", None, Some(end), "test"), now)
        };
        let soon = expiring(90);
        assert!(soon.until <= now + Duration::from_secs(30) && soon.until > now);
        assert!(
            soon.end.unwrap() <= now + Duration::from_secs(90) && soon.end.unwrap() > now + Duration::from_secs(80)
        );
        assert_eq!(expiring(3600).until, now + KEPT);
        assert!(expiring(10).until <= now, "it is looked up at once");
        let lasting = Found::of(&Credentials::new("id", "secret", None, None, "test"), now);
        assert_eq!((lasting.until, lasting.end), (now + KEPT, None));
    }
}
