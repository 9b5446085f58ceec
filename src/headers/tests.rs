use super::*;

#[test]
fn names_are_told_apart() {
    for name in [
        "x-access-token",
        "remote-user",
        "x-remote-user",
        "x-forwarded-for",
        "forwarded",
        "account-id",
    ] {
        assert_eq!(classify(name.as_bytes()), Class::Reserved, "{name}");
    }
    for name in [
        "x-reva-transfer",
        "x-oc-mtime",
        "oc-checksum",
        "cookie",
        "host",
        "x-request-id",
    ] {
        assert_eq!(classify(name.as_bytes()), Class::Free, "{name}");
    }
}
