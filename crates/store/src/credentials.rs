//! Credentials among the variables of an environment.

use std::str::FromStr;

/// The setting of a client that the variable of that name is, if the name begins with `prefix` and it is about credentials.
pub(crate) fn setting<K: FromStr>(variable: &str, prefix: &str, is_credential: fn(&K) -> bool) -> Option<K> {
    let key = variable.starts_with(prefix).then(|| variable.to_ascii_lowercase().parse().ok())??;
    is_credential(&key).then_some(key)
}
