//! Errors that every product of Tencent Cloud can answer with.

use crate::http::Reply;

/// Declares an enum of error codes: variant, code on the wire, and what a caller is told by default.
macro_rules! error_codes {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $wire:literal: $message:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[doc = concat!("`", $wire, "`: ", $message)] $variant,)*
        }

        impl $name {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code on the wire: a first-level code, perhaps a dot and a detail.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $wire,)*
                }
            }

            /// What a caller is told when there is nothing more precise to say.
            pub fn message(self) -> &'static str {
                match self {
                    $(Self::$variant => $message,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use error_codes;

error_codes! {
    /// The codes of "Common Error Codes" in Tencent Cloud's API documentation.
    CommonCode {
        ActionOffline = "ActionOffline": "The operation has been withdrawn.",
        AuthFailureInvalidAuthorization = "AuthFailure.InvalidAuthorization":
            "The Authorization header is missing or not in the standard form.",
        AuthFailureInvalidSecretId = "AuthFailure.InvalidSecretId": "The key is disabled or is not an API key.",
        AuthFailureMfaFailure = "AuthFailure.MFAFailure": "The multi-factor check failed.",
        AuthFailureSecretIdNotFound = "AuthFailure.SecretIdNotFound": "The SecretId is not found.",
        AuthFailureSignatureExpire = "AuthFailure.SignatureExpire":
            "The signature has expired: the timestamp and the server's time differ by more than five minutes.",
        AuthFailureSignatureFailure = "AuthFailure.SignatureFailure":
            "The provided credentials could not be validated. Please check your signature is correct.",
        AuthFailureTokenFailure = "AuthFailure.TokenFailure": "The session token is wrong or has expired.",
        AuthFailureUnauthorizedOperation = "AuthFailure.UnauthorizedOperation":
            "You are not authorized to perform this operation.",
        DryRunOperation = "DryRunOperation": "The request would have succeeded, but this was a dry run.",
        FailedOperation = "FailedOperation": "The operation failed.",
        InternalError = "InternalError": "An internal error has occurred. Retry your request.",
        InvalidAction = "InvalidAction": "The requested action does not exist.",
        InvalidParameter = "InvalidParameter": "A parameter has the wrong format or type.",
        InvalidParameterValue = "InvalidParameterValue": "The value of a parameter is not acceptable.",
        InvalidRequest = "InvalidRequest": "The request is malformed.",
        IpInBlacklist = "IpInBlacklist": "Your address is on the deny list.",
        IpNotInWhitelist = "IpNotInWhitelist": "Your address is not on the allow list.",
        LimitExceeded = "LimitExceeded": "A quota is exhausted.",
        MissingParameter = "MissingParameter": "A required parameter is missing.",
        NoSuchProduct = "NoSuchProduct": "The product does not exist.",
        NoSuchVersion = "NoSuchVersion": "The API version does not exist.",
        RequestLimitExceeded = "RequestLimitExceeded": "The request frequency exceeds the limit.",
        RequestLimitExceededGlobalRegionUinLimitExceeded = "RequestLimitExceeded.GlobalRegionUinLimitExceeded":
            "The account's request frequency exceeds the limit over all regions.",
        RequestLimitExceededIpLimitExceeded = "RequestLimitExceeded.IPLimitExceeded":
            "The address's request frequency exceeds the limit.",
        RequestLimitExceededUinLimitExceeded = "RequestLimitExceeded.UinLimitExceeded":
            "The account's request frequency exceeds the limit.",
        RequestSizeLimitExceeded = "RequestSizeLimitExceeded": "The request is too large.",
        ResourceInUse = "ResourceInUse": "The resource is in use.",
        ResourceInsufficient = "ResourceInsufficient": "There are not enough resources.",
        ResourceNotFound = "ResourceNotFound": "The resource does not exist.",
        ResourceUnavailable = "ResourceUnavailable": "The resource is not available.",
        ResponseSizeLimitExceeded = "ResponseSizeLimitExceeded": "The reply is too large.",
        ServiceUnavailable = "ServiceUnavailable": "The service is unavailable at present. Try again later.",
        UnauthorizedOperation = "UnauthorizedOperation": "You are not authorized to perform this operation.",
        UnknownParameter = "UnknownParameter": "An unknown parameter was passed.",
        UnsupportedOperation = "UnsupportedOperation": "The operation is not supported.",
        UnsupportedProtocol = "UnsupportedProtocol": "Only GET and POST requests over HTTPS are supported.",
        UnsupportedRegion = "UnsupportedRegion": "The region does not offer this service.",
    }
}

/// A refusal with a common code. The message goes to the caller as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct TencentError {
    /// The code on the wire.
    pub code: CommonCode,
    /// The text on the wire; never holds a secret.
    pub message: String,
}

impl TencentError {
    /// A refusal that says more than the code's own text.
    pub fn new(code: CommonCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The reply that carries this error.
    pub fn reply(&self, request_id: &str) -> Reply {
        super::failure(self.code.as_str(), &self.message, request_id)
    }
}

impl From<CommonCode> for TencentError {
    fn from(code: CommonCode) -> Self {
        Self::new(code, code.message())
    }
}
