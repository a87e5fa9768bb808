//! A key service that speaks AWS's protocol: a real one, and one that refuses.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use model::{DataKeyId, KmsKeyId};
use store::keys::AwsKms;
use store::{DataKey, KeyErrorKind, KeyService, KeyState, KmsAddress, WrapContext, Wrapped};
use testkit::link::Link;
use testkit::moto::Moto;
use testkit::program;

fn moto() -> Moto {
    Moto::start(&program::installed(Path::new(env!("CARGO_TARGET_TMPDIR")), "moto_server")).unwrap()
}

async fn keys(address: &str, region: &str) -> AwsKms {
    let address: KmsAddress = format!("awskms://?endpoint=http://{address}&region={region}").parse().unwrap();
    let key = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let environment = key.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let keys = address.open(&"eu-west-1".parse().unwrap(), environment).unwrap();
    keys.create_default().await.unwrap();
    keys
}

fn context(data_key: DataKeyId) -> WrapContext {
    WrapContext { account: "123456789012".parse().unwrap(), data_key }
}

#[tokio::test]
async fn data_keys_are_wrapped_unwrapped_and_wrapped_anew() {
    let server = moto();
    let keys = keys(server.address(), "eu-west-1").await;
    let by = keys.default_key().await.unwrap();
    let (key, bytes) = keys.generate(&by, &context(DataKeyId([0; 16])).account).await.unwrap();
    let (context, wrapped) = (context(key.id()), Wrapped { by: &by, bytes: &bytes });
    assert_eq!(keys.unwrap(&context, wrapped).await.unwrap().secret(), key.secret());
    let own = keys.wrap(&by, &context, &key).await.unwrap();
    assert_eq!(keys.unwrap(&context, Wrapped { bytes: &own, ..wrapped }).await.unwrap().secret(), key.secret());
    let other = keys.create().await.unwrap();
    let again = keys.rewrap(&other, &context, wrapped).await.unwrap();
    assert_eq!(keys.unwrap(&context, Wrapped { by: &other, bytes: &again }).await.unwrap().secret(), key.secret());
    // A wrapped key is bound to its name and its account, and to what was wrapped.
    let elsewhere = WrapContext { data_key: DataKeyId([1; 16]), ..context.clone() };
    assert_eq!(keys.unwrap(&elsewhere, wrapped).await.unwrap_err().kind, KeyErrorKind::Damaged);
    let elsewhere = WrapContext { account: "210987654321".parse().unwrap(), ..context.clone() };
    assert_eq!(keys.unwrap(&elsewhere, wrapped).await.unwrap_err().kind, KeyErrorKind::Damaged);
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let damaged = Wrapped { by: &by, bytes: &damaged };
    assert_eq!(keys.unwrap(&context, damaged).await.unwrap_err().kind, KeyErrorKind::Damaged);
    // This service takes note of it, but does not make new material.
    keys.rotate(&by).await.unwrap();
}

#[tokio::test]
async fn keys_are_made_found_and_listed() {
    let server = moto();
    let keys = keys(server.address(), "eu-west-1").await;
    let default = keys.default_key().await.unwrap();
    keys.create_default().await.unwrap();
    assert_eq!(keys.default_key().await.unwrap(), default, "the default is made once");
    let other = keys.create().await.unwrap();
    keys.set_state(&other, KeyState::Disabled).await.unwrap();
    let listed = keys.list().await.unwrap();
    let state = |id: &KmsKeyId| listed.iter().find(|key| key.id == *id).map(|key| (key.state, key.default));
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!(state(&default), Some((KeyState::Enabled, true)));
    assert_eq!(state(&other), Some((KeyState::Disabled, false)));
    assert_eq!(keys.find(&other).await.unwrap(), Some(KeyState::Disabled));
    keys.set_state(&other, KeyState::Enabled).await.unwrap();
    assert_eq!(keys.find(&other).await.unwrap(), Some(KeyState::Enabled));
    let stranger = KmsKeyId::random(&mut rand::rng());
    assert!(keys.find(&stranger).await.unwrap().is_none());
    let refused = keys.generate(&stranger, &context(DataKeyId([0; 16])).account).await.unwrap_err();
    assert_eq!((refused.kind, refused.key), (KeyErrorKind::NotFound, stranger.to_string()));
    // Another region of the service has other keys.
    let elsewhere = self::keys(server.address(), "us-east-1").await;
    assert!(elsewhere.find(&default).await.unwrap().is_none());
    assert_ne!(elsewhere.place(), keys.place());
}

