//! The key file: a region's key service on one machine, mode 0600, rewritten whole.
//!
//! A wrapped key is a version number (4 bytes, little-endian) of the KMS key's material ‖ the data
//! key sealed under that material, bound to the account, the KMS key and the data key's name.
//! The file is read anew for each call, so that another process's changes are seen at once;
//! changes are made under a lock on a file beside it.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use model::effect::effect;
use model::{AccountId, Clock, DataKeyId, KmsKeyId, Region, Timestamp};
use rand::Rng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KeyError, KeyErrorKind, KeyInfo, KeyService, KeyState, WrapContext, Wrapped, WrappedKey};
use crate::seal::DataKey;

const VERSION: u32 = 1;

/// The contents of a key file.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyFile {
    version: u32,
    keys: Vec<FileKey>,
    /// BLAKE3 over the keys, so that damage is told from a wrong key.
    checksum: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct FileKey {
    id: KmsKeyId,
    state: KeyState,
    default: bool,
    created_at: Timestamp,
    /// Oldest first; the last one wraps, all unwrap.
    material: Vec<Material>,
}

/// Key material: 32 bytes, in base 64 in the file.
struct Material(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("secret")
    }
}

impl Serialize for Material {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(BASE64.encode(*self.0)))
    }
}

impl<'de> Deserialize<'de> for Material {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = Zeroizing::new(BASE64.decode(text.as_bytes()).map_err(serde::de::Error::custom)?);
        let secret = bytes.as_slice().try_into().map_err(serde::de::Error::custom)?;
        Ok(Self(Zeroizing::new(secret)))
    }
}

impl Material {
    fn generate() -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rand::rng().fill_bytes(secret.as_mut());
        Self(secret)
    }

    fn as_key(&self) -> DataKey {
        DataKey::from_secret(DataKeyId([0; 16]), self.0.clone())
    }
}

impl KeyFile {
    /// Reads a key file's bytes.
    ///
    /// # Errors
    /// A sentence that says what is wrong with them.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let file: Self = serde_json::from_slice(bytes).map_err(|e| format!("it is not a key file: {e}"))?;
        if file.version != VERSION {
            return Err(format!("it is of version {}, this offsite reads {VERSION}", file.version));
        }
        if file.checksum != file.digest() {
            return Err("its checksum does not match: it is damaged".to_owned());
        }
        if file.keys.iter().any(|key| key.material.is_empty()) {
            return Err("a key has no material".to_owned());
        }
        Ok(file)
    }

    fn encode(&mut self) -> Zeroizing<Vec<u8>> {
        self.checksum = self.digest();
        Zeroizing::new(serde_json::to_vec_pretty(self).expect("serializing to memory"))
    }

    fn digest(&self) -> String {
        let keys = Zeroizing::new(serde_json::to_vec(&self.keys).expect("serializing to memory"));
        blake3::hash(&keys).to_hex().to_string()
    }

    fn add(&mut self, now: Timestamp) -> KmsKeyId {
        let id = KmsKeyId::random(&mut rand::rng());
        self.keys.push(FileKey {
            id: id.clone(),
            state: KeyState::Enabled,
            default: self.keys.is_empty(),
            created_at: now,
            material: vec![Material::generate()],
        });
        id
    }
}

/// The key service that a key file is.
#[derive(Clone, Debug)]
pub struct KeyFileService {
    region: Region,
    path: PathBuf,
    clock: Arc<dyn Clock>,
}

impl KeyFileService {
    /// Makes a key file with one key, the default. One that is there already stays as it is.
    ///
    /// # Errors
    /// [`KeyErrorKind::Unavailable`] when it cannot be written.
    pub fn create(region: &Region, path: &Path, clock: Arc<dyn Clock>) -> Result<Self, KeyError> {
        let service = Self { region: region.clone(), path: path.to_owned(), clock };
        let _lock = service.lock()?;
        if !path.exists() {
            let mut file = KeyFile { version: VERSION, keys: Vec::new(), checksum: String::new() };
            file.add(service.clock.now());
            service.write(&mut file)?;
        }
        Ok(service)
    }

    /// The key service of an existing key file, which is read at each call.
    pub fn open(region: &Region, path: &Path, clock: Arc<dyn Clock>) -> Self {
        Self { region: region.clone(), path: path.to_owned(), clock }
    }

    fn read(&self) -> Result<KeyFile, KeyError> {
        let bytes = Zeroizing::new(std::fs::read(&self.path).map_err(|e| self.unavailable(e))?);
        KeyFile::parse(&bytes).map_err(|why| self.unavailable(why))
    }

