//! The errors of the CloudHSM model.

use crate::aws::error::CommonError;
use crate::aws::json;
use crate::aws::shape::Refusal;
use crate::aws::words::words;
use crate::http::Reply;

words! {
    /// What a caller's program goes by.
    ErrorCode {
        /// Malformed, contradictory, or not possible in the present state.
        InvalidRequest = "CloudHsmInvalidRequestException",
        /// No such resource in this account and region.
        ResourceNotFound = "CloudHsmResourceNotFoundException",
        /// Not authorized.
        AccessDenied = "CloudHsmAccessDeniedException",
        /// Tagging failed, usually for lack of permission.
        Tag = "CloudHsmTagException",
        /// Too much of something. Only `TagResource` answers with it.
        ResourceLimitExceeded = "CloudHsmResourceLimitExceededException",
        /// The service cannot process the request.
        Service = "CloudHsmServiceException",
        /// Something broke.
        InternalFailure = "CloudHsmInternalFailureException",
    }
}

impl ErrorCode {
    /// The HTTP status: the model marks one error as the server's fault.
    pub fn status(self) -> u16 {
        match self {
            Self::InternalFailure => 500,
            _ => 400,
        }
    }
}

/// A refusal of the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct CloudHsmError {
    /// What a caller's program goes by.
    pub code: ErrorCode,
    /// What a person reads.
    pub message: String,
}

impl CloudHsmError {
    /// An error and what to say about it.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// `CloudHsmInvalidRequestException`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest, message)
    }

    /// The reply.
    pub fn reply(&self, request_id: &str) -> Reply {
        let failure = json::Failure {
            code: self.code.as_str(),
            status: self.code.status(),
            message_name: "Message",
            message: &self.message,
            members: &[],
        };
        failure.reply(request_id)
    }
}

/// Why a body is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It is not JSON, or a member is of another type than modelled.
    #[error(transparent)]
    Common(#[from] CommonError),
    /// The model, or a rule between members, does not allow it.
    #[error(transparent)]
    CloudHsm(#[from] CloudHsmError),
}

impl RequestError {
    /// The reply.
    pub fn reply(&self, request_id: &str) -> Reply {
        match self {
            Self::Common(error) => error.reply(request_id),
            Self::CloudHsm(error) => error.reply(request_id),
        }
    }
}

impl From<Refusal> for RequestError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Serialization(error) => Self::Common(error),
            Refusal::Constraints(message) => Self::CloudHsm(CloudHsmError::invalid(message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_internal_failure_is_the_servers_fault() {
        for &code in ErrorCode::ALL {
            assert_eq!(code.status() == 500, code == ErrorCode::InternalFailure, "{code}");
            assert!(code.as_str().starts_with("CloudHsm") && code.as_str().ends_with("Exception"), "{code}");
        }
    }

    #[test]
    fn a_reply_names_its_type_and_has_a_message() {
        let reply = CloudHsmError::invalid("No.").reply("id");
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        let expected = serde_json::json!({"__type": "CloudHsmInvalidRequestException", "Message": "No."});
        assert_eq!((reply.status, body), (400, expected));
        assert!(reply.headers.contains(&("x-amzn-errortype", "CloudHsmInvalidRequestException".to_owned())));
    }
}
