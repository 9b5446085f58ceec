//! rclone with `--webdav-bearer-token-command`.

use std::fs;

use super::World;
use crate::support::files::{Folder, hashes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rclone_syncs_300_files_and_a_large_one_up_and_down_again() {
    let world = World::new().await;
    let mary = world.provider.login("mary").await;
    let token = Folder::new("token");
    let file = token.0.join("token");
    fs::write(&file, &mary.access_token).unwrap();
    let command = format!("cat {}", file.display());

    let here = Folder::with_files("here");
    world
        .rclone(&["sync", here.path(), "dav:"], &command, &[])
        .await;
    assert_eq!(here.hashes().len(), 301);
    assert!(
        here.hashes() == hashes(&world.server.store()),
        "what arrived differs"
    );

    let there = Folder::new("there");
    world
        .rclone(&["sync", "dav:", there.path()], &command, &[])
        .await;
    assert!(here.hashes() == there.hashes(), "what came back differs");

    // Moves and deletions, with a Destination that has to be rewritten.
    world
        .rclone(
            &["moveto", "dav:large.bin", "dav:Büro/moved ä.bin"],
            &command,
            &[],
        )
        .await;
    world.rclone(&["purge", "dav:a b"], &command, &[]).await;
    let left = hashes(&world.server.store());
    assert!(left.contains_key("Büro/moved ä.bin") && !left.contains_key("large.bin"));
    assert!(!left.keys().any(|name| name.starts_with("a b/")));
    assert_eq!(
        world.provider.calls("/me").await,
        1,
        "one userinfo for all of it"
    );
    world.gateway.stop().await;
}
