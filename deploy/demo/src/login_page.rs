//! The HTML a person sees: the login form and short notices.

use std::fmt::Write as _;

use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};

use crate::users::USERS;
use crate::web::{Answer, answer};

/// No script, no frame. `form-action` covers the redirect after the login too, which goes to a loopback port.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; \
     form-action 'self' http://127.0.0.1:* http://localhost:*",
);

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;\
    place-items:center;background:#eef1f4;color:#1c2430}main{background:#fff;padding:2rem;border-radius:.6rem;\
    width:20rem;box-shadow:0 1px 6px #0003}h1{font-size:1.3rem;margin:0 0 1rem}label{display:block;margin:.8rem 0}\
    input{display:block;width:100%;box-sizing:border-box;padding:.5rem;font:inherit;border:1px solid #8a94a3;\
    border-radius:.3rem}button{width:100%;padding:.6rem;font:inherit;border:0;border-radius:.3rem;color:#fff;\
    background:#1f5fa8}.note{color:#566}.bad{color:#a11}";

/// The login form. `request` holds the fields of the authorization request, which the form sends along.
pub(crate) fn login<'a>(
    request: impl IntoIterator<Item = (&'a str, &'a str)>,
    username: &str,
    wrong_password: bool,
) -> Answer {
    let mut main = String::from("<h1>Log in to the davgate demo</h1>");
    if wrong_password {
        main.push_str("<p class=bad role=alert>Wrong user name or password.</p>");
    }
    main.push_str("<form method=post action=\"/authorize\">");
    for (name, value) in request {
        let (name, value) = (escape(name), escape(value));
        let _ = write!(
            main,
            "<input type=hidden name=\"{name}\" value=\"{value}\">"
        );
    }
    let username = escape(username);
    let _ = write!(
        main,
        "<label>User name<input name=username value=\"{username}\" autocomplete=username required autofocus></label>\
         <label>Password<input name=password type=password autocomplete=current-password required></label>\
         <button>Log in</button></form><p class=note>Demo users:"
    );
    for user in USERS {
        let _ = write!(
            main,
            " <code>{}</code> with <code>{}</code>",
            user.username, user.password
        );
    }
    main.push_str("</p>");
    let status = if wrong_password {
        StatusCode::UNAUTHORIZED
    } else {
        StatusCode::OK
    };
    page(status, "Log in", &main)
}

/// A page with one sentence.
pub(crate) fn notice(status: StatusCode, sentence: &str) -> Answer {
    page(
        status,
        "davgate demo",
        &format!("<p>{}</p>", escape(sentence)),
    )
}

fn page(status: StatusCode, title: &str, main: &str) -> Answer {
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style><main>{main}</main></html>"
    );
    let mut response = answer(status, "text/html; charset=utf-8", html);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, POLICY);
    // The address of the page holds `state` and the challenge.
    response
        .headers_mut()
        .insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// `text` as HTML text or as a quoted attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn text(answer: Answer) -> String {
        String::from_utf8(
            answer
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .to_vec(),
        )
        .unwrap()
    }

    #[tokio::test]
    async fn what_the_request_holds_is_escaped() {
        let html = text(login([("state", "\"><script>")], "'><b>", true)).await;
        assert!(html.contains("value=\"&quot;&gt;&lt;script&gt;\""));
        assert!(html.contains("value=\"&#39;&gt;&lt;b&gt;\""));
        assert!(!html.contains("<script>"));
    }

    #[tokio::test]
    async fn the_page_tells_the_demo_passwords() {
        let html = text(login([], "", false)).await;
        for user in USERS {
            assert!(html.contains(user.username) && html.contains(user.password));
        }
    }

    #[test]
    fn a_page_runs_no_script_and_sits_in_no_frame() {
        let answer = notice(StatusCode::BAD_REQUEST, "no");
        let policy = answer.headers()[CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    }
}
