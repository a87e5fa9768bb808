//! Containers of Azure Blob Storage.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use url::Url;

use super::connection::{client_options, retry};
use crate::address::{parse_endpoint_of_account, shown};
use crate::checksum::{Compared, ComparedBy};
use crate::courtesy::Courteous;
use crate::credentials::setting;

/// Holds the account's name and a key or signature among other settings.
const CONNECTION_STRING: &str = "AZURE_STORAGE_CONNECTION_STRING";

/// What is said where nothing tells the account.
const NO_ACCOUNT: &str = "nothing says whose container it is: give the account in the address (account=NAME) or as AZURE_STORAGE_ACCOUNT_NAME";

/// Where a service is: the query of its address, `[endpoint=<URL>][&account=<name>]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AzurePlace {
    endpoint: Option<Url>,
    account: Option<String>,
}

impl AzurePlace {
    /// Takes in one part of a query. Says whether it is of this part of the address at all.
    pub(super) fn take(&mut self, name: &str, value: &str) -> Result<bool, String> {
        let is_new = match name {
            "endpoint" => self.endpoint.replace(parse_endpoint_of_account(value)?).is_none(),
            "account" if !is_account(value) => return Err("that is no name of an account".to_owned()),
            "account" => self.account.replace(value.to_owned()).is_none(),
            _ => return Ok(false),
        };
        if is_new { Ok(true) } else { Err("endpoint and account can be given once".to_owned()) }
    }

    /// The query that it is read from.
    pub(super) fn query(&self) -> String {
        let endpoint = self.endpoint.as_ref().map(|endpoint| format!("endpoint={}", shown(endpoint)));
        let account = self.account.as_ref().map(|account| format!("account={account}"));
        endpoint.into_iter().chain(account).collect::<Vec<_>>().join("&")
    }

    pub(super) fn open(
        &self,
        container: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        courteous: Courteous,
    ) -> object_store::Result<Arc<dyn ObjectStore>> {
        let endpoint = self.endpoint.as_ref().map(shown);
        let mut builder = credentials(environment)
            .into_iter()
            .fold(MicrosoftAzureBuilder::new(), |builder, (key, value)| builder.with_config(key, value))
            .with_container_name(container);
        if let Some(account) = &self.account {
            builder = builder.with_account(account);
        }
        if builder.get_config_value(&AzureConfigKey::AccountName).is_none() {
            return Err(object_store::Error::Generic { store: "Azure", source: NO_ACCOUNT.into() });
        }
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint.to_owned());
        }
        let builder = builder.with_client_options(client_options(endpoint)).with_retry(retry());
        // A key signs the headers, too, so that none can be added to what it has signed.
        Ok(Arc::new(builder.with_http_connector(Compared(ComparedBy::Client, courteous)).build()?))
    }
}

/// Whether a text can be a container's name. One of a host, where the account was meant, is none.
pub(super) fn is_container(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Whether a text can be an account's name, which is also part of a host's.
fn is_account(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

/// What of an environment is about credentials. What has a variable of its own stands above what is part of a connection
/// string: of that, only the account is taken then.
fn credentials(environment: impl IntoIterator<Item = (String, String)>) -> Vec<(AzureConfigKey, String)> {
    let (mut settings, mut own) = (Vec::new(), Vec::new());
    for (name, value) in environment {
        match credential(&name) {
            Some(key) => own.push((key, value)),
            None if name == CONNECTION_STRING => settings.extend(credentials_of_connection(&value)),
            None => {}
        }
    }
    let proves = |(key, _): &(AzureConfigKey, String)| {
        use AzureConfigKey as K;
        matches!(key, K::AccessKey | K::SasKey | K::Token | K::ClientSecret | K::FederatedTokenFile)
    };
    if own.iter().any(proves) {
        settings.retain(|setting| !proves(setting));
    }
    settings.append(&mut own);
    settings
}

/// The setting that a variable of the environment is, if it is about credentials. `az` has short names for two of them.
fn credential(variable: &str) -> Option<AzureConfigKey> {
    use AzureConfigKey as K;
    match variable {
        "AZURE_STORAGE_ACCOUNT" => Some(K::AccountName),
        "AZURE_STORAGE_KEY" => Some(K::AccessKey),
        "IDENTITY_ENDPOINT" => Some(K::MsiEndpoint),
        _ => setting(variable, "AZURE_", |key| {
            matches!(
                key,
                K::AccountName
                    | K::AccessKey
                    | K::SasKey
                    | K::Token
                    | K::ClientId
                    | K::ClientSecret
                    | K::AuthorityId
                    | K::AuthorityHost
                    | K::FederatedTokenFile
                    | K::MsiEndpoint
                    | K::ObjectId
                    | K::MsiResourceId
                    | K::UseAzureCli
                    | K::CredentialType
            )
        }),
    }
}

/// The credentials of `<name>=<value>;…`
/// (<https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string>); where requests go is not its
/// to say.
fn credentials_of_connection(text: &str) -> impl Iterator<Item = (AzureConfigKey, String)> {
    text.split(';').filter_map(|part| {
        let (name, value) = part.split_once('=')?;
        let key = match name.trim() {
            "AccountName" => AzureConfigKey::AccountName,
            "AccountKey" => AzureConfigKey::AccessKey,
            "SharedAccessSignature" => AzureConfigKey::SasKey,
            _ => return None,
        };
        Some((key, value.trim().to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::courtesy::Limits;

    #[test]
    fn only_credentials_are_taken_from_the_environment() {
        for name in [
            "AZURE_STORAGE_ENDPOINT",
            "AZURE_CONTAINER_NAME",
            "AZURE_STORAGE_USE_EMULATOR",
            "AZURE_SKIP_SIGNATURE",
            "AZURE_ALLOW_HTTP",
            "AZURE_STORAGE_ENCRYPTION_KEY",
            "IDENTITY_HEADER",
        ] {
            assert!(credential(name).is_none(), "{name}");
        }
        for name in [
            "AZURE_STORAGE_ACCOUNT_NAME",
            "AZURE_STORAGE_ACCOUNT_KEY",
            "AZURE_STORAGE_SAS_TOKEN",
            "AZURE_CLIENT_SECRET",
            "AZURE_FEDERATED_TOKEN_FILE",
        ] {
            assert!(credential(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_variable_stands_above_a_connection_string() {
        let string = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5==;BlobEndpoint=http://elsewhere";
        let found = |own: &[(&str, &str)]| {
            let environment = [own, &[(CONNECTION_STRING, string), ("PATH", "/bin")]].concat();
            credentials(environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())))
        };
        let account = (AzureConfigKey::AccountName, "a".to_owned());
        assert_eq!(found(&[]), [account.clone(), (AzureConfigKey::AccessKey, "a2V5==".to_owned())]);
        for (name, key) in [
            ("AZURE_STORAGE_ACCOUNT_KEY", AzureConfigKey::AccessKey),
            ("AZURE_STORAGE_SAS_TOKEN", AzureConfigKey::SasKey),
        ] {
            assert_eq!(found(&[(name, "b3du")]), [account.clone(), (key, "b3du".to_owned())]);
        }
    }

    #[test]
    fn a_container_whose_account_nothing_tells_is_not_opened() {
        let error = AzurePlace::default().open("c", [], Courteous::new(Limits::DEFAULT)).unwrap_err().to_string();
        assert!(error.contains("account=NAME"), "{error}");
    }
}
