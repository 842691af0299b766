//! Who may ask.

use std::io;

/// Bytes of a token.
const TOKEN: usize = 24;

/// The token, and the names of this server.
pub struct Guard {
    token: String,
    port: u16,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It names another host, as a page of another name would that points to this address.
    Host,
    /// A page of another origin sent it.
    Origin,
    /// It does not know the token.
    Token,
}

impl Refused {
    /// For the one who asked.
    pub fn message(self) -> &'static str {
        match self {
            Self::Host => "expected 127.0.0.1 or localhost, with the port of this server, as host",
            Self::Origin => "expected a request of this server's own page, found one of another origin",
            Self::Token => "expected the token of this server in the address, as the program printed it",
        }
    }
}

impl Guard {
    /// With its own token.
    pub fn new(port: u16) -> io::Result<Self> {
        let mut bytes = [0; TOKEN];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self { token: bytes.iter().map(|byte| format!("{byte:02x}")).collect(), port })
    }

    /// The port of this server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of the page.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/{}/", self.port, self.token)
    }

    /// The path behind the token, if the one who asks may.
    pub fn admit<'r>(&self, path: &'r str, header: impl Fn(&str) -> Option<String>) -> Result<&'r str, Refused> {
        let names = ["127.0.0.1", "localhost"].map(|name| format!("{name}:{}", self.port));
        if !header("Host").is_some_and(|host| names.contains(&host.to_ascii_lowercase())) {
            return Err(Refused::Host);
        }
        let own = names.map(|name| format!("http://{name}"));
        // Sandboxed pages of results have the origin 'null', and ask nothing of this server.
        if header("Origin").is_some_and(|origin| !own.contains(&origin.to_ascii_lowercase())) {
            return Err(Refused::Origin);
        }
        let is_foreign = |site: String| !["same-origin", "none"].contains(&&site[..]);
        // A link on another page may lead here, where its author knows the token.
        if header("Sec-Fetch-Site").is_some_and(is_foreign) && header("Sec-Fetch-Dest").as_deref() != Some("iframe") {
            return Err(Refused::Origin);
        }
        let (token, rest) = path.strip_prefix('/').and_then(|path| path.split_once('/')).ok_or(Refused::Token)?;
        // All bytes are compared, so that the time tells nothing.
        let differs = token.bytes().zip(self.token.bytes()).fold(0, |all, (one, other)| all | (one ^ other));
        if token.len() != self.token.len() || differs != 0 {
            return Err(Refused::Token);
        }
        Ok(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a request with these headers.
    fn admitted(guard: &Guard, path: &str, headers: &[(&str, &str)]) -> Result<String, Refused> {
        let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string());
        guard.admit(path, header).map(String::from)
    }

    #[test]
    fn only_this_servers_own_page_may_ask() {
        let guard = Guard::new(4000).unwrap();
        let path = format!("/{}/api/jobs", guard.token);
        let host = ("Host", "127.0.0.1:4000");
        let of = |more: &[(&str, &str)]| admitted(&guard, &path, &[&[host], more].concat());
        assert_eq!(of(&[]).unwrap(), "api/jobs");
        assert_eq!(of(&[("Origin", "http://127.0.0.1:4000"), ("Sec-Fetch-Site", "same-origin")]).unwrap(), "api/jobs");
        for origin in ["null", "http://127.0.0.1:4001", "https://127.0.0.1:4000", "http://example.org", ""] {
            assert_eq!(of(&[("Origin", origin)]), Err(Refused::Origin), "{origin}");
        }
        assert_eq!(of(&[("Sec-Fetch-Site", "cross-site")]), Err(Refused::Origin));
        assert_eq!(of(&[("Sec-Fetch-Site", "same-site")]), Err(Refused::Origin));
        for host in ["example.org:4000", "127.0.0.1", "127.0.0.1:4001", "", "127.0.0.1:4000.example.org"] {
            assert_eq!(admitted(&guard, &path, &[("Host", host)]), Err(Refused::Host), "{host}");
        }
        assert_eq!(admitted(&guard, &path, &[]), Err(Refused::Host));
        let longer = format!("/{}0/", guard.token);
        for path in ["/", "/api/jobs", "//api/jobs", &longer, &path[..20], &path[..1]] {
            assert_eq!(admitted(&guard, path, &[host]), Err(Refused::Token), "{path}");
        }
        assert_ne!(guard.token, Guard::new(4000).unwrap().token);
    }
}
