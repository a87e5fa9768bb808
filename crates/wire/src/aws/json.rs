//! The envelope of AWS JSON 1.1: which operation is called, what its body says, and how it is answered.
//!
//! Follows "AWS JSON 1.1 protocol" in the Smithy documentation. What SDKs read of an error is `__type`, then
//! `Message` or `message`; the header `x-amzn-ErrorType` repeats the first. No error has a member `code`,
//! which some SDKs would take for the type.

use model::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::error::{CommonCode, CommonError};
use crate::http::{RawRequest, Reply};

/// The content type of requests and replies.
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// The most bytes a request's body may have.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// The services that speak AWS JSON 1.1 here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Amazon FSx, version 2018-03-01.
    Fsx,
    /// AWS CloudHSM v2, version 2017-04-28.
    CloudHsm,
}

impl Service {
    /// Every service.
    pub const ALL: &'static [Self] = &[Self::Fsx, Self::CloudHsm];

    /// What `X-Amz-Target` starts with, up to the dot.
    pub fn target_prefix(self) -> &'static str {
        match self {
            Self::Fsx => "AWSSimbaAPIService_v20180301",
            Self::CloudHsm => "BaldrApiService",
        }
    }

    /// The service in the scope of a signature and in ARNs.
    pub fn signing_name(self) -> &'static str {
        match self {
            Self::Fsx => "fsx",
            Self::CloudHsm => "cloudhsm",
        }
    }
}

/// The operation that a request names. The operation need not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The service.
    pub service: Service,
    /// The operation, as sent.
    pub operation: &'a str,
}

/// Whether a request is meant for a service of this dialect, well formed or not.
pub fn is_addressed(request: &RawRequest<'_>) -> bool {
    request.header_values("x-amz-target").next().is_some()
}

/// The service and operation that a request names.
///
/// # Errors
/// `UnknownOperationException`: with status 404 for a wrong method or path, otherwise with 400.
pub fn target<'a>(request: &RawRequest<'a>) -> Result<Target<'a>, CommonError> {
    if request.method != "POST" || request.path != "/" {
        return Err(CommonCode::UnknownEndpoint.into());
    }
    let mut targets = request.header_values("x-amz-target");
    let (Some(target), None) = (targets.next(), targets.next()) else {
        return Err(CommonCode::UnknownOperation.into());
    };
    find_target(target).ok_or_else(|| CommonCode::UnknownOperation.into())
}

fn find_target(target: &[u8]) -> Option<Target<'_>> {
    let (prefix, operation) = std::str::from_utf8(target).ok()?.rsplit_once('.')?;
    let service = Service::ALL.iter().copied().find(|service| service.target_prefix() == prefix)?;
    Some(Target { service, operation })
}

/// The members of a request's body. An empty body stands for `{}`.
///
/// # Errors
/// `SerializationException` when the body is not one JSON object.
pub fn members(body: &[u8]) -> Result<Map<String, Value>, CommonError> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(CommonError::new(CommonCode::Serialization, "The request body must be a JSON object.")),
        Err(_) => Err(CommonError::new(CommonCode::Serialization, "The request body is not valid JSON.")),
    }
}

/// A request's body as a structure. Members that it does not name are ignored; members that may be absent must
/// be an `Option` in it, so that `null` means absent.
///
/// # Errors
/// `SerializationException` when the body is not one JSON object, or a member is of another type.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, CommonError> {
    let members = members(body)?;
    serde_json::from_value(Value::Object(members))
        .map_err(|error| CommonError::new(CommonCode::Serialization, error.to_string()))
}

/// The reply to a call that succeeded.
///
/// # Panics
/// When `output` is not written as a JSON object: a fault of its type, not of its values.
pub fn success(output: &impl Serialize, request_id: &str) -> Reply {
    let body = serde_json::to_vec(output).expect("replies are structures of plain data");
    debug_assert!(body.starts_with(b"{"), "replies are JSON objects");
    Reply { status: 200, headers: headers(request_id).into(), body }
}

