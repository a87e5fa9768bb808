//! `NextToken`: what leads from one page of a listing to the next.
//!
//! A token is standard padded base64 of at most 255 characters: eight bytes that stand for the operation and
//! what it lists, then the cursor. A token of another listing is refused, since its cursor means nothing here.
//! Nothing is secret about it: a caller who makes one up only chooses where in their own listing to go on.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// The longest cursor that fits into a token.
pub const CURSOR_BYTES_MAX: usize = 181;

const BINDING_BYTES: usize = 8;

/// What the tokens of one listing have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextToken {
    binding: [u8; BINDING_BYTES],
}

impl NextToken {
    /// Tokens of `operation`, which lists what `conditions` say: filters and order, but not the length of pages,
    /// which may change from page to page.
    pub fn binding(operation: &str, conditions: &impl Serialize) -> Self {
        let conditions = serde_json::to_string(conditions).unwrap_or_default();
        let digest = digest::digest(&digest::SHA256, format!("{operation} {conditions}").as_bytes());
        let mut binding = [0; BINDING_BYTES];
        binding.copy_from_slice(&digest.as_ref()[..BINDING_BYTES]);
        Self { binding }
    }

    /// The token that leads to what is behind `cursor`.
    ///
    /// # Panics
    /// When `cursor` is longer than [`CURSOR_BYTES_MAX`]: cursors are the server's own.
    pub fn seal(&self, cursor: &str) -> String {
        assert!(cursor.len() <= CURSOR_BYTES_MAX, "cursors fit into a token");
        STANDARD.encode([&self.binding, cursor.as_bytes()].concat())
    }

    /// The cursor in `token`, if it is a token of this listing.
    pub fn open(&self, token: &str) -> Option<String> {
        let bytes = STANDARD.decode(token).ok()?;
        String::from_utf8(bytes.strip_prefix(&self.binding)?.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(conditions: &[&str]) -> NextToken {
        NextToken::binding("DescribeBackups", &conditions)
    }

    #[test]
    fn a_token_leads_on_in_its_own_listing_only() {
        let token = tokens(&["READY"]).seal("cursor");
        assert_eq!(tokens(&["READY"]).open(&token).as_deref(), Some("cursor"));
        assert_eq!(tokens(&["DELETED"]).open(&token), None);
        assert_eq!(NextToken::binding("DescribeClusters", &["READY"]).open(&token), None);
    }

    #[test]
    fn the_longest_cursor_fits_the_models() {
        assert_eq!(tokens(&[]).seal(&"x".repeat(CURSOR_BYTES_MAX)).len(), 252);
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened(cursor in "[ -~]{0,181}") {
            let token = tokens(&[]).seal(&cursor);
            prop_assert!(token.len().is_multiple_of(4) && token.len() <= 255);
            prop_assert_eq!(tokens(&[]).open(&token), Some(cursor));
        }

        #[test]
        fn no_foreign_token_is_taken(token: String, bytes: Vec<u8>) {
            prop_assert_eq!(tokens(&[]).open(&token), None);
            prop_assert_eq!(tokens(&[]).open(&STANDARD.encode(bytes)), None);
        }
    }
}
