//! `megasim serve` over HTTP, and `megasim run-settings`.

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before a test fails.
const LIMIT: Duration = Duration::from_secs(300);

/// A server in its own directory.
struct Server {
    process: Child,
    /// `127.0.0.1:PORT`.
    host: String,
    /// `/TOKEN/`.
    root: String,
    place: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(more: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), more)
    }

    fn start_in(place: tempfile::TempDir, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_megasim"));
        command.arg("serve").args(more).current_dir(place.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap_or_else(|| panic!("no address: {line}"));
        let (host, root) = address.split_once('/').unwrap();
        Self { process, host: host.into(), root: format!("/{root}"), place }
    }

    fn path(&self) -> &Path {
        self.place.path()
    }

    /// The status and the content of the answer to the bytes of a request.
    fn raw(&self, request: &[u8]) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(answer.read_line(&mut head).unwrap(), 0, "the answer broke off: {head}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        let mut body = Vec::new();
        if let Some(length) = header("content-length") {
            answer.take(length.parse().unwrap()).read_to_end(&mut body).unwrap();
        } else if header("transfer-encoding").is_some() {
            loop {
                let mut size = String::new();
                answer.read_line(&mut size).unwrap();
                let size = usize::from_str_radix(size.trim(), 16).unwrap();
                let mut chunk = vec![0; size + 2];
                answer.read_exact(&mut chunk).unwrap();
                body.extend(&chunk[..size]);
                if size == 0 {
                    break;
                }
            }
        }
        (status, head, body)
    }

    /// A request with these headers, and no other.
    fn with(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
        let (status, _, body) =
            self.raw(format!("{method} {target} HTTP/1.1\r\n{headers}{length}\r\n{body}").as_bytes());
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.with("GET", &format!("{}{path}", self.root), &[("Host", &self.host)], "")
    }

    fn post(&self, path: &str, body: &Value) -> (u16, String) {
        let origin = format!("http://{}", self.host);
        let headers = [("Host", &self.host[..]), ("Origin", &origin)];
        self.with("POST", &format!("{}{path}", self.root), &headers, &body.to_string())
    }

    fn read(&self, path: &str) -> Value {
        let (status, text) = self.get(path);
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Starts a job; its number.
    fn job(&self, command: &str, arguments: Value) -> u64 {
        let (status, text) = self.post("api/jobs", &json!({ "command": command, "arguments": arguments }));
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["number"].as_u64().unwrap()
    }

    fn state(&self, number: u64) -> Value {
        self.read(&format!("api/jobs/{number}"))
    }

    /// Waits until a job has one of these states; what is known of it then.
    fn wait(&self, number: u64, states: &[&str]) -> Value {
        let start = Instant::now();
        loop {
            let found = self.state(number);
            let state = found["job"]["state"].as_str().unwrap();
            if states.contains(&state) {
                return found;
            }
            let over = ["done", "failed", "cancelled"].contains(&state);
            assert!(!over && start.elapsed() < LIMIT, "expected {states:?}: {found:#}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Unpacks the demo and converts its network into `net`.
    fn with_network(more: &[&str]) -> Self {
        let server = Self::start(more);
        let (status, text) = server.post("api/example", &json!({}));
        assert_eq!(status, 200, "{text}");
        let example: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(example, json!({ "model": "megasim-demo/digits_cnn.keras", "data": "megasim-demo" }));
        let number = server.job("convert", json!({ "model": example["model"], "data": example["data"], "out": "net" }));
        server.wait(number, &["done"]);
        server
    }
}

/// A job that runs until it is stopped.
fn endless() -> Value {
    json!({ "netdir": "net", "data": "megasim-demo", "duration": "1000000", "threads": 1 })
}

#[test]
fn others_are_refused() {
    let server = Server::start(&[]);
    let host = ("Host", &server.host[..]);
    let page = &server.root[..];
    assert_eq!(server.with("GET", page, &[host], "").0, 200);
    let refused = |target: &str, headers: &[(&str, &str)], what: &str| {
        for method in ["GET", "POST", "HEAD", "DELETE"] {
            if method == "HEAD" {
                continue;
            }
            let (status, text) = server.with(method, target, headers, "");
            assert_eq!(status, 403, "{method} {target} {headers:?}: {text}");
            assert!(text.contains(what), "{text}");
        }
    };
    let token = page.trim_matches('/');
    for target in ["/", "/api/jobs", "/x/api/jobs", &format!("/{}/", &token[1..]), &format!("/{token}")] {
        refused(target, &[host], "the token of this server");
    }
    for name in ["example.org", "127.0.0.1", "127.0.0.1:1", "localhost"] {
        refused(page, &[("Host", name)], "as host");
    }
    for origin in ["http://example.org", "null", "http://127.0.0.1:1", &format!("https://{}", server.host)] {
        refused(page, &[host, ("Origin", origin)], "another origin");
    }
    refused(page, &[host, ("Sec-Fetch-Site", "cross-site")], "another origin");
    let port = server.host.split_once(':').unwrap().1.to_string();
    assert_eq!(server.with("GET", page, &[("Host", &format!("localhost:{port}"))], "").0, 200);

    // The port is open on 127.0.0.1 alone.
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let wanted = format!(":{:04X}", port.parse::<u16>().unwrap());
    for line in table.lines().filter(|line| line.split_whitespace().nth(3) == Some("0A")) {
        let local = line.split_whitespace().nth(1).unwrap();
        assert!(!local.ends_with(&wanted) || local.starts_with("0100007F"), "{line}");
    }
}

#[test]
fn large_and_broken_requests_are_refused_and_end_nothing() {
    let server = Server::start(&[]);
    let line = |method: &str| format!("{method} {}api/line HTTP/1.1\r\nHost: {}\r\n", server.root, server.host);
    for length in ["1048577", "9223372036854775807", "18446744073709551615"] {
        // What was announced is not waited for.
        let (status, _, body) = server.raw(format!("{}Content-Length: {length}\r\n\r\n", line("POST")).as_bytes());
        assert_eq!(status, 413, "{}", String::from_utf8_lossy(&body));
    }
    let without_token =
        format!("POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 9223372036854775807\r\n\r\n", server.host);
    assert_eq!(server.raw(without_token.as_bytes()).0, 403);
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
    let chunked = format!("{}Transfer-Encoding: chunked\r\n\r\n{chunk}1\r\nx\r\n", line("POST"));
    assert_eq!(server.raw(chunked.as_bytes()).0, 413);
    let long = format!("{}X: {}\r\n\r\n", line("GET"), "x".repeat(8200));
    assert_eq!(server.raw(long.as_bytes()).0, 400);
    assert_eq!(server.raw(b"nonsense\r\n\r\n").0, 400);
    assert_eq!(server.raw(b"GET / HTTP/1.1\r\n\r\n").0, 400);
    for body in ["", "{", "[]", "{\"command\": 1}", "{\"command\": \"classify\", \"more\": 1}"] {
        let request = format!("{}Content-Length: {}\r\n\r\n{body}", line("POST"), body.len());
        assert_eq!(server.raw(request.as_bytes()).0, 400, "{body}");
    }
    let no_such = json!({ "command": "serve", "arguments": {} });
    assert!(server.post("api/jobs", &no_such).1.starts_with("command: expected one of convert, classify"));
    assert_eq!(server.get("api/jobs/7").0, 404);
    assert_eq!(server.post("api/jobs/7/cancel", &json!({})).0, 404);
    assert_eq!(server.with("PUT", &server.root, &[("Host", &server.host)], "").0, 405);
    assert_eq!(server.get("").0, 200);
}

#[test]
fn paths_outside_are_refused_unless_they_are_allowed() {
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("page.html"), "<p>other</p>").unwrap();
    let allowed = other.path().to_str().unwrap();
    for is_allowed in [false, true] {
        let more: &[&str] = if is_allowed { &["--allow", allowed] } else { &[] };
        let server = Server::start(more);
        let file = other.path().join("page.html");
        let linked = server.path().join("link");
        #[cfg(unix)]
        std::os::unix::fs::symlink(other.path(), &linked).unwrap();
        fs::write(server.path().join("inside.txt"), "inside").unwrap();
        assert_eq!(server.get("file/inside.txt"), (200, "inside".into()));
        let expected = if is_allowed { 200 } else { 403 };
        let encoded = file.to_str().unwrap().replace('/', "%2F");
        assert_eq!(server.get(&format!("file/{encoded}")).0, expected);
        assert_eq!(server.get(&format!("api/files?path={}", encoded.replace("%2Fpage.html", ""))).0, expected);
        if linked.exists() {
            assert_eq!(server.get("file/link/page.html").0, expected);
            assert_eq!(server.get("api/files?path=link").0, expected);
        }
        for path in ["..", "../..", "/etc", "inside/../../.."] {
            assert_eq!(server.get(&format!("api/files?path={path}")).0, 403, "{path}");
        }
        for path in ["%2Fetc%2Fpasswd", "..%2F..%2F..%2Fetc%2Fpasswd", "../../../../../etc/passwd"] {
            assert_eq!(server.get(&format!("file/{path}")).0, 403, "{path}");
        }
        let values = [
            ("netdir", allowed.to_string()),
            ("data", format!("{allowed}/data")),
            ("report", file.to_str().unwrap().to_string()),
            ("labels", format!("x={allowed}/labels.txt")),
        ];
        for (name, value) in values {
            let mut arguments = json!({ "netdir": "net", "data": "data" });
            arguments[name] = json!(value);
            let settings = json!({ "command": "classify", "arguments": arguments });
            let (status, text) = server.post("api/jobs", &settings);
            let is_refused = text.contains("expected a path in") && text.contains("--allow DIR");
            assert_eq!(is_refused, !is_allowed, "{name}: {text}");
            assert!(is_allowed || status == 400, "{status}");
        }
        let settings = json!({ "command": "check", "arguments": { "schematic": "a.sch" } });
        let (status, text) = server.post("api/settings", &json!({ "path": "/etc/x.toml", "settings": settings }));
        assert_eq!(status, 403, "{text}");
    }
}

#[test]
fn a_job_runs_from_its_form_to_its_page() {
    let server = Server::with_network(&[]);
    let line = |arguments: Value| {
        let (status, text) = server.post("api/line", &json!({ "command": "classify", "arguments": arguments }));
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let mut arguments = json!({ "netdir": "net", "data": "megasim-demo", "samples": "20", "report": "page 1.html" });
    let said = line(arguments.clone());
    assert_eq!(said["fault"], Value::Null);
    let expected = "megasim classify --data=megasim-demo --samples=20 '--report=page 1.html' net";
    assert_eq!(said["line"], expected);
    assert!(said["without_effect"]["polarity"].as_str().unwrap().contains("has no effect on a netfile directory"));
    assert!(said["without_effect"].get("samples").is_none());
    // Validation is that of the command line.
    arguments["samples"] = json!("many");
    assert!(line(arguments.clone())["fault"].as_str().unwrap().contains("invalid value 'many' for '--samples"));
    arguments["samples"] = json!("20");
    arguments["polarity"] = json!("alike");
    assert!(line(arguments.clone())["fault"].as_str().unwrap().starts_with("--polarity: has no effect on"));
    assert_eq!(server.post("api/jobs", &json!({ "command": "classify", "arguments": arguments })).0, 400);
    arguments.as_object_mut().unwrap().remove("polarity");

    let number = server.job("classify", arguments);
    let found = server.wait(number, &["done"]);
    assert_eq!(found["job"]["line"], expected);
    assert_eq!(found["job"]["status"], 0);
    assert!(found["output"].as_str().unwrap().contains("event"), "{found:#}");
    assert!(!found["output"].as_str().unwrap().contains("{\"progress\""), "{found:#}");
    assert_eq!(found["results"], json!([{ "path": "page 1.html", "directory": false }]));
    assert_eq!(found["records"], json!(["run.json"]));
    let target = format!("GET {}file/page%201.html HTTP/1.1\r\nHost: {}\r\n\r\n", server.root, server.host);
    let (status, head, page) = server.raw(target.as_bytes());
    assert_eq!(status, 200);
    assert!(head.contains("content-security-policy: sandbox allow-scripts; default-src 'none'"), "{head}");
    assert_eq!(page, fs::read(server.path().join("page 1.html")).unwrap());

    // The same words in a terminal come to the same figures.
    let netdir = server.read("api/suggestions");
    assert_eq!(netdir["netdirs"], json!(["net"]));
    assert_eq!(netdir["models"], json!(["megasim-demo/digits_cnn.keras"]));
    let look = server.job("inspect", json!({ "target": "megasim-demo/digits_cnn.keras" }));
    let layers = server.wait(look, &["done"]);
    assert!(layers["output"].as_str().unwrap().contains("Conv2D"), "{layers:#}");
    let wrong = server.job("inspect", json!({ "target": "megasim-demo/train.npz" }));
    let failed = server.wait(wrong, &["failed"]);
    assert_eq!(failed["job"]["status"], 1);
    assert!(failed["output"].as_str().unwrap().contains("train.npz"), "{failed:#}");
}

#[test]
fn jobs_queue_and_are_cancelled_and_two_clients_see_the_same() {
    let server = Server::with_network(&[]);
    let [first, second, third] = [(); 3].map(|()| server.job("classify", endless()));
    let running = server.wait(first, &["running"]);
    assert_eq!(server.state(second)["job"]["state"], "waiting");
    // Progress arrives while it runs.
    let start = Instant::now();
    while server.state(first)["job"]["progress"]["of"].as_u64().is_none() {
        assert!(start.elapsed() < LIMIT, "{running:#}");
        thread::sleep(Duration::from_millis(20));
    }
    // What takes seconds does not wait for studies.
    let look = server.job("inspect", json!({ "target": "net" }));
    server.wait(look, &["done"]);
    // One client cancels, another looks on.
    let watcher = thread::scope(|scope| {
        let watcher = scope.spawn(|| server.wait(second, &["cancelled"]));
        assert_eq!(server.post(&format!("api/jobs/{second}/cancel"), &json!({})).0, 200);
        watcher.join().unwrap()
    });
    assert_eq!(watcher["job"]["seconds"], 0.0);
    assert_eq!(server.post(&format!("api/jobs/{second}/cancel"), &json!({})).0, 404);
    assert_eq!(server.post(&format!("api/jobs/{first}/cancel"), &json!({})).0, 200);
    server.wait(first, &["cancelled"]);
    server.wait(third, &["running"]);
    let last = server.job("check", json!({ "schematic": "net/megasim.sch" }));
    server.wait(last, &["done"]);
    let both: Vec<Value> = thread::scope(|scope| {
        let clients: Vec<_> = (0..2).map(|_| scope.spawn(|| server.read("api/jobs"))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let states = |jobs: &Value| -> Vec<String> {
        jobs.as_array().unwrap().iter().map(|job| job["state"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(states(&both[0]), ["done", "cancelled", "cancelled", "running", "done", "done"]);
    assert_eq!(states(&both[0]), states(&both[1]));
    server.post(&format!("api/jobs/{third}/cancel"), &json!({}));
    server.wait(third, &["cancelled"]);
}

/// Processes that run in a directory.
#[cfg(target_os = "linux")]
fn processes_in(directory: &Path) -> usize {
    let directory = directory.canonicalize().unwrap();
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter(|entry| fs::read_link(entry.path().join("cwd")).is_ok_and(|found| found == directory)).count()
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_ends_the_server_and_its_jobs() {
    use rustix::process::{Pid, Signal, kill_process};
    // What started the tests may have it ignored, as a shell does for work in the background; the server then does too.
    let ignored = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored.lines().find_map(|line| line.strip_prefix("SigIgn:")?.trim().get(8..));
    let ignored = ignored.and_then(|mask| u32::from_str_radix(mask, 16).ok()).unwrap_or(0);
    let is_ignored = |signal: &Signal| ignored >> (signal.as_raw() - 1) & 1 == 1;
    for signal in [Signal::INT, Signal::TERM, Signal::KILL].into_iter().filter(|signal| !is_ignored(signal)) {
        let mut server = Server::with_network(&[]);
        let job = server.job("classify", endless());
        server.wait(job, &["running"]);
        let start = Instant::now();
        while processes_in(server.path()) < 2 {
            assert!(start.elapsed() < LIMIT);
            thread::sleep(Duration::from_millis(10));
        }
        kill_process(Pid::from_child(&server.process), signal).unwrap();
        let status = server.process.wait().unwrap();
        assert!(signal == Signal::KILL || status.code() == Some(0), "{status}");
        let start = Instant::now();
        while processes_in(server.path()) > 0 {
            assert!(start.elapsed() < LIMIT, "a job outlived the server");
            thread::sleep(Duration::from_millis(10));
        }
        assert!(TcpStream::connect(&server.host).is_err());
    }
}

#[test]
fn settings_are_saved_and_run_unchanged_in_a_terminal() {
    let server = Server::with_network(&[]);
    let arguments = json!({ "netdir": "net", "data": "megasim-demo", "samples": "5", "json": "figures.json" });
    let settings = json!({ "command": "classify", "arguments": arguments });
    let save = |path: &str, replace: bool| {
        server.post("api/settings", &json!({ "path": path, "settings": settings, "replace": replace }))
    };
    assert_eq!(save("mine.toml", false).0, 200);
    let text = fs::read_to_string(server.path().join("mine.toml")).unwrap();
    assert!(text.starts_with("# megasim run-settings mine.toml\ncommand = \"classify\"\n"), "{text}");
    assert_eq!(server.read("api/settings?path=mine.toml"), settings);
    assert_eq!(save("mine.toml", false).0, 409);
    assert_eq!(save("mine.toml", true).0, 200);
    fs::write(server.path().join("other.toml"), "x = 1\n").unwrap();
    assert_eq!(save("other.toml", true).0, 409);
    assert_eq!(save("mine.txt", true).0, 400);
    assert_eq!(fs::read_to_string(server.path().join("other.toml")).unwrap(), "x = 1\n");

    let megasim = |words: &[&str]| {
        assert_cmd::Command::cargo_bin("megasim").unwrap().args(words).current_dir(server.path()).assert()
    };
    megasim(&["run-settings", "mine.toml"]).success();
    let figures = fs::read(server.path().join("figures.json")).unwrap();
    let record: Value = serde_json::from_slice(&fs::read(server.path().join("run.json")).unwrap()).unwrap();
    // The record is of the command itself, so that 'rerun' repeats it.
    assert_eq!(record["command"][1], "classify");
    megasim(&["classify", "net", "--data", "megasim-demo", "--samples", "5", "--json", "figures.json", "--force"])
        .success();
    let without_time = |bytes: &[u8]| {
        let mut value: Value = serde_json::from_slice(bytes).unwrap();
        value.as_object_mut().unwrap().remove("seconds");
        value
    };
    let again = fs::read(server.path().join("figures.json")).unwrap();
    assert_eq!(without_time(&figures), without_time(&again));
}

#[test]
fn settings_at_fault_are_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    let fault = |text: &str| {
        fs::write(place.path().join("settings.toml"), text).unwrap();
        let run = assert_cmd::Command::cargo_bin("megasim")
            .unwrap()
            .args(["run-settings", "settings.toml"])
            .current_dir(place.path())
            .assert()
            .failure();
        String::from_utf8_lossy(&run.get_output().stderr).into_owned()
    };
    assert!(fault("x").contains("settings.toml: expected `command = \"NAME\"` and a table [arguments]"));
    assert!(fault("command = 'serve'").contains("settings.toml: command: expected one of convert, classify"));
    let classify = "command = 'classify'\n[arguments]\nnetdir = 'net'\ndata = 'data'\n";
    assert!(
        fault(&format!("{classify}speed = 1\n")).contains("arguments.speed: 'classify' has no such option; it has")
    );
    assert!(fault(&format!("{classify}force = 1\n")).contains("arguments.force: expected true or false, found 1"));
    assert!(fault(&format!("{classify}samples = true\n")).contains("arguments.samples: expected text or a number"));
    assert!(fault(&format!("{classify}samples = 'many'\n")).contains("invalid value 'many' for '--samples"));
    assert!(fault("command = 'classify'\n").contains("required arguments were not provided"));
    assert!(fault(classify).contains("net"));
}

#[test]
fn a_port_or_a_directory_that_cannot_be_had_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let place = tempfile::tempdir().unwrap();
    let fault = |words: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("megasim").unwrap();
        let run = command.arg("serve").args(words).current_dir(place.path()).assert().code(1);
        String::from_utf8_lossy(&run.get_output().stderr).into_owned()
    };
    assert!(fault(&["--port", &port]).contains(&format!("port {port}: ")));
    assert!(fault(&["--allow", "none"]).contains("none: expected a directory"));
    drop(taken);
    let server = Server::start(&["--port", &port]);
    assert_eq!(server.host, format!("127.0.0.1:{port}"));
}

/// Forms have each option of each command, under its heading, as `--help` lists them.
#[test]
fn forms_are_those_of_the_command_line() {
    let server = Server::start(&[]);
    let forms = server.read("api/forms");
    let commands = forms["commands"].as_array().unwrap();
    let names: Vec<&str> = commands.iter().map(|command| command["name"].as_str().unwrap()).collect();
    assert_eq!(names[..5], ["convert", "classify", "compare", "latency", "sweep"]);
    assert!(!names.contains(&"serve") && !names.contains(&"completions"));
    for command in commands {
        let name = command["name"].as_str().unwrap();
        let help = assert_cmd::Command::cargo_bin("megasim").unwrap().args([name, "--help"]).assert().success();
        let help = String::from_utf8_lossy(&help.get_output().stdout).into_owned();
        // Descriptions, which may start with an option, are indented more.
        let options = help.lines().filter_map(|line| {
            let name = line.strip_prefix("      --").or(line.strip_prefix("  -h, --"))?.split([' ', '=']).next()?;
            Some(name)
        });
        let fields: Vec<&Value> = command["groups"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["fields"].as_array().unwrap())
            .collect();
        let of = |option: &str| fields.iter().find(|field| field["name"] == option);
        for option in options.filter(|option| *option != "help") {
            let field = of(option).unwrap_or_else(|| panic!("{name} --{option} is in no form"));
            assert_ne!(field["help"], "", "{name} --{option}");
        }
        for group in command["groups"].as_array().unwrap() {
            let heading = group["heading"].as_str().unwrap();
            assert!(heading == "Input" || help.contains(&format!("\n{heading}:\n")), "{name}: {heading}");
        }
    }
    let classify = &commands[1];
    let mode = classify["groups"].as_array().unwrap().iter().flat_map(|it| it["fields"].as_array().unwrap());
    let mode: Vec<&Value> = mode.filter(|field| field["name"] == "mode").collect();
    assert!(mode[0]["choices"].as_array().unwrap().contains(&json!("event")), "{mode:?}");
}