/// The output of an operation that has nothing to say: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Empty {}

/// A call that was refused.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    /// The name of the error's shape, without namespace.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// `Message` for errors of a service's model, `message` for all others.
    pub message_name: &'static str,
    /// What a person reads. An empty one is replaced by the code.
    pub message: &'a str,
    /// The error's own members, those that have a value.
    pub members: &'a [(&'static str, &'a str)],
}

impl Failure<'_> {
    /// The reply.
    pub fn reply(&self, request_id: &str) -> Reply {
        let message = if self.message.is_empty() { self.code } else { self.message };
        let mut body = Map::new();
        body.insert("__type".to_owned(), self.code.into());
        body.extend(self.members.iter().map(|&(name, value)| (name.to_owned(), value.into())));
        body.insert(self.message_name.to_owned(), message.into());
        let mut headers = headers(request_id).to_vec();
        headers.push(("x-amzn-errortype", self.code.to_owned()));
        Reply { status: self.status, headers, body: Value::Object(body).to_string().into_bytes() }
    }
}

fn headers(request_id: &str) -> [(&'static str, String); 2] {
    [("content-type", CONTENT_TYPE.to_owned()), ("x-amzn-requestid", request_id.to_owned())]
}

/// The first `characters` characters of a text.
pub fn truncated(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}

/// An instant as a JSON number: seconds since 1970 with a fraction of at most three digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochSeconds(pub Timestamp);

impl From<Timestamp> for EpochSeconds {
    fn from(time: Timestamp) -> Self {
        Self(time)
    }
}

impl Serialize for EpochSeconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.0 as f64 / 1000.0)
    }
}

