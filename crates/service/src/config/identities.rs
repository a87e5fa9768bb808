//! Identities: the accounts that own resources and backups.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, bail};
use model::{AccountId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access_key::{AccessKey, Cloud};
use super::limits::Limits;
use super::replacing::{lock_text, replace_text};
use crate::exit::hinted;

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    /// Its id, as the APIs know it.
    #[schemars(with = "String")]
    pub(crate) id: AccountId,
    /// What people call it.
    pub(crate) name: String,
    /// The ids of its directories, where it is known which there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) active_directories: Option<Vec<String>>,
    /// The numbers of its projects besides the default one, which is 0, where it is known which there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) projects: Option<Vec<u32>>,
    /// How much it may have and do.
    #[schemars(skip)]
    #[serde(default, skip_serializing_if = "Limits::is_default")]
    pub(crate) limits: Limits,
    /// What its clients sign requests with.
    #[schemars(skip)]
    #[serde(default, rename = "key", skip_serializing_if = "Vec::is_empty")]
    pub(crate) keys: Vec<AccessKey>,
}

impl Account {
    /// A new account with a random id and a key for each cloud.
    pub(crate) fn generate(name: &str, now: Timestamp) -> Self {
        let keys = [Cloud::Aws, Cloud::Tencent].map(|cloud| AccessKey::generate(cloud, now)).into();
        Self {
            id: AccountId::random(&mut rand::rng()),
            name: name.to_owned(),
            active_directories: None,
            projects: None,
            limits: Limits::default(),
            keys,
        }
    }
}

/// What `identities.toml` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identities {
    account: Vec<Account>,
}

impl Identities {
    /// One new account.
    pub(crate) fn generate(now: Timestamp) -> Self {
        Self { account: vec![Account::generate("default", now)] }
    }

    /// Reads and checks an identities file.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        Self::parse(&super::read_text(path)?, path)
    }

    /// Reads and checks the text of the file at `path`.
    pub(crate) fn parse(text: &str, path: &Path) -> anyhow::Result<Self> {
        let read: Self = super::parse_toml(text, path)?;
        read.check().with_context(|| path.display().to_string())?;
        Ok(read)
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.account.is_empty() {
            bail!("account: none is given; at least one [[account]] table is needed");
        }
        let mut seen = HashSet::new();
        for account in &self.account {
            if !seen.insert(account.id.as_str()) {
                bail!("account: the id {} is given twice", account.id);
            }
            if !seen.insert(&account.name) {
                bail!("account: the name {} is given twice, or is another account's id", account.name);
            }
            if let Some(id) = account.active_directories.iter().flatten().find(|id| !is_directory_id(id)) {
                bail!("account {}: active_directories: \"{id}\" is not d- and ten hexadecimal digits", account.name);
            }
        }
        let mut keys = HashSet::new();
        if let Some(twice) = self.keys().map(|(_, key)| key).find(|key| !keys.insert(&key.id)) {
            bail!("account.key: the id {} is given twice", twice.id);
        }
        Ok(())
    }

    /// Changes the file at `path` and returns what it says then. Two that change it take turns.
    pub(crate) fn edit(path: &Path, edit: impl FnOnce(&mut Self) -> anyhow::Result<()>) -> anyhow::Result<Self> {
        let failed = || format!("failed to write {}", path.display());
        let _lock = lock_text(path).with_context(failed)?;
        let mut identities = Self::load(path)?;
        edit(&mut identities)?;
        identities.check().with_context(|| path.display().to_string())?;
        replace_text(path, &toml::to_string(&identities)?).with_context(failed)?;
        Ok(identities)
    }

    /// Every account.
    pub(crate) fn accounts(&self) -> &[Account] {
        &self.account
    }

    /// Adds an account.
    pub(crate) fn add(&mut self, account: Account) {
        self.account.push(account);
    }

    /// Every key, and whose it is.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&Account, &AccessKey)> {
        self.account.iter().flat_map(|account| account.keys.iter().map(move |key| (account, key)))
    }

    /// The keys of the account with this id or name, to be changed.
    pub(crate) fn keys_of_mut(&mut self, named: &str) -> anyhow::Result<&mut Vec<AccessKey>> {
        let id = self.find(Some(named))?.id.clone();
        let account = self.account.iter_mut().find(|account| account.id == id);
        Ok(&mut account.context("the account was found a moment ago")?.keys)
    }

    /// The account with this id or name; the first where none is named.
    pub(crate) fn find(&self, named: Option<&str>) -> anyhow::Result<&Account> {
        let fits = |account: &&Account| named.is_none_or(|named| account.id.as_str() == named || account.name == named);
        self.account.iter().find(fits).ok_or_else(|| {
            let names: Vec<String> = self.account.iter().map(|a| format!("{} ({})", a.id, a.name)).collect();
            let error = anyhow::anyhow!("there is no account {}", named.unwrap_or_default());
            hinted(error, format!("the accounts there are {}", names.join(", ")))
        })
    }
}

