//! Errors that every AWS JSON service can answer with, whatever its own model says.

use super::json;
use crate::http::Reply;

macro_rules! common_codes {
    ($($(#[$doc:meta])* $variant:ident = $wire:literal, $status:literal, $message:literal;)*) => {
        /// Why a request was refused before, or outside of, a service's own rules.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CommonCode {
            $($(#[$doc])* $variant,)*
        }

        impl CommonCode {
            /// Every code, in the order in which requests meet them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $wire,)*
                }
            }

            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)*
                }
            }

            /// What is said when there is nothing more to say.
            pub fn message(self) -> &'static str {
                match self {
                    $(Self::$variant => $message,)*
                }
            }
        }
    };
}

common_codes! {
    /// The method is not `POST`, or the path is not `/`.
    UnknownEndpoint = "UnknownOperationException", 404, "Requests are sent with POST to the path /.";
    /// The target names no operation.
    UnknownOperation = "UnknownOperationException", 400, "The requested operation is not known.";
    /// More bytes than any request needs.
    RequestEntityTooLarge = "RequestEntityTooLargeException", 413, "The request is too large.";
    /// The request is not signed.
    MissingAuthenticationToken = "MissingAuthenticationTokenException", 400, "Missing Authentication Token";
    /// The signature lacks a part, or a part is malformed.
    IncompleteSignature = "IncompleteSignatureException", 400,
        "The request signature does not conform to AWS standards.";
    /// The access key is unknown, or the session token is not its own.
    UnrecognizedClient = "UnrecognizedClientException", 400,
        "The security token included in the request is invalid.";
    /// The session is over.
    ExpiredToken = "ExpiredTokenException", 400, "The security token included in the request is expired";
    /// The signature does not hold: wrong key, scope, time or content.
    InvalidSignature = "InvalidSignatureException", 400,
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
         Key and signing method. Consult the service documentation for details.";
    /// The account may not use the service or the region.
    OptInRequired = "OptInRequired", 403, "The AWS Access Key Id needs a subscription for the service.";
    /// The caller asks too often.
    Throttling = "ThrottlingException", 400, "Rate exceeded";
    /// The body is not JSON, or a member is of another type than modelled.
    Serialization = "SerializationException", 400, "The request body could not be read.";
    /// A model constraint failed, in a service that has no code of its own for that.
    Validation = "ValidationException", 400, "The input fails to satisfy the constraints of the service.";
    /// An identity policy forbids the action.
    AccessDenied = "AccessDeniedException", 400, "You are not authorized to perform this operation.";
    /// Something broke outside of the service's own model.
    InternalFailure = "InternalFailure", 500, "The request failed because of an internal error.";
    /// The server cannot take the request now.
    ServiceUnavailable = "ServiceUnavailableException", 503, "The service is temporarily unavailable.";
}

/// A refusal that is not in a service's own model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct CommonError {
    /// What the caller's program goes by.
    pub code: CommonCode,
    /// What a person reads.
    pub message: String,
}

impl CommonError {
    /// An error with a message of its own.
    pub fn new(code: CommonCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The reply. Errors outside of a model spell the member `message` small, as the real services do.
    pub fn reply(&self, request_id: &str) -> Reply {
        let failure = json::Failure {
            code: self.code.as_str(),
            status: self.code.status(),
            message_name: "message",
            message: &self.message,
            members: &[],
        };
        failure.reply(request_id)
    }
}

impl From<CommonCode> for CommonError {
    fn from(code: CommonCode) -> Self {
        Self::new(code, code.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_common_error_has_a_name_a_status_and_a_message() {
        for &code in CommonCode::ALL {
            assert!((400..=503).contains(&code.status()), "{code:?}");
            assert!(!code.message().is_empty() && !code.as_str().contains(['#', ':', ' ']), "{code:?}");
        }
    }

    #[test]
    fn the_reply_spells_message_small() {
        let reply = CommonError::from(CommonCode::MissingAuthenticationToken).reply("id");
        let body = r#"{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}"#;
        assert_eq!((reply.status, std::str::from_utf8(&reply.body).unwrap()), (400, body));
    }
}