impl<'de> Deserialize<'de> for EpochSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let milliseconds = (f64::deserialize(deserializer)? * 1000.0).round();
        // Far beyond any calendar, and still exact in both types.
        let bound = (1_i64 << 53) as f64;
        if milliseconds.abs() > bound {
            return Err(serde::de::Error::custom("the time is out of range"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "a whole number within 53 bits")]
        let milliseconds = milliseconds as i64;
        Ok(Self(Timestamp(milliseconds)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request<'a>(method: &'a str, path: &'a str, headers: &'a [(String, Vec<u8>)]) -> RawRequest<'a> {
        RawRequest { method, path, query: "", headers, body: b"" }
    }

    fn target_header(value: &str) -> (String, Vec<u8>) {
        ("x-amz-target".to_owned(), value.into())
    }

    #[test]
    fn the_target_names_service_and_operation() {
        let of = |value: &str| {
            target(&request("POST", "/", &[target_header(value)])).map(|t| (t.service, t.operation.to_owned()))
        };
        assert_eq!(of("AWSSimbaAPIService_v20180301.CopyBackup"), Ok((Service::Fsx, "CopyBackup".to_owned())));
        assert_eq!(of("BaldrApiService.CopyBackupToRegion"), Ok((Service::CloudHsm, "CopyBackupToRegion".to_owned())));
        for wrong in
            ["", "CopyBackup", "baldrapiservice.X", "BaldrApiService", "a.BaldrApiService.X", "BaldrApiService.X.Y"]
        {
            let error = of(wrong).unwrap_err();
            assert_eq!((error.code.as_str(), error.code.status()), ("UnknownOperationException", 400), "{wrong}");
        }
    }

    #[test]
    fn another_method_or_path_is_not_found() {
        let headers = [target_header("BaldrApiService.ListTags")];
        for (method, path) in [("GET", "/"), ("post", "/"), ("POST", ""), ("POST", "//"), ("POST", "/x")] {
            let error = target(&request(method, path, &headers)).unwrap_err();
            assert_eq!(
                (error.code.as_str(), error.code.status()),
                ("UnknownOperationException", 404),
                "{method} {path}"
            );
        }
    }

    #[test]
    fn two_targets_are_no_target() {
        let headers = [target_header("BaldrApiService.ListTags"), target_header("BaldrApiService.ListTags")];
        assert_eq!(target(&request("POST", "/", &headers)).unwrap_err().code, CommonCode::UnknownOperation);
        assert!(is_addressed(&request("POST", "/", &headers)) && !is_addressed(&request("POST", "/", &[])));
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "PascalCase")]
    struct Page {
        max_results: Option<i64>,
        next_token: Option<String>,
    }

    #[test]
    fn null_is_absent_and_unknown_members_are_ignored() {
        let empty = Page { max_results: None, next_token: None };
        for body in ["", "{}", r#"{"MaxResults":null,"NextToken":null}"#, r#"{"Other":[{}],"maxResults":"x"}"#] {
            assert_eq!(read::<Page>(body.as_bytes()).as_ref(), Ok(&empty), "{body}");
        }
    }

    #[test]
    fn what_is_not_an_object_of_the_right_types_is_a_serialization_error() {
        let deep = "[".repeat(100_000);
        let bodies = [
            "null",
            "[]",
            "[5,\"x\"]",
            "{",
            "{}{}",
            " ",
            "{\"MaxResults\":\"5\"}",
            "{\"NextToken\":5}",
            "\u{feff}{}",
            &deep,
        ];
        for body in bodies {
            let error = read::<Page>(body.as_bytes()).unwrap_err();
            assert_eq!(error.code, CommonCode::Serialization, "{}", truncated(body, 40));
        }
        assert_eq!(read::<Page>(b"{\"NextToken\":\"\xff\"}").unwrap_err().code, CommonCode::Serialization);
    }

    #[test]
    fn a_reply_carries_type_and_request_id() {
        let reply = success(&Empty {}, "8b7b");
        assert_eq!((reply.status, reply.body.as_slice()), (200, b"{}".as_slice()));
        assert_eq!(
            reply.headers,
            [("content-type", "application/x-amz-json-1.1".to_owned()), ("x-amzn-requestid", "8b7b".to_owned())]
        );
    }

    #[test]
    fn an_error_names_its_type_twice_and_is_never_silent() {
        let members = [("Limit", "TOTAL_IN_PROGRESS_COPY_BACKUPS")];
        let failure = Failure {
            code: "ServiceLimitExceeded",
            status: 400,
            message_name: "Message",
            message: "",
            members: &members,
        };
        let reply = failure.reply("id");
        let (limit, code) = ("TOTAL_IN_PROGRESS_COPY_BACKUPS", "ServiceLimitExceeded");
        let wanted = serde_json::json!({ "__type": code, "Limit": limit, "Message": code });
        assert_eq!(serde_json::from_slice::<Value>(&reply.body).unwrap(), wanted);
        assert!(reply.headers.contains(&("x-amzn-errortype", "ServiceLimitExceeded".to_owned())));
    }

    #[test]
    fn times_are_seconds_with_milliseconds() {
        let written = |milliseconds| serde_json::to_string(&EpochSeconds(Timestamp(milliseconds))).unwrap();
        assert_eq!(written(1_617_954_808_068), "1617954808.068");
        assert_eq!(written(1_768_478_400_127), "1768478400.127");
        assert_eq!(written(1_768_400_000_000), "1768400000.0");
        assert!(serde_json::from_str::<EpochSeconds>("1e300").is_err());
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!((truncated("größe", 3), truncated("größe", 5), truncated("", 0)), ("grö", "größe", ""));
    }

    proptest! {
        #[test]
        fn times_survive_the_wire(milliseconds in -62_000_000_000_000_i64..253_000_000_000_000) {
            let time = EpochSeconds(Timestamp(milliseconds));
            let text = serde_json::to_string(&time).unwrap();
            prop_assert_eq!(serde_json::from_str::<EpochSeconds>(&text).unwrap(), time);
        }

        #[test]
        fn no_bytes_make_a_panic(body: Vec<u8>, name: Vec<u8>) {
            drop(read::<Page>(&body));
            let headers = [("x-amz-target".to_owned(), name)];
            drop(target(&request("POST", "/", &headers)));
        }
    }
}