/// As requests have them.
fn is_directory_id(id: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    id.strip_prefix("d-").is_some_and(|digits| digits.len() == 10 && digits.bytes().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identities(accounts: &[(&str, &str)]) -> Identities {
        let account =
            |(id, name): &(&str, &str)| Account { id: id.parse().unwrap(), ..Account::generate(name, Timestamp(0)) };
        Identities { account: accounts.iter().map(account).collect() }
    }

    #[test]
    fn accounts_are_found_by_id_and_by_name() {
        let all = identities(&[("123456789012", "a"), ("210987654321", "b")]);
        assert_eq!(all.find(None).unwrap().name, "a");
        assert_eq!(all.find(Some("b")).unwrap().name, "b");
        assert_eq!(all.find(Some("210987654321")).unwrap().name, "b");
        assert!(all.find(Some("c")).is_err());
    }

    #[test]
    fn an_edit_is_written_whole_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identities.toml");
        std::fs::write(&path, toml::to_string(&Identities::generate(Timestamp(0))).unwrap()).unwrap();
        let edited = Identities::edit(&path, |identities| {
            identities.keys_of_mut("default")?[0].disabled = true;
            identities.add(Account::generate("other", Timestamp(1)));
            Ok(())
        });
        let edited = edited.unwrap();
        assert_eq!(Identities::load(&path).unwrap(), edited);
        assert_eq!(edited.keys().map(|(_, key)| key.disabled).collect::<Vec<_>>(), [true, false, false, false]);
        assert!(Identities::edit(&path, |_| bail!("no")).is_err());
        assert_eq!(Identities::load(&path).unwrap(), edited);
    }

    #[test]
    fn directories_have_ids_that_requests_can_name() {
        let with = |id: &str| {
            let mut all = identities(&[("123456789012", "a")]);
            all.account[0].active_directories = Some(vec!["d-0123456789".to_owned(), id.to_owned()]);
            all
        };
        let good = with("d-abcdefabcd");
        let text = toml::to_string(&good).unwrap();
        assert_eq!(Identities::parse(&text, Path::new("identities.toml")).unwrap(), good);
        for bad in ["", "d-", "0123456789", "d-012345678", "d-01234567890", "d-012345678G", "d-012345678A"] {
            let error = with(bad).check().unwrap_err().to_string();
            assert!(error.contains("account a: active_directories"), "{error}");
        }
    }

    #[test]
    fn two_accounts_of_one_name_are_refused() {
        assert!(identities(&[("123456789012", "a"), ("210987654321", "a")]).check().is_err());
        assert!(identities(&[("123456789012", "a"), ("123456789012", "b")]).check().is_err());
        assert!(identities(&[]).check().is_err());
        assert!(Identities::generate(Timestamp(0)).check().is_ok());
    }
}