    fn write(&self, file: &mut KeyFile) -> Result<(), KeyError> {
        let mut replace = || {
            let directory = self.path.parent().unwrap_or(Path::new("."));
            let mut fresh =
                tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o600)).tempfile_in(directory)?;
            fresh.write_all(&file.encode())?;
            fresh.as_file().sync_all()?;
            effect("keys.write.before");
            fresh.persist(&self.path)?;
            File::open(directory)?.sync_all()?;
            effect("keys.write.after");
            Ok(())
        };
        let replaced: std::io::Result<()> = replace();
        replaced.map_err(|e| self.unavailable(e))
    }

    fn change<T>(&self, change: impl FnOnce(&mut KeyFile) -> Result<T, KeyError>) -> Result<T, KeyError> {
        let _lock = self.lock()?;
        let mut file = self.read()?;
        let result = change(&mut file)?;
        self.write(&mut file)?;
        Ok(result)
    }

    /// Held until the returned file is dropped.
    fn lock(&self) -> Result<File, KeyError> {
        let lock = || {
            let path = self.path.with_extension("lock");
            let file = File::options().create(true).append(true).mode(0o600).open(path)?;
            file.lock()?;
            Ok(file)
        };
        let locked: std::io::Result<File> = lock();
        locked.map_err(|e| self.unavailable(e))
    }

    fn unavailable(&self, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> KeyError {
        KeyError {
            kind: KeyErrorKind::Unavailable,
            key: format!("file {}", self.path.display()),
            region: self.region.clone(),
            source: Some(why.into()),
        }
    }

    fn fault(&self, key: &KmsKeyId, kind: KeyErrorKind) -> KeyError {
        KeyError { kind, key: key.to_string(), region: self.region.clone(), source: None }
    }

    fn enabled<'f>(&self, file: &'f KeyFile, id: &KmsKeyId) -> Result<&'f FileKey, KeyError> {
        let key = file.keys.iter().find(|key| key.id == *id);
        let key = key.ok_or_else(|| self.fault(id, KeyErrorKind::NotFound))?;
        match key.state {
            KeyState::Enabled => Ok(key),
            KeyState::Disabled => Err(self.fault(id, KeyErrorKind::Disabled)),
        }
    }

    fn find_mut<'f>(&self, file: &'f mut KeyFile, id: &KmsKeyId) -> Result<&'f mut FileKey, KeyError> {
        let key = file.keys.iter_mut().find(|key| key.id == *id);
        key.ok_or_else(|| self.fault(id, KeyErrorKind::NotFound))
    }
}

fn associated(by: &KmsKeyId, context: &WrapContext) -> Vec<u8> {
    format!("offsite data key {} of {} under {by}", context.data_key, context.account).into_bytes()
}

#[async_trait]
impl KeyService for KeyFileService {
    fn place(&self) -> String {
        format!("file:{}", self.path.display())
    }

    async fn generate(&self, by: &KmsKeyId, account: &AccountId) -> Result<(DataKey, WrappedKey), KeyError> {
        let key = DataKey::generate(&mut rand::rng());
        let context = WrapContext { account: account.clone(), data_key: key.id() };
        let wrapped = self.wrap(by, &context, &key).await?;
        Ok((key, wrapped))
    }

    async fn wrap(&self, by: &KmsKeyId, context: &WrapContext, key: &DataKey) -> Result<WrappedKey, KeyError> {
        let file = self.read()?;
        let material = &self.enabled(&file, by)?.material;
        let version = u32::try_from(material.len() - 1).expect("far fewer rotations");
        let sealed = material[material.len() - 1].as_key().seal(&associated(by, context), key.secret());
        Ok([&version.to_le_bytes(), sealed.as_slice()].concat())
    }

    async fn unwrap(&self, context: &WrapContext, wrapped: Wrapped<'_>) -> Result<DataKey, KeyError> {
        let (file, by) = (self.read()?, wrapped.by);
        let damaged = || self.fault(by, KeyErrorKind::Damaged);
        let key = self.enabled(&file, by)?;
        let (version, sealed) = wrapped.bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
        let material = key.material.get(u32::from_le_bytes(*version) as usize).ok_or_else(damaged)?;
        let opened = material.as_key().open(&associated(by, context), sealed).map_err(|_| damaged())?;
        let opened = Zeroizing::new(opened);
        let secret = opened.as_slice().try_into().map_err(|_| damaged())?;
        Ok(DataKey::from_secret(context.data_key, Zeroizing::new(secret)))
    }

    async fn rewrap(&self, by: &KmsKeyId, context: &WrapContext, wrapped: Wrapped<'_>) -> Result<WrappedKey, KeyError> {
        self.wrap(by, context, &self.unwrap(context, wrapped).await?).await
    }

