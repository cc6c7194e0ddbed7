//! Everything that people, editors and programs do to a plugin directory, seen by the real watch: a table of what is done and
//! what is live afterwards.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use crate::tests::component::Plugin;
use crate::tests::registry::{Farm, live};
use crate::tests::support::until;
use crate::{PluginRegistry, RegistryOptions};

/// Something that is done to the directory.
struct Case {
    name: &'static str,
    act: fn(&Farm),
    /// The live versions afterwards, `-` for a plugin that has none, with `!` where the file has a problem.
    becomes: &'static str,
    /// What happened meanwhile; `None` where that depends on when it is looked at.
    history: Option<&'static [&'static str]>,
}

fn component(name: &str, version: &str) -> Vec<u8> {
    Plugin::new(name, version).build().to_vec()
}

/// A directory with links as Kubernetes mounts it: `greet.wasm` leads through `..data` to a folder.
fn project(farm: &Farm, version: &str) {
    let folder = farm.path(&format!("..{version}"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("greet.wasm"), component("greet", version)).unwrap();
    let next = farm.path("..data_tmp");
    symlink(format!("..{version}"), &next).unwrap();
    fs::rename(next, farm.path("..data")).unwrap();
    let link = farm.path("next-link");
    symlink("..data/greet.wasm", &link).unwrap();
    fs::rename(link, farm.path("greet.wasm")).unwrap();
}

/// Links `greet.wasm` through a folder outside, as a Nix profile does.
fn profile(farm: &Farm, version: &str) {
    let store = farm.dir.path().join("store");
    fs::create_dir_all(store.join(version)).unwrap();
    let file = store.join(version).join("greet.wasm");
    fs::write(file, component("greet", version)).unwrap();
    let next = store.join("next");
    symlink(version, &next).unwrap();
    fs::rename(next, store.join("profile")).unwrap();
}

fn folder_with(path: &Path, version: &str) {
    fs::create_dir(path).unwrap();
    fs::write(path.join("greet.wasm"), component("greet", version)).unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "a slow copy, not on a runtime's thread, is what a case is about"
)]
const CASES: &[Case] = &[
    Case {
        name: "adding",
        act: |farm| farm.put("other.wasm", &Plugin::new("other", "1").build()),
        becomes: "greet 1, other 1",
        history: Some(&["other is live"]),
    },
    Case {
        name: "replacing by a rename",
        act: |farm| farm.put("greet.wasm", &Plugin::new("greet", "2").build()),
        becomes: "greet 2",
        history: Some(&["greet is replaced", "greet is drained"]),
    },
    Case {
        name: "writing in place, in pieces",
        act: |farm| {
            use std::io::Write;
            let mut file = fs::File::create(farm.path("greet.wasm")).unwrap();
            for piece in component("greet", "2").chunks(200) {
                file.write_all(piece).unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
        },
        becomes: "greet 2",
        history: Some(&["greet is replaced", "greet is drained"]),
    },
    Case {
        name: "touching",
        act: |farm| {
            let file = fs::File::options()
                .append(true)
                .open(farm.path("greet.wasm"));
            file.unwrap()
                .set_modified(std::time::SystemTime::now())
                .unwrap();
            fs::write(farm.path("greet.wasm"), component("greet", "1")).unwrap();
            marker(farm);
        },
        becomes: "greet 1, marker 1",
        history: Some(&["marker is live"]),
    },
    Case {
        name: "removing",
        act: |farm| farm.remove("greet.wasm"),
        becomes: "",
        history: Some(&["greet is removed", "greet is drained"]),
    },
    Case {
        name: "renaming to a name that is not its own",
        act: |farm| fs::rename(farm.path("greet.wasm"), farm.path("hello.wasm")).unwrap(),
        becomes: "hello -!",
        history: Some(&[
            "hello calls itself `greet`: name the file `greet.wasm`",
            "greet is removed",
            "greet is drained",
        ]),
    },
    Case {
        name: "renaming away and back",
        act: |farm| {
            fs::rename(farm.path("greet.wasm"), farm.path("greet.wasm.off")).unwrap();
            fs::rename(farm.path("greet.wasm.off"), farm.path("greet.wasm")).unwrap();
            marker(farm);
        },
        becomes: "greet 1, marker 1",
        history: Some(&["marker is live"]),
    },
    Case {
        name: "what editors and copy programs leave beside",
        act: |farm| {
            for name in [
                ".greet.wasm.swp",
                "greet.wasm~",
                "#greet.wasm#",
                ".#greet.wasm",
                "greet.wasm.part",
                ".greet.wasm.Xy12Z",
                "4913",
            ] {
                fs::write(farm.path(name), component("greet", "9")).unwrap();
            }
            marker(farm);
        },
        becomes: "greet 1, marker 1",
        history: Some(&["marker is live"]),
    },
    Case {
        name: "saving as vim does",
        act: |farm| {
            let next = component("greet", "2");
            fs::write(farm.path("4913"), "").unwrap();
            fs::remove_file(farm.path("4913")).unwrap();
            fs::rename(farm.path("greet.wasm"), farm.path("greet.wasm~")).unwrap();
            fs::write(farm.path("greet.wasm"), next).unwrap();
            fs::remove_file(farm.path("greet.wasm~")).unwrap();
        },
        becomes: "greet 2",
        history: Some(&["greet is replaced", "greet is drained"]),
    },
    Case {
        name: "a bad file",
        act: |farm| fs::write(farm.path("greet.wasm"), "rubbish").unwrap(),
        becomes: "greet 1!",
        history: Some(&["greet is not WebAssembly"]),
    },
    Case {
        name: "a link to another file",
        act: |farm| {
            fs::write(farm.path("v2"), component("greet", "2")).unwrap();
            symlink("v2", farm.path("link")).unwrap();
            fs::rename(farm.path("link"), farm.path("greet.wasm")).unwrap();
        },
        becomes: "greet 2",
        history: Some(&["greet is replaced", "greet is drained"]),
    },
    Case {
        name: "the directory renamed away and a new one in its place",
        act: |farm| {
            let next = farm.dir.path().join("next");
            folder_with(&next, "2");
            fs::rename(farm.plugins(), farm.dir.path().join("old")).unwrap();
            fs::rename(next, farm.plugins()).unwrap();
        },
        becomes: "greet 2",
        history: Some(&["greet is replaced", "greet is drained"]),
    },
    Case {
        name: "the directory deleted and made again",
        act: |farm| {
            fs::remove_dir_all(farm.plugins()).unwrap();
            folder_with(&farm.plugins(), "2");
        },
        becomes: "greet 2",
        history: None,
    },
];

/// One more plugin, so that it can be seen that everything before it was looked at.
fn marker(farm: &Farm) {
    farm.put("marker.wasm", &Plugin::new("marker", "1").build());
}

/// What is live, as [`Case::becomes`] says it.
fn now(registry: &PluginRegistry) -> String {
    let plugins = registry.status().into_iter().map(|plugin| {
        let (version, problem) = live(registry, &plugin.name);
        let mark = if problem.is_some() { "!" } else { "" };
        format!("{} {}{mark}", plugin.name, version.unwrap_or("-".into()))
    });
    plugins.collect::<Vec<_>>().join(", ")
}

/// A registry that is woken by nothing but signs of the system.
async fn watching(farm: &Farm) -> PluginRegistry {
    let options = RegistryOptions {
        rescan_interval: Duration::from_secs(3_600),
        // Longer than this process is kept from going on between two steps of a case.
        settle: Duration::from_millis(100),
        incomplete_patience: Duration::from_millis(500),
        ..farm.options()
    };
    let registry = farm.open_with(options).await;
    registry.watch();
    // Proves that the watch has begun.
    farm.put("begun.wasm", &Plugin::new("begun", "1").build());
    until("the watch has begun", || now(&registry).contains("begun 1")).await;
    farm.remove("begun.wasm");
    until("begun is gone", || !now(&registry).contains("begun")).await;
    registry
}

/// Does something, and waits for what is to come of it.
async fn after(
    farm: &Farm,
    registry: &PluginRegistry,
    (case, becomes): (&str, &str),
    act: impl FnOnce(&Farm),
) {
    act(farm);
    until(&format!("{case}: {becomes:?}"), || now(registry) == becomes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_the_directory_is_seen_and_nothing_else() {
    for case in CASES {
        let farm = Farm::new();
        farm.put("greet.wasm", &Plugin::new("greet", "1").build());
        let registry = watching(&farm).await;
        let before = farm.history().len();
        after(&farm, &registry, (case.name, case.becomes), case.act).await;
        let Some(history) = case.history else {
            continue;
        };
        // What is told after it was done may come a moment later.
        until(&format!("{}: {history:?}", case.name), || {
            farm.history()[before..] == *history
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_are_swapped_inside_and_outside_are_followed() {
    let farm = Farm::new();
    fs::create_dir_all(farm.plugins()).unwrap();
    project(&farm, "1");
    let registry = watching(&farm).await;
    after(&farm, &registry, ("a swapped ..data", "greet 2"), |farm| {
        project(farm, "2");
    })
    .await;

    profile(&farm, "3");
    after(&farm, &registry, ("a link to outside", "greet 3"), |farm| {
        symlink("../store/profile/greet.wasm", farm.path("link")).unwrap();
        fs::rename(farm.path("link"), farm.path("greet.wasm")).unwrap();
    })
    .await;
    after(&farm, &registry, ("a swapped profile", "greet 4"), |farm| {
        profile(farm, "4");
    })
    .await;

    after(
        &farm,
        &registry,
        ("the directory a link", "greet 5"),
        |farm| {
            folder_with(&farm.dir.path().join("v5"), "5");
            fs::rename(farm.plugins(), farm.dir.path().join("old")).unwrap();
            symlink("v5", farm.plugins()).unwrap();
        },
    )
    .await;
    after(&farm, &registry, ("that link swapped", "greet 6"), |farm| {
        folder_with(&farm.dir.path().join("v6"), "6");
        symlink("v6", farm.dir.path().join("next")).unwrap();
        fs::rename(farm.dir.path().join("next"), farm.plugins()).unwrap();
    })
    .await;
}
