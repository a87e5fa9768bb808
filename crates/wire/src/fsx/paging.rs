//! Pages: how long they are, and the token that leads from one to the next.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::error::FsxError;
use crate::aws::next_token::NextToken;

/// The most items in a page: what the model allows in the lists of replies.
pub const PAGE_ITEMS_MAX: usize = 50;

/// How many items a page has, given the caller's wish.
pub fn page_items(max_results: Option<i64>) -> usize {
    max_results.and_then(|wish| usize::try_from(wish).ok()).map_or(PAGE_ITEMS_MAX, |wish| wish.clamp(1, PAGE_ITEMS_MAX))
}

/// The token that leads to what is behind `cursor` in the listing that `request` asked `operation` for.
///
/// # Panics
/// When `cursor` is longer than [`CURSOR_BYTES_MAX`](crate::aws::next_token::CURSOR_BYTES_MAX): cursors are the
/// server's own.
pub fn encode(operation: &str, request: &impl Serialize, cursor: &str) -> String {
    tokens(operation, request).seal(cursor)
}

/// The cursor in `token`.
///
/// # Errors
/// `BadRequest` when the token was not issued for the listing that `request` asks `operation` for.
pub fn decode(operation: &str, request: &impl Serialize, token: &str) -> Result<String, FsxError> {
    let cursor = tokens(operation, request).open(token);
    cursor.ok_or_else(|| FsxError::bad_request("The NextToken is not valid for this request."))
}

/// The tokens of a listing. Its page size may change from page to page.
fn tokens(operation: &str, request: &impl Serialize) -> NextToken {
    let Ok(Value::Object(members)) = serde_json::to_value(request) else { return NextToken::binding(operation, &()) };
    // By name: in which order JSON's members are kept is for other crates to decide.
    let listing: BTreeMap<String, Value> =
        members.into_iter().filter(|(name, _)| name != "MaxResults" && name != "NextToken").collect();
    NextToken::binding(operation, &listing)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aws::next_token::CURSOR_BYTES_MAX;
    use crate::fsx::scalar::NEXT_TOKEN;

    const OPERATION: &str = "DescribeBackups";

    fn fits_the_model(token: &str) -> bool {
        NEXT_TOKEN.pattern.matches(token) && NEXT_TOKEN.length.contains(&token.len())
    }

    #[test]
    fn a_token_leads_on_in_its_own_listing_only() {
        let request = json!({"Filters": [{"Name": "backup-type", "Values": ["AUTOMATIC"]}], "MaxResults": 5});
        let other = json!({"Filters": [{"Name": "backup-type", "Values": ["USER_INITIATED"]}]});
        let next = json!({"Filters": request["Filters"], "NextToken": "x"});
        let token = encode(OPERATION, &request, "cursor");
        assert_eq!(decode(OPERATION, &next, &token).as_deref(), Ok("cursor"));
        for (operation, request) in [(OPERATION, &other), ("DescribeFileSystems", &request)] {
            assert_eq!(decode(operation, request, &token).unwrap_err().code.as_str(), "BadRequest");
        }
    }

    #[test]
    fn every_token_fits_the_model() {
        for length in 0..=CURSOR_BYTES_MAX {
            let token = encode(OPERATION, &json!({}), &"x".repeat(length));
            assert!(fits_the_model(&token), "{token}");
        }
    }

    #[test]
    fn a_page_has_at_most_fifty_items() {
        let wishes =
            [(None, 50), (Some(1), 1), (Some(49), 49), (Some(2_147_483_647), 50), (Some(-1), 50), (Some(0), 1)];
        for (wish, items) in wishes {
            assert_eq!(page_items(wish), items, "{wish:?}");
        }
    }
}