/// A data key that was unwrapped a moment ago is not asked for again.
#[tokio::test]
async fn a_data_key_is_unwrapped_once_in_a_while() {
    let server = moto();
    let link = Link::to(server.address()).unwrap();
    let keys = keys(&link.address(), "eu-west-1").await;
    let by = keys.default_key().await.unwrap();
    let (key, bytes) = keys.generate(&by, &context(DataKeyId([0; 16])).account).await.unwrap();
    let (context, wrapped) = (context(key.id()), Wrapped { by: &by, bytes: &bytes });
    link.actions();
    for _ in 0..10 {
        assert_eq!(keys.unwrap(&context, wrapped).await.unwrap().secret(), key.secret());
    }
    assert_eq!(link.actions(), ["TrentService.Decrypt"]);
}

#[tokio::test]
async fn refusals_say_what_to_do_and_busy_services_are_asked_again() {
    let server = moto();
    let link = Link::to(server.address()).unwrap();
    let keys = keys(&link.address(), "eu-west-1").await;
    let by = keys.default_key().await.unwrap();
    let key = DataKey::generate(&mut rand::rng());
    let context = context(key.id());
    let bytes = keys.wrap(&by, &context, &key).await.unwrap();
    for (code, kind) in [
        ("DisabledException", KeyErrorKind::Disabled),
        ("KMSInvalidStateException", KeyErrorKind::Disabled),
        ("NotFoundException", KeyErrorKind::NotFound),
        ("AccessDeniedException", KeyErrorKind::Denied),
        ("UnrecognizedClientException", KeyErrorKind::Denied),
        ("InvalidCiphertextException", KeyErrorKind::Damaged),
        ("ValidationException", KeyErrorKind::Unsupported),
    ] {
        link.refuse(Some(code));
        link.requests();
        let refused = keys.unwrap(&context, Wrapped { by: &by, bytes: &bytes }).await.unwrap_err();
        assert_eq!(refused.kind, kind, "{code}");
        let why = std::error::Error::source(&refused).map(ToString::to_string).unwrap_or_default();
        assert_eq!(why, format!("{code}: so it is here"));
        assert_eq!(keys.generate(&by, &context.account).await.unwrap_err().kind, kind, "{code}");
        assert_eq!(link.requests(), 2, "{code} is final");
    }
    link.refuse(Some("DisabledException"));
    let other = KmsKeyId::random(&mut rand::rng());
    let refused = keys.rewrap(&other, &context, Wrapped { by: &by, bytes: &bytes }).await.unwrap_err();
    assert_eq!(refused.key, format!("{by} or {other}"), "it may be either");
    link.refuse(Some("ThrottlingException"));
    assert_eq!(keys.wrap(&by, &context, &key).await.unwrap_err().kind, KeyErrorKind::Unavailable);
    assert!(link.requests() > 2, "who is throttled asks again");
    link.refuse(None);
    link.fail(3);
    for _ in 0..10 {
        keys.wrap(&by, &context, &key).await.unwrap();
    }
    drop((link, server));
    let gone = keys.unwrap(&context, Wrapped { by: &by, bytes: &bytes }).await.unwrap_err();
    assert_eq!(gone.kind, KeyErrorKind::Unavailable);
}
