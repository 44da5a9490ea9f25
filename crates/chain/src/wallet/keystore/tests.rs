//! Our own files, and files that are none. Those of other programs are in the corpus of the tests.

use std::path::PathBuf;

use super::*;

const SECRET: [u8; 32] = alloy_primitives::b256!("7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d").0;
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.json");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn a_saved_wallet_opens_is_private_and_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.json");
    let wallet = Wallet::from_secret(&SECRET, "test").unwrap();
    wallet.save(&path, "pässword".as_bytes()).unwrap();
    assert_eq!(Wallet::from_keystore(&path, "pässword".as_bytes()).unwrap(), wallet);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&hex::encode(SECRET)));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = Wallet::generate().unwrap().save(&path, b"x").unwrap_err();
    assert!(matches!(again, WalletError::Exists { .. }));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn what_is_no_key_file_says_where_it_ends_or_what_it_lacks() {
    let cases = [
        (" ".repeat(70_000), "65536 bytes"),
        ("{}".into(), "`version` is missing"),
        ("[3]".into(), "it is no JSON object"),
        ("{".into(), "it is no JSON, line 1, column 1"),
        ("".into(), "it is no JSON, line 1, column 0"),
        (format!("{}{}", "[".repeat(200), "]".repeat(200)), "it is no JSON"),
    ];
    for (text, named) in cases {
        let (_folder, path) = file(&text);
        let error = Wallet::from_keystore(&path, b"testpassword").unwrap_err();
        assert!(matches!(error, WalletError::NotAKeystore { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error} should name {named}");
    }
}

#[test]
fn numbers_that_are_written_as_text_are_read() {
    let wallet = Wallet::from_secret(&SECRET, "test").unwrap();
    let sealed = serde_json::to_string(&wallet.seal(b"hunter2hunter2").unwrap()).unwrap();
    let text = sealed.replace("\"version\":3", "\"version\":\"3\"").replace("131072", "\"131072\"");
    assert_ne!(text, sealed);
    let (_folder, path) = file(&text);
    assert_eq!(Wallet::from_keystore(&path, b"hunter2hunter2").unwrap(), wallet);
    let other = sealed
        .replace("\"version\":3", "\"version\":3.0")
        .replace("aes-128-ctr", "AES-128-CTR")
        .replace("131072", "131072.0");
    let (_other, marked) = file(&format!("\u{feff}{other}"));
    assert_eq!(Wallet::from_keystore(&marked, b"hunter2hunter2").unwrap(), wallet);
    let (_half, half) = file(&sealed.replace("\"version\":3", "\"version\":3.5"));
    let said = Wallet::from_keystore(&half, b"hunter2hunter2").unwrap_err().to_string();
    assert!(said.contains("it is of version 3.5"), "{said}");
    let error = Wallet::from_keystore(&path, b"hunter2hunter3").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
}
