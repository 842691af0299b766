//! Requests and answers.

use super::form::{self, Kind};
use super::guard::Guard;
use super::jobs::{Job, Jobs, Order, State};
use super::places::Places;
use super::settings::{Settings, shell};
use super::suggest::suggestions;
use super::{Check, Checked, Example, Unpack};
use oxhttp::model::header::{CONNECTION, HeaderName, HeaderValue};
use oxhttp::model::{Body, Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Bytes that a request may hold.
pub const MOST_BYTES: u64 = 1 << 20;

/// Entries of a directory that are listed.
const MOST_ENTRIES: usize = 500;

/// The record that runs write next to their results.
const RECORD: &str = "run.json";

/// Options that say where results go.
const RESULTS: &[&str] = &[
    "out",
    "json",
    "report",
    "npz",
    "nir-data",
    "predictions",
    "outputs",
    "picture",
    "export",
    "trace",
    "summary",
    "save-scales",
    "save-parsed",
    "save-normalised",
    "save-activations",
];

/// Commands that take seconds.
const SHORT: &[&str] = &["check", "hardware", "inspect", "report"];

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page loads nothing from elsewhere, and is in no other page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' \
    data:; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Pages of results have their own scripts and styles, no origin, and load nothing.
const RESULT_POLICY: &str = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src \
    'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// All that answers need.
pub struct Site {
    pub places: Places,
    /// The program's name on command lines.
    pub name: String,
    pub commands: Vec<form::Command>,
    pub check: Box<Check>,
    pub example: (Example, Box<Unpack>),
    pub jobs: Jobs,
}

/// A status, a kind of content, and the content.
struct Answer {
    status: StatusCode,
    kind: &'static str,
    policy: &'static str,
    body: Body,
}

impl Answer {
    fn text(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", policy: POLICY, body: message.into().into() }
    }

    fn refused(message: impl Into<String>) -> Self {
        Self::text(StatusCode::FORBIDDEN, message)
    }

    fn fault(message: impl Into<String>) -> Self {
        Self::text(StatusCode::BAD_REQUEST, message)
    }

    fn missing(message: impl Into<String>) -> Self {
        Self::text(StatusCode::NOT_FOUND, message)
    }

    fn json(value: &serde_json::Value) -> Self {
        Self { status: StatusCode::OK, kind: "application/json", policy: POLICY, body: value.to_string().into() }
    }

    fn asset(kind: &'static str, text: &'static str) -> Self {
        Self { status: StatusCode::OK, kind, policy: POLICY, body: text.into() }
    }

    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        let headers = [
            ("content-type", self.kind),
            ("content-security-policy", self.policy),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
        ];
        for (name, value) in headers {
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        response
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Save {
    path: String,
    settings: Settings,
    #[serde(default)]
    replace: bool,
}

impl Site {
    /// Answers a request.
    pub fn answer(&self, guard: &Guard, request: &mut Request<Body>) -> Response<Body> {
        let answer = self.answer_to(guard, request);
        if answer.status != StatusCode::OK {
            // What the request still holds is not waited for.
            *request.body_mut() = Body::empty();
            request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer.into_response()
    }

    fn answer_to(&self, guard: &Guard, request: &mut Request<Body>) -> Answer {
        let uri = request.uri().clone();
        // Bytes that are no text make a value that nothing is equal to.
        let header = |name: &str| {
            let value = request.headers().get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let path = match guard.admit(uri.path(), header) {
            Ok(path) => path,
            Err(refused) => return Answer::refused(refused.message()),
        };
        let path_asked = || parameter(uri.query().unwrap_or_default(), "path").unwrap_or_default();
        let parts: Vec<&str> = path.split('/').collect();
        if request.method() == Method::GET {
            return match &parts[..] {
                [""] => Answer::asset("text/html; charset=utf-8", PAGE),
                ["page.css"] => Answer::asset("text/css; charset=utf-8", STYLE),
                ["page.js"] => Answer::asset("text/javascript; charset=utf-8", SCRIPT),
                ["api", "forms"] => {
                    let directory = self.places.directory().display().to_string();
                    let example = &self.example.0;
                    Answer::json(&json!({ "commands": self.commands, "directory": directory, "example": example }))
                }
                ["api", "suggestions"] => Answer::json(&json!(suggestions(self.places.directory()))),
                ["api", "files"] => self.files(&path_asked()),
                ["api", "jobs"] => Answer::json(&json!(self.jobs.list())),
                ["api", "jobs", number] => self.job(number),
                ["api", "settings"] => self.load(&path_asked()),
                ["file", rest @ ..] => self.file(&decoded(&rest.join("/"))),
                _ => Answer::missing("expected an address of this server, found another"),
            };
        }
        if request.method() != Method::POST {
            return Answer::text(StatusCode::METHOD_NOT_ALLOWED, "expected GET or POST");
        }
        let body = match body(request) {
            Ok(body) => body,
            Err(refused) => return refused,
        };
        match &parts[..] {
            ["api", "jobs", number, "cancel"] => {
                let is_cancelled = number.parse().is_ok_and(|number| self.jobs.cancel(number));
                let none = || Answer::missing("expected a job that waits or runs, found none");
                if is_cancelled { Answer::json(&json!({})) } else { none() }
            }
            ["api", "line"] => self.with_settings(&body, |settings, words| {
                let Checked { fault, without_effect } = self.checked(settings, words);
                Answer::json(&json!({ "line": shell(words), "fault": fault, "without_effect": without_effect }))
            }),
            ["api", "jobs"] => self.with_settings(&body, |settings, words| self.start(settings, words)),
            ["api", "settings"] => match serde_json::from_slice(&body) {
                Ok(save) => self.save(&save),
                Err(error) => Answer::fault(format!("expected a path and settings, found: {error}")),
            },
            ["api", "example"] => self.unpack(),
            _ => Answer::missing("expected an address of this server, found another"),
        }
    }

    /// Reads settings and has them answered.
    fn with_settings(&self, body: &[u8], answer: impl FnOnce(&Settings, &[String]) -> Answer) -> Answer {
        let settings: Settings = match serde_json::from_slice(body) {
            Ok(settings) => settings,
            Err(error) => return Answer::fault(format!("expected a command and its arguments, found: {error}")),
        };
        match settings.words(&self.name, &self.commands) {
            Ok(words) => answer(&settings, &words),
            Err(error) => Answer::fault(error.to_string()),
        }
    }

    fn checked(&self, settings: &Settings, words: &[String]) -> Checked {
        let mut outside = settings.texts().filter_map(|(name, value)| Some((name, self.places.outside(&value)?)));
        match outside.next() {
            // What is outside is not even looked at.
            Some((name, place)) => {
                Checked { fault: Some(format!("{name}: {}", self.outside(&place))), ..Checked::default() }
            }
            None => (self.check)(words),
        }
    }

    fn start(&self, settings: &Settings, words: &[String]) -> Answer {
        if let Some(fault) = self.checked(settings, words).fault {
            return Answer::fault(fault);
        }
        let order = Order {
            command: settings.command.clone(),
            line: shell(words),
            words: words[1..].to_vec(),
            results: self.results(settings),
            is_short: SHORT.contains(&&settings.command[..]),
        };
        match self.jobs.add(order) {
            Some(number) => Answer::json(&json!({ "number": number })),
            None => Answer::text(StatusCode::TOO_MANY_REQUESTS, "too many jobs wait; cancel some"),
        }
    }

    fn outside(&self, place: &str) -> String {
        let directory = self.places.directory().display();
        format!("expected a path in {directory}, found {place}; 'megasim serve --allow DIR' allows another directory")
    }

    /// Paths that options name as results.
    fn results(&self, settings: &Settings) -> Vec<String> {
        let command = self.commands.iter().find(|command| command.name == settings.command);
        let fields = || command.into_iter().flat_map(form::Command::fields);
        let is_result = |name: &str| {
            RESULTS.contains(&name) && fields().any(|field| field.name == name && field.kind == Kind::Path)
        };
        settings.texts().filter(|(name, path)| is_result(name) && path != "-").map(|(_, path)| path).collect()
    }

    /// A job, its output, and the files that it wrote.
    fn job(&self, number: &str) -> Answer {
        let found = number.parse().ok().and_then(|number| self.jobs.output(number));
        let Some((job, output)) = found else {
            return Answer::missing(format!("expected the number of a job, found {number}"));
        };
        let (results, records) = self.written(&job);
        Answer::json(&json!({ "job": job, "output": output, "results": results, "records": records }))
    }

    /// Results of a job that are there, and the records of runs next to them.
    fn written(&self, job: &Job) -> (Vec<serde_json::Value>, Vec<String>) {
        // What failed wrote nothing; what was stopped may have written results so far.
        if !matches!(job.state, State::Done | State::Cancelled) {
            return (Vec::new(), Vec::new());
        }
        let exists =
            |path: &Path| path.to_str().and_then(|path| self.places.resolve(path)).is_some_and(|it| it.exists());
        let mut records: Vec<String> = Vec::new();
        let mut results = Vec::new();
        for name in &job.results {
            let path = Path::new(name);
            if !exists(path) {
                continue;
            }
            let is_directory = self.places.resolve(name).is_some_and(|it| it.is_dir());
            results.push(json!({ "path": name, "directory": is_directory }));
            let record = if is_directory { path.join(RECORD) } else { path.with_file_name(RECORD) };
            let shown = record.to_string_lossy().into_owned();
            if exists(&record) && !records.contains(&shown) {
                records.push(shown);
            }
        }
        (results, records)
    }

    /// A directory's entries.
    fn files(&self, path: &str) -> Answer {
        let Some(place) = self.places.resolve(path) else { return Answer::refused(self.outside(path)) };
        let Ok(entries) = fs::read_dir(&place) else {
            return Answer::missing(format!("{path}: expected a directory"));
        };
        let mut listed: Vec<_> = entries
            .flatten()
            .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
            .map(|entry| {
                let is_directory = entry.path().is_dir();
                let size = entry.metadata().ok().filter(|_| !is_directory).map(|known| known.len());
                (!is_directory, entry.file_name().to_string_lossy().into_owned(), size)
            })
            .collect();
        listed.sort();
        let more = listed.len().saturating_sub(MOST_ENTRIES);
        let entries: Vec<_> = listed
            .into_iter()
            .take(MOST_ENTRIES)
            .map(|(is_file, name, size)| json!({ "name": name, "directory": !is_file, "size": size }))
            .collect();
        Answer::json(&json!({ "path": path, "entries": entries, "more": more }))
    }

    /// A file of results.
    fn file(&self, path: &str) -> Answer {
        let Some(place) = self.places.resolve(path) else { return Answer::refused(self.outside(path)) };
        let kind = match place.extension().and_then(|ending| ending.to_str()).unwrap_or_default() {
            "html" => "text/html; charset=utf-8",
            "svg" => "image/svg+xml",
            "png" => "image/png",
            "json" => "application/json",
            "csv" | "txt" | "toml" | "md" | "sch" | "prm" | "stim" | "evs" => "text/plain; charset=utf-8",
            _ => "application/octet-stream",
        };
        // A pipe would wait for its other end.
        if !place.is_file() {
            return Answer::missing(format!("{path}: expected a file"));
        }
        match File::open(&place) {
            Ok(file) => Answer { status: StatusCode::OK, kind, policy: RESULT_POLICY, body: Body::from_read(file) },
            Err(error) => Answer::missing(format!("{path}: cannot be read: {error}")),
        }
    }

    /// Writes the files of the example.
    fn unpack(&self) -> Answer {
        let (example, unpack) = &self.example;
        // A link with its name may lead elsewhere.
        if let Some(path) = [&example.model, &example.data].into_iter().find(|path| self.places.resolve(path).is_none())
        {
            return Answer::refused(self.outside(path));
        }
        match unpack() {
            Ok(()) => Answer::json(&json!(example)),
            Err(fault) => Answer::fault(fault),
        }
    }

    fn load(&self, path: &str) -> Answer {
        let Some(place) = self.places.resolve(path) else { return Answer::refused(self.outside(path)) };
        if fs::metadata(&place).is_ok_and(|file| !file.is_file() || file.len() > MOST_BYTES) {
            return Answer::fault(format!("{path}: expected a file of at most {MOST_BYTES} bytes"));
        }
        let text = match fs::read_to_string(&place) {
            Ok(text) => text,
            Err(error) => return Answer::missing(format!("{path}: cannot be read: {error}")),
        };
        match Settings::parse(&text).and_then(|it| it.words(&self.name, &self.commands).map(|_| it)) {
            Ok(settings) => Answer::json(&json!(settings)),
            Err(error) => Answer::fault(format!("{path}: {error}")),
        }
    }

    fn save(&self, save: &Save) -> Answer {
        let Save { path, settings, replace } = save;
        if Path::new(path).extension().is_none_or(|ending| ending != "toml") || path.contains(char::is_control) {
            return Answer::fault(format!("{path}: expected a name that ends in .toml"));
        }
        let Some(place) = self.places.resolve(path) else { return Answer::refused(self.outside(path)) };
        if place.exists() {
            // Only settings give way to settings.
            let is_own = fs::read_to_string(&place).is_ok_and(|text| Settings::parse(&text).is_ok());
            if !is_own || !replace {
                let what = if is_own { "exists already" } else { "is another file, which stays" };
                return Answer::text(StatusCode::CONFLICT, format!("{path}: {what}"));
            }
        }
        if let Err(error) = settings.words(&self.name, &self.commands) {
            return Answer::fault(error.to_string());
        }
        match settings.to_toml().map_err(|error| error.to_string()).and_then(|text| write(&place, path, &text)) {
            Ok(()) => Answer::json(&json!({ "path": path })),
            Err(fault) => Answer::fault(fault),
        }
    }
}

/// Writes settings whole, under another name first.
fn write(place: &Path, name: &str, text: &str) -> Result<(), String> {
    let draft: PathBuf = place.with_extension(format!("toml.{}", std::process::id()));
    let line = shell(&["megasim".into(), "run-settings".into(), name.into()]);
    let written = File::create_new(&draft).and_then(|mut file| write!(file, "# {line}\n{text}"));
    written.and_then(|()| fs::rename(&draft, place)).map_err(|error| {
        // Its own draft alone: one that was there already is another's.
        if error.kind() != std::io::ErrorKind::AlreadyExists {
            let _ = fs::remove_file(&draft);
        }
        format!("{name}: cannot be written: {error}")
    })
}

/// What a request holds.
fn body(request: &mut Request<Body>) -> Result<Vec<u8>, Answer> {
    let too_much =
        || Answer::text(StatusCode::PAYLOAD_TOO_LARGE, format!("expected at most {MOST_BYTES} bytes in a request"));
    if request.body().len().is_some_and(|length| length > MOST_BYTES) {
        return Err(too_much());
    }
    let mut body = Vec::new();
    match request.body_mut().take(MOST_BYTES + 1).read_to_end(&mut body) {
        Ok(_) if body.len() as u64 > MOST_BYTES => Err(too_much()),
        Ok(_) => Ok(body),
        Err(error) => Err(Answer::fault(format!("the request broke off: {error}"))),
    }
}

/// A parameter of a query.
fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(of, _)| *of == name).map(|(_, value)| decoded(value))
}

/// Text with bytes as `%41`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_addresses_are_decoded() {
        assert_eq!(decoded("a%20b%2fc%zz%4"), "a b/c%zz%4");
        assert_eq!(parameter("x=1&path=a%3Db", "path"), Some("a=b".into()));
    }
}
