//! Five servers that others wrote, each of which notes the first line of every request it saw and marks its answers.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use super::support::files::Folder;
use super::support::{free_address, is_taken, until};

/// Whoever is there.
pub(crate) const SERVERS: [&str; 5] = ["nginx", "apache", "haproxy", "lighttpd", "node"];

/// A running server. Killed when dropped.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    child: Child,
    folder: Folder,
}

impl Server {
    pub(crate) async fn start(name: &'static str) -> Self {
        let (addr, folder) = (free_address(), Folder::new(name));
        let port = addr.port().to_string();
        let root = folder.path().to_owned();
        let conf = text(name).replace("PORT", &port).replace("ROOT", &root);
        let file = format!("{root}/conf");
        fs::write(&file, conf).unwrap();
        fs::write(format!("{root}/index.html"), "ok\n").unwrap();
        let log = fs::File::create(format!("{root}/log")).unwrap();
        let (program, arguments): (&str, &[&str]) = match name {
            "nginx" => ("nginx", &["-p", &root, "-e", "stderr", "-c", &file]),
            "apache" => ("apache2", &["-X", "-f", &file]),
            "haproxy" => ("haproxy", &["-db", "-f", &file]),
            "lighttpd" => ("lighttpd", &["-D", "-f", &file]),
            _ => ("node", &[&file]),
        };
        let child = Command::new(program)
            .args(arguments)
            .env(
                "PATH",
                "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
            )
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(fs::File::create(format!("{root}/errors")).unwrap())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{program}: {error}; run tests/scripts/install-test-tools chaos")
            });
        let server = Self {
            name,
            addr,
            child,
            folder,
        };
        until(name, || is_taken(addr)).await;
        server
    }

    /// What each answer of it has once, in lower case. lighttpd's own refusals have nothing that it is told to add.
    pub(crate) fn mark(&self) -> &'static str {
        match self.name {
            "lighttpd" => "\nserver: lighttpd/",
            _ => "\nx-test-server: ",
        }
    }

    /// The first lines of requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        let log = fs::read(self.folder.0.join("log")).unwrap();
        let text = String::from_utf8_lossy(&log).into_owned();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx and Apache have children of their own, which this ends, too.
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let _ = self.child.wait();
    }
}

fn text(name: &str) -> &'static str {
    match name {
        "nginx" => {
            "daemon off; worker_processes 1; pid ROOT/pid; error_log ROOT/errors;
            events { worker_connections 512; }
            http { log_format first '$request'; access_log ROOT/log first; keepalive_requests 100000;
              client_body_temp_path ROOT/body; proxy_temp_path ROOT/proxy; fastcgi_temp_path ROOT/fastcgi; uwsgi_temp_path ROOT/uwsgi; scgi_temp_path ROOT/scgi;
              server { listen 127.0.0.1:PORT; add_header X-Test-Server nginx always; location / { return 200 ok; } } }"
        }
        "apache" => {
            "ServerRoot ROOT\nUser www-data\nGroup www-data\nServerName localhost\nListen 127.0.0.1:PORT\nPidFile ROOT/pid\nErrorLog ROOT/errors
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
LoadModule rewrite_module /usr/lib/apache2/modules/mod_rewrite.so
DocumentRoot ROOT\nRewriteEngine on\nRewriteRule . /index.html\nHeader always set X-Test-Server apache
MaxKeepAliveRequests 0\nLogFormat \"%r\" first\nCustomLog ROOT/log first\n"
        }
        "haproxy" => {
            "global\n  log stdout format raw daemon\ndefaults\n  mode http\n  timeout client 60s\n  timeout http-request 10s
frontend all\n  bind 127.0.0.1:PORT\n  log global\n  option dontlognull\n  log-format \"%r\"
  http-request return status 200 content-type text/plain string ok hdr X-Test-Server haproxy\n"
        }
        "lighttpd" => {
            "server.document-root = \"ROOT\"\nserver.bind = \"127.0.0.1\"\nserver.port = PORT
server.modules = (\"mod_accesslog\", \"mod_setenv\", \"mod_rewrite\")\nurl.rewrite-once = (\".*\" => \"/index.html\")
setenv.set-response-header = (\"X-Test-Server\" => \"lighttpd\")\nserver.max-keep-alive-requests = 65535
accesslog.filename = \"|/usr/bin/tee -a ROOT/log\"\naccesslog.format = \"%r\"\n"
        }
        _ => {
            "const server = require('node:http').createServer((request, response) => {
  console.log(`${request.method} ${request.url} HTTP/${request.httpVersion}`);
  response.setHeader('X-Test-Server', 'node');
  request.resume().on('end', () => response.end('ok')).on('error', () => {});
});
server.on('clientError', (error, socket) => { if (error.bytesParsed > 0) console.log('unreadable'); socket.destroy(); });
server.keepAliveTimeout = 60000;
server.listen(PORT, '127.0.0.1');\n"
        }
    }
}
