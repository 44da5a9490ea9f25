//! Fetching by name, from a small hub on this machine.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
};

use model::{ModelError, Transformer, hub};

use crate::support::{device, fixture, load};

const NAME: &str = "someone/tiny-llama";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Serves `folder` as the model [`NAME`], one answer per connection, and gives the address.
fn serve(folder: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let folder = folder.to_path_buf();
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap(), &folder);
        }
    });
    address
}

fn answer(mut stream: TcpStream, folder: &Path) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    let request = lines.next().unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let range = headers.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    let reply = if path == format!("/api/models/{NAME}/revision/main") {
        let files: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let siblings: Vec<_> = files.iter().map(|name| serde_json::json!({"rfilename": name})).collect();
        let body = serde_json::json!({"sha": COMMIT, "siblings": siblings}).to_string();
        reply("200 OK", &[], body.as_bytes())
    } else if let Some(name) = path.strip_prefix(&format!("/{NAME}/resolve/main/")) {
        let bytes = fs::read(folder.join(name)).unwrap();
        let range = range.expect("the client asks by range");
        let (begin, end) = range.split_once('-').unwrap();
        let begin: usize = begin.parse().unwrap();
        let end = end.parse().map_or(bytes.len(), |end: usize| end + 1);
        let content_range = format!("Content-Range: bytes {begin}-{}/{}", end - 1, bytes.len());
        let etag = format!("ETag: \"{}\"", name.replace('.', "-"));
        let commit = format!("x-repo-commit: {COMMIT}");
        reply("206 Partial Content", &[&content_range, &etag, &commit], &bytes[begin..end])
    } else {
        reply("404 Not Found", &[], b"")
    };
    stream.write_all(&reply).unwrap();
    stream.flush().unwrap();
    // Until the other side closes.
    let _ = stream.read(&mut [0]);
}

fn reply(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
    for header in headers {
        text.push_str(&format!("{header}\r\n"));
    }
    text.push_str("\r\n");
    [text.as_bytes(), body].concat()
}

#[test]
fn a_sharded_model_is_fetched_by_name_and_found_again_without_the_hub() {
    let cache = tempfile::tempdir().unwrap();
    let endpoint = serve(&fixture("llama3"));
    let folder = hub::fetch_from(&endpoint, cache.path(), NAME).unwrap();
    assert_eq!(Transformer::load(&folder, &device()).unwrap().snapshot().values(), load("llama3").snapshot().values());
    // What is no part of a model stays where it is.
    assert!(!folder.join("expected.safetensors").exists());
    // Port 1 refuses: only the cache is left.
    assert_eq!(hub::fetch_from("http://127.0.0.1:1", cache.path(), NAME).unwrap(), folder);
}

#[test]
fn a_model_that_the_hub_does_not_have_is_a_named_error() {
    let cache = tempfile::tempdir().unwrap();
    let endpoint = serve(&fixture("llama3"));
    let error = hub::fetch_from(&endpoint, cache.path(), "someone/else").unwrap_err();
    assert!(matches!(&error, ModelError::Hub { reason, .. } if reason.contains("404")), "{error}");
}

#[test]
fn a_folder_without_a_configuration_is_no_model() {
    let (cache, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let error = hub::fetch_from(&serve(empty.path()), cache.path(), NAME).unwrap_err();
    assert!(matches!(&error, ModelError::Hub { file, .. } if file == "config.json"), "{error}");
}
