//! An example of the format's own page, one of another program, our own files, and files that try to hurt.

use std::path::PathBuf;

use super::*;

const SECRET: [u8; 32] = alloy_primitives::b256!("7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d").0;
const PBKDF2: &str = r#"{ "crypto": {
    "cipher": "aes-128-ctr",
    "cipherparams": { "iv": "6087dab2f9fdbbfaddc31a909735c1e6" },
    "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
    "kdf": "pbkdf2",
    "kdfparams": { "c": 262144, "dklen": 32, "prf": "hmac-sha256",
        "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd" },
    "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"
  }, "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6", "version": 3 }"#;
/// By Python's `eth-keyfile` 0.10.0, with the cost that geth uses. (The format page's own scrypt example has
/// `r = 1` with `N = 2^18`, which RFC 7914 rules out.)
const SCRYPT: &str = r#"{ "crypto": {
    "cipher": "aes-128-ctr",
    "cipherparams": { "iv": "4ec95b182a8bd47b2575414bd3d2674c" },
    "ciphertext": "9ae60f29ab7569513451c70922c97c320eb6efc6b6d6c06d7595ff33b8bfd54f",
    "kdf": "scrypt",
    "kdfparams": { "dklen": 32, "n": 262144, "r": 8, "p": 1,
        "salt": "6fe499755389788843e415956f004e62" },
    "mac": "db001d340ccd04de56226a7367be99193cb8e104f82a84a43b37bf8da450c238"
  }, "id": "8b940aa1-ba37-4ac4-98c6-a43e2c1afa23", "version": 3 }"#;

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.json");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn files_of_other_programs_open() {
    for example in [PBKDF2, SCRYPT] {
        let (_folder, path) = file(example);
        let wallet = Wallet::from_keystore(&path, b"testpassword").unwrap();
        assert_eq!(*wallet.secret(), SECRET);
        let error = Wallet::from_keystore(&path, b"testpassworD").unwrap_err();
        assert!(matches!(error, WalletError::WrongPassword { .. }), "{error}");
    }
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
fn a_file_cannot_ask_for_more_than_the_limits() {
    let cases = [
        (SCRYPT.replace("262144", "1073741824"), "n=1073741824"),
        (SCRYPT.replace("262144", "262143"), "n=262143"),
        (SCRYPT.replace("\"r\": 8", "\"r\": 4294967295"), "r=4294967295"),
        (SCRYPT.replace("\"p\": 1", "\"p\": 17"), "p=17"),
        // 512 MiB in its blocks, and as much again for each of its lanes.
        (SCRYPT.replace("262144", "2").replace("\"r\": 8, \"p\": 1", "\"r\": 2097152, \"p\": 16"), "p=16; at most"),
        (SCRYPT.replace("\"dklen\": 32", "\"dklen\": 64"), "64 bytes"),
        (PBKDF2.replace("262144", "4294967295"), "4294967295 rounds"),
        (PBKDF2.replace("262144", "0"), "0 rounds"),
        (PBKDF2.replace("hmac-sha256", "hmac-md5"), "hmac-md5"),
        (PBKDF2.replace("aes-128-ctr", "aes-128-cbc"), "aes-128-cbc"),
        (PBKDF2.replace("\"version\": 3", "\"version\": 1"), "version 1"),
        (PBKDF2.replace("aa46\"", "\""), "ciphertext is not 32 bytes"),
        (PBKDF2.replace("pbkdf2", "argon2"), "none of version 3, line 9"),
        (" ".repeat(20_000), "16384 bytes"),
        ("{}".into(), "a part is missing or is none of version 3, line 1, column 2"),
        ("{".into(), "it is no JSON, line 1, column 1"),
    ];
    for (text, named) in cases {
        let (_folder, path) = file(&text);
        let error = Wallet::from_keystore(&path, b"testpassword").unwrap_err();
        assert!(matches!(error, WalletError::NotAKeystore { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error} should name {named}");
    }
}

#[test]
fn a_file_that_names_another_account_is_refused() {
    let other = SCRYPT.replacen('{', r#"{ "address": "f39fd6e51aad88f6f4ce6ab8827279cfffb92266","#, 1);
    let (_folder, path) = file(&other);
    let error = Wallet::from_keystore(&path, b"testpassword").unwrap_err();
    assert!(error.to_string().contains("it says account 0xf39F"), "{error}");
    let same = SCRYPT.replacen('{', r#"{ "address": "008aeeda4d805471df9b2a5b0f38a0c3bcba786b","#, 1);
    let (_folder, path) = file(&same);
    Wallet::from_keystore(&path, b"testpassword").unwrap();
}

#[test]
fn no_error_repeats_the_password() {
    let (_folder, path) = file(SCRYPT);
    let error = Wallet::from_keystore(&path, b"hunter2hunter2").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn a_key_in_place_of_a_keystore_is_not_repeated() {
    let key = hex::encode(SECRET);
    for text in [format!("\"{key}\""), format!("{{ \"version\": \"{key}\" }}"), key.clone()] {
        let (_folder, path) = file(&text);
        let error = Wallet::from_keystore(&path, b"testpassword").unwrap_err();
        assert!(matches!(error, WalletError::NotAKeystore { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains(&key[..8]), "{error}");
    }
}
