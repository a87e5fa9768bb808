//! Identities: the accounts that own resources and backups.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, bail};
use model::AccountId;
use serde::{Deserialize, Serialize};

use crate::exit::hinted;

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    /// Its id, as the APIs know it.
    pub(crate) id: AccountId,
    /// What people call it.
    pub(crate) name: String,
}

/// What `identities.toml` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identities {
    account: Vec<Account>,
}

impl Identities {
    /// One new account with a random id.
    pub(crate) fn generate() -> Self {
        Self { account: vec![Account { id: AccountId::random(&mut rand::rng()), name: "default".to_owned() }] }
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
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn identities(accounts: &[(&str, &str)]) -> Identities {
        let account = |(id, name): &(&str, &str)| Account { id: id.parse().unwrap(), name: (*name).to_owned() };
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
    fn two_accounts_of_one_name_are_refused() {
        assert!(identities(&[("123456789012", "a"), ("210987654321", "a")]).check().is_err());
        assert!(identities(&[("123456789012", "a"), ("123456789012", "b")]).check().is_err());
        assert!(identities(&[]).check().is_err());
        assert!(Identities::generate().check().is_ok());
    }
}