    async fn default_key(&self) -> Result<KmsKeyId, KeyError> {
        let file = self.read()?;
        let key = file.keys.iter().find(|key| key.default);
        key.map(|key| key.id.clone()).ok_or_else(|| self.unavailable("it has no default key"))
    }

    async fn find(&self, id: &KmsKeyId) -> Result<Option<KeyState>, KeyError> {
        Ok(self.read()?.keys.iter().find(|key| key.id == *id).map(|key| key.state))
    }

    async fn list(&self) -> Result<Vec<KeyInfo>, KeyError> {
        let info = |key: &FileKey| KeyInfo {
            id: key.id.clone(),
            state: key.state,
            default: key.default,
            created_at: key.created_at,
            versions: Some(key.material.len()),
        };
        Ok(self.read()?.keys.iter().map(info).collect())
    }

    async fn create(&self) -> Result<KmsKeyId, KeyError> {
        self.change(|file| Ok(file.add(self.clock.now())))
    }

    async fn set_state(&self, key: &KmsKeyId, state: KeyState) -> Result<(), KeyError> {
        self.change(|file| {
            self.find_mut(file, key)?.state = state;
            Ok(())
        })
    }

    async fn rotate(&self, key: &KmsKeyId) -> Result<(), KeyError> {
        self.change(|file| {
            self.find_mut(file, key)?.material.push(Material::generate());
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::SystemClock;

    fn service(directory: &Path) -> KeyFileService {
        let region = "us-east-1".parse().unwrap();
        KeyFileService::create(&region, &directory.join("kms.json"), Arc::new(SystemClock)).unwrap()
    }

    fn context() -> WrapContext {
        WrapContext { account: "123456789012".parse().unwrap(), data_key: DataKeyId([7; 16]) }
    }

    #[tokio::test]
    async fn what_was_wrapped_before_a_rotation_still_opens() {
        let directory = tempfile::tempdir().unwrap();
        let keys = service(directory.path());
        let by = keys.default_key().await.unwrap();
        let secret = DataKey::from_secret(DataKeyId([7; 16]), Zeroizing::new([9; 32]));
        let before = keys.wrap(&by, &context(), &secret).await.unwrap();
        keys.rotate(&by).await.unwrap();
        let after = keys.wrap(&by, &context(), &secret).await.unwrap();
        for wrapped in [before, after] {
            assert_eq!(
                keys.unwrap(&context(), Wrapped { by: &by, bytes: &wrapped }).await.unwrap().secret(),
                secret.secret()
            );
        }
    }

    #[tokio::test]
    async fn a_disabled_key_neither_wraps_nor_unwraps_until_it_is_enabled() {
        let directory = tempfile::tempdir().unwrap();
        let keys = service(directory.path());
        let by = keys.create().await.unwrap();
        let secret = DataKey::generate(&mut rand::rng());
        let bytes = keys.wrap(&by, &context(), &secret).await.unwrap();
        let wrapped = Wrapped { by: &by, bytes: &bytes };
        keys.set_state(&by, KeyState::Disabled).await.unwrap();
        assert_eq!(keys.wrap(&by, &context(), &secret).await.unwrap_err().kind, KeyErrorKind::Disabled);
        assert_eq!(keys.unwrap(&context(), wrapped).await.unwrap_err().kind, KeyErrorKind::Disabled);
        keys.set_state(&by, KeyState::Enabled).await.unwrap();
        assert!(keys.unwrap(&context(), wrapped).await.is_ok());
    }

    #[tokio::test]
    async fn a_key_wrapped_for_one_account_does_not_open_for_another() {
        let directory = tempfile::tempdir().unwrap();
        let keys = service(directory.path());
        let by = keys.default_key().await.unwrap();
        let (key, bytes) = keys.generate(&by, &context().account).await.unwrap();
        let wrapped = Wrapped { by: &by, bytes: &bytes };
        let context = WrapContext { data_key: key.id(), ..context() };
        assert_eq!(keys.unwrap(&context, wrapped).await.unwrap().secret(), key.secret());
        let other = WrapContext { account: "210987654321".parse().unwrap(), ..context };
        assert_eq!(keys.unwrap(&other, wrapped).await.unwrap_err().kind, KeyErrorKind::Damaged);
    }

    #[test]
    fn the_file_is_private_and_any_altered_byte_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = service(directory.path()).path;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let bytes = std::fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(3) {
            let mut altered = bytes.clone();
            altered[at] ^= 4;
            let space = bytes[at].is_ascii_whitespace();
            assert!(space || KeyFile::parse(&altered).is_err(), "byte {at}");
        }
    }
}
