//! The reply envelope: `{"Response":{…,"RequestId":"…"}}`, always with HTTP status 200.
//!
//! The content type is exactly `application/json`: with a charset behind it, Tencent's Python SDK
//! does not look for an error and takes a refusal for a success.

use serde::Serialize;
use serde_json::json;

use crate::http::Reply;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a, T> {
    #[serde(flatten)]
    result: &'a T,
    request_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope<T> {
    response: T,
}

/// The reply to a call that succeeded. `result` is a struct with named members, perhaps none.
pub fn success(result: &impl Serialize, request_id: &str) -> Reply {
    reply(&Envelope { response: Answer { result, request_id } })
}

/// The reply to a call that was refused; it has no member of a result.
pub fn failure(code: &str, message: &str, request_id: &str) -> Reply {
    reply(&json!({ "Response": { "Error": { "Code": code, "Message": message }, "RequestId": request_id } }))
}

fn reply(body: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(body).expect("replies are structs of plain data");
    Reply { status: 200, headers: vec![("content-type", "application/json".to_owned())], body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tencent::{CommonCode, TencentError};

    const ID: &str = "98f0b5f0-7d84-4d11-9819-ee7804e524a4";

    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Counted {
        total_count: u64,
    }

    #[derive(Serialize)]
    struct Nothing {}

    fn text(reply: &Reply) -> &str {
        std::str::from_utf8(&reply.body).unwrap()
    }

    #[test]
    fn a_result_is_followed_by_the_request_id() {
        let reply = success(&Counted { total_count: 3 }, ID);
        assert_eq!(text(&reply), format!(r#"{{"Response":{{"TotalCount":3,"RequestId":"{ID}"}}}}"#));
        assert_eq!(reply.status, 200);
        assert_eq!(reply.headers, [("content-type", "application/json".to_owned())]);
    }

    #[test]
    fn without_a_result_only_the_request_id_is_left() {
        assert_eq!(text(&success(&Nothing {}, ID)), format!(r#"{{"Response":{{"RequestId":"{ID}"}}}}"#));
    }

    #[test]
    fn an_error_also_has_status_200() {
        let reply = TencentError::new(CommonCode::InvalidParameter, "no \"good\"").reply(ID);
        let wanted = format!(
            r#"{{"Response":{{"Error":{{"Code":"InvalidParameter","Message":"no \"good\""}},"RequestId":"{ID}"}}}}"#
        );
        assert_eq!(text(&reply), wanted);
        assert_eq!(reply.status, 200);
        assert_eq!(reply.headers, [("content-type", "application/json".to_owned())]);
    }
}
