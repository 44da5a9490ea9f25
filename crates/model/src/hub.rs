//! Models by their name on the Hugging Face hub.
//!
//! Promise: what is fetched lands in the usual cache (`HF_HOME` or `~/.cache/huggingface`), so that
//! Python finds it too; an unreachable hub is a named error in bounded time, unless the cache has
//! the model already.

use std::{
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use hf_hub::{
    Cache, Repo, RepoType,
    api::sync::{Api, ApiBuilder},
};

use crate::error::{ModelError, Result};

/// Longest hub name, `owner/name@revision`; the hub allows 96 for the first two.
const NAME_CHARACTERS_MAX: usize = 200;
/// How long the hub may take to list a model's files.
const LISTING_DEADLINE: Duration = Duration::from_secs(30);

/// Fetches config, tokenizer and safetensors of `owner/name` or `owner/name@revision` and gives the
/// folder they are in. `HF_ENDPOINT` names another hub, `HF_HOME` another cache.
///
/// Errors: `HubName`, `Hub`.
pub fn fetch(name: &str) -> Result<PathBuf> {
    fetch_with(ApiBuilder::from_env(), &Cache::from_env(), name)
}

/// As [`fetch`], from the hub at `endpoint` into the cache at `cache`.
pub fn fetch_from(endpoint: &str, cache: &Path, name: &str) -> Result<PathBuf> {
    let cache = Cache::new(cache.into());
    let builder = ApiBuilder::from_cache(cache.clone()).with_endpoint(endpoint.into());
    fetch_with(builder, &cache, name)
}

fn fetch_with(builder: ApiBuilder, cache: &Cache, name: &str) -> Result<PathBuf> {
    let repo = parse(name)?;
    let failed = |file: &str, reason: String| ModelError::Hub { name: name.into(), file: file.into(), reason };
    let api = builder.with_progress(false).build().map_err(|error| failed("anything", error.to_string()))?;
    let listing = match list(&api, &repo) {
        Ok(listing) => listing,
        Err(reason) => {
            return cached(cache, &repo).ok_or_else(|| failed("the list of files", reason));
        }
    };
    let mut folder = None;
    for file in listing.into_iter().filter(|file| is_wanted(file)) {
        let path = get(&api, &repo, &file).map_err(|reason| failed(&file, reason))?;
        if file == "config.json" {
            folder = path.parent().map(Path::to_path_buf);
        }
    }
    folder.ok_or_else(|| failed("config.json", "the model has no such file".into()))
}

/// Names of the model's files. The client has no deadline of its own, so it waits on a thread, which
/// ends by itself once the system gives up the connection.
fn list(api: &Api, repo: &Repo) -> Result<Vec<String>, String> {
    let (send, receive) = mpsc::channel();
    let remote = api.repo(repo.clone());
    thread::spawn(move || send.send(remote.info().map_err(|error| error.to_string())));
    let info = receive
        .recv_timeout(LISTING_DEADLINE)
        .map_err(|_| format!("no answer within {} s", LISTING_DEADLINE.as_secs()))??;
    Ok(info.siblings.into_iter().map(|file| file.rfilename).collect())
}

/// One file, from the cache or the hub. On a thread of its own, since the client panics on some
/// malformed answers, and a hub's answer must not end the program.
fn get(api: &Api, repo: &Repo, file: &str) -> Result<PathBuf, String> {
    let (remote, file) = (api.repo(repo.clone()), file.to_owned());
    let answer = thread::spawn(move || remote.get(&file).map_err(|error| error.to_string())).join();
    answer.unwrap_or_else(|_| Err("the hub's answer is malformed".into()))
}

/// The folder of a model that was fetched earlier. What is missing in it, loading will name.
fn cached(cache: &Cache, repo: &Repo) -> Option<PathBuf> {
    let cached = cache.repo(repo.clone());
    let config = cached.get("config.json")?;
    cached.get("model.safetensors").or_else(|| cached.get("model.safetensors.index.json"))?;
    config.parent().map(Path::to_path_buf)
}

/// Plain names only: a listing must not lead outside the folder.
fn is_wanted(file: &str) -> bool {
    let plain = Path::new(file).file_name().is_some_and(|name| name == file);
    let named = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"];
    let others =
        ["special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "model.safetensors.index.json"];
    let shard = file.starts_with("model") && file.ends_with(".safetensors");
    plain && (shard || named.contains(&file) || others.contains(&file))
}

/// `owner/name`, then perhaps `@revision`.
fn parse(given: &str) -> Result<Repo> {
    let (path, revision) = given.split_once('@').unwrap_or((given, "main"));
    let valid = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let parts: Vec<&str> = path.split('/').collect();
    let fits = parts.len() == 2 && given.len() <= NAME_CHARACTERS_MAX;
    if !fits || !parts.into_iter().chain([revision]).all(valid) {
        return Err(ModelError::HubName { given: given.into(), limit: NAME_CHARACTERS_MAX });
    }
    Ok(Repo::with_revision(path.into(), RepoType::Model, revision.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_name_is_owner_and_name_and_perhaps_a_revision() {
        let repo = parse("Qwen/Qwen2.5-0.5B-Instruct").unwrap();
        assert_eq!((repo.url().as_str(), repo.revision()), ("Qwen/Qwen2.5-0.5B-Instruct", "main"));
        assert_eq!(parse("a/b@v1.0").unwrap().revision(), "v1.0");
    }

    #[test]
    fn what_is_no_hub_name_is_refused_before_anything_is_asked() {
        let long = format!("a/{}", "b".repeat(NAME_CHARACTERS_MAX));
        for bad in ["", "a", "a/", "/b", "a/b/c", "../b", "a/..", "a/b@", "a/b@../x", "a b/c", "a/b?x=1", &long] {
            assert!(matches!(parse(bad), Err(ModelError::HubName { .. })), "{bad:?} was taken");
        }
    }

    #[test]
    fn only_plain_names_of_model_files_are_fetched() {
        for good in ["config.json", "tokenizer.json", "model.safetensors", "model-00001-of-00002.safetensors"] {
            assert!(is_wanted(good), "{good} was left out");
        }
        for bad in
            ["../config.json", "onnx/model.safetensors", "pytorch_model.bin", "modeling.py", "/etc/model.safetensors"]
        {
            assert!(!is_wanted(bad), "{bad} would be fetched");
        }
    }

    #[test]
    fn an_unreachable_hub_is_a_named_error() {
        let cache = tempfile::tempdir().unwrap();
        // Port 1 of this machine refuses at once.
        let error = fetch_from("http://127.0.0.1:1", cache.path(), "a/b").unwrap_err();
        assert!(matches!(&error, ModelError::Hub { name, .. } if name == "a/b"), "got {error}");
    }
}
