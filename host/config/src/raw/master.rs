//! `[master]`, `[[worker]]`, `[[lock]]` and `[plugin.NAME]`.

use crate::decode::{ByteSize, HumanDuration, JsonObject, Keyed, raw_choice, raw_table, raw_words};
use crate::tree::At;

raw_table! {
    /// The master process: addresses, places, limits. Relative paths start at the directory of the
    /// main configuration file.
    RawMaster("[master]") {
        /// Name of this master among those that share a database. Default: host name and directory.
        name ? String,
        /// Title of the pages. Default: "Toolpost".
        title ? String,
        /// Where people reach the pages, as it is written into links. Default: made from `listen`.
        url ? String,
        /// Address and port of the web server, such as "127.0.0.1:8010", or a port alone. Default:
        /// port 8010, reachable from this machine only. A change needs a restart.
        listen ? ListenAddress,
        /// Names of this server beside that in `url`, such as "ci.example.org". Addresses, names without a dot and `localhost` need
        /// no mention. A request for any other name is refused: another site may have led a browser here.
        hosts ? Vec<At<String>>,
        /// Whom to ask about this farm; shown on the pages.
        admin ? String,
        /// Links on the home page.
        links ? Vec<At<RawLink>>,
        /// "sqlite:PATH" or "postgres://USER@HOST/NAME". Default: "sqlite:state/toolpost.db". A
        /// change needs a restart.
        database_url ? String,
        /// Directory of sealed logs. Default: "state/objects". A change needs a restart.
        object_dir ? String,
        /// Directory where `.wasm` files are picked up. Default: "plugins". A change needs a restart.
        plugin_dir ? String,
        /// Directory with a file for each secret, named like it. Nobody but the master's user may read them.
        secrets_dir ? String,
        /// File with certificates (PEM) of authorities that plugins' HTTPS and the mail server are trusted by, beside those
        /// that the system trusts. It is read again when it changes.
        ca_file ? String,
        /// How long running builds may go on after a stop was asked for. Default: "1m".
        drain_timeout ? HumanDuration,
        /// Limits that keep one user from taking the farm from the others.
        limits ? RawLimits,
        /// What all plugins together may take of the machine. A change needs a restart.
        plugins ? RawPlugins,
    }
}

/// `"127.0.0.1:8010"` or a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListenAddress(pub(crate) std::net::SocketAddr);

raw_table! {
    /// A link on the home page.
    RawLink("a link") {
        /// Its text.
        label ! String,
        /// Where it leads.
        url ! String,
    }
}

raw_table! {
    /// Limits that keep one user from taking the farm from the others.
    RawLimits("[master.limits]") {
        /// Builds that run at one time on this master. Default: as many as the workers take.
        builds_max ? u32,
        /// A longer line of a log is cut into several. Default: "64KiB". A change needs a restart.
        log_line_size_max ? ByteSize,
        /// A log ends at this size and says so. Default: "1GiB".
        log_size_max ? ByteSize,
        /// A larger file is not uploaded. Default: "1GiB".
        upload_size_max ? ByteSize,
        /// Files that one step uploads. Default: 1000.
        uploads_max ? u32,
        /// All files together that one step uploads. Default: "4GiB".
        uploads_size_max ? ByteSize,
    }
}

raw_table! {
    /// What all plugins together may take of the machine. A change needs a restart.
    RawPlugins("[master.plugins]") {
        /// Memory of all calls together, MiB; calls that want more wait. Default: half of the machine's, or of what the
        /// container may have.
        memory_mib ? u32,
        /// Calls that exist at one time; further ones wait.
        calls ? u32,
        /// Threads that run plugins. Default: one for two processors.
        threads ? u32,
    }
}

raw_choice! {
    /// A machine, or a part of one, that runs builds.
    RawWorker("a worker") by "kind" {
        "local" => Local(Box<RawLocalWorker>),
        "remote" => Remote(Box<RawRemoteWorker>),
    }
}

raw_table! {
    /// A worker inside the master's process.
    RawLocalWorker("a local worker") {
        /// Unique name.
        name ! String,
        /// Builds that it runs at one time. Default: no limit.
        max_builds ? u32,
        /// Directory of its builds. Default: "workers/NAME".
        base_dir ? String,
        /// Properties of every build that runs on it.
        properties ? JsonObject,
        /// The same, where nothing else sets them.
        default_properties ? JsonObject,
    }
}

raw_table! {
    /// A worker that connects from elsewhere. It needs exactly one of the keys that begin with `password`.
    RawRemoteWorker("a remote worker") {
        /// Unique name.
        name ! String,
        /// Builds that it runs at one time. Default: no limit.
        max_builds ? u32,
        /// Name of the secret that is its password.
        password_secret ? String,
        /// A hash of its password, as `toolpost hash-password` makes it.
        password_hash ? String,
        /// Its password, for whoever can read this file.
        password ? String,
        /// File that holds its password.
        password_file ? String,
        /// Environment variable of the master that holds its password.
        password_env ? String,
        /// It is missing when it has been away for this long, which reporters tell as `worker-missing`. "0s" for never. Default:
        /// 1 h.
        missing_timeout ? HumanDuration,
        /// Names of the reporters that tell when it is missing, and when it is back then. Default: all that tell
        /// `worker-missing` and `worker-back`.
        notify_on_missing ? Vec<At<String>>,
        /// How long builds wait for it when its connection is lost, if it is one that can go on where it was
        /// (`toolpost worker`). "0s" for not at all; at most "1h". Default: "5m". A change counts from its next connection on.
        resume_within ? HumanDuration,
        /// A connection that was quiet for this long is tried, and lost when the worker says nothing within twice that. From "2s"
        /// to "1h". Default: "60s". A change counts from its next connection on.
        keepalive ? HumanDuration,
        /// Properties of every build that runs on it.
        properties ? JsonObject,
        /// The same, where nothing else sets them.
        default_properties ? JsonObject,
    }
}

raw_table! {
    /// Where workers from elsewhere connect.
    RawWorkers("[workers]") {
        /// Address and port for workers alone, such as "0.0.0.0:9989". Default: the port of the web server. A change needs a
        /// restart.
        listen ? ListenAddress,
        /// Path at which they ask for a WebSocket. Stock workers ask at "/"; another one is for `toolpost worker`, and for proxies
        /// that change it. Default: "/".
        path ? String,
        /// PEM file with the certificate of that port, and those that lead to its authority. A change needs a restart.
        certificate ? String,
        /// PEM file with its key. A change needs a restart.
        key ? String,
        /// PEM file with authorities: whoever connects has to have a certificate of one of them. A change needs a restart.
        client_ca ? String,
    }
}

raw_words! {
    /// Who shares a lock.
    LockScope {
        "master" => Master,
        "worker" => Worker,
    }
}

raw_table! {
    /// Something that not everybody may use at one time.
    RawLock("a lock") {
        /// Unique name; steps and builders name it in `locks`.
        name ! String,
        /// "master": one for the whole farm. "worker": one for each worker. Default: "master".
        scope ? LockScope,
        /// How many may count on it at one time. Default: 1.
        max_count ? u32,
        /// The same for single workers, by name; for the scope "worker".
        worker_counts ? Keyed<u32>,
    }
}

raw_table! {
    /// What one plugin may do and use.
    RawPlugin("the settings of a plugin") {
        /// What it may do beyond computing.
        grant ? RawGrant,
        /// Memory of one call, MiB.
        memory_mib ? u32,
        /// Computing time of one call, milliseconds; waiting is not counted.
        cpu_ms ? u64,
        /// Time from start to end of one call, seconds.
        wall_s ? u64,
        /// Log output of one call, MiB.
        log_mib ? u32,
        /// Keys and values that outlive its calls, all together, KiB.
        storage_kib ? u32,
    }
}

raw_table! {
    /// What a plugin may do beyond computing. Default: nothing.
    RawGrant("the grants of a plugin") {
        /// Hosts that it may call over HTTP: "host", "host:port" or "*.domain"; without a port that of HTTP or HTTPS. A name
        /// must lead to a public address; an address that is written here may be any.
        http ? Vec<At<String>>,
        /// Hosts that it may call although their addresses are private: of this machine, or of its network.
        http_private ? Vec<At<String>>,
        /// Secrets that it may use, by name. It never sees them.
        secrets ? Vec<At<String>>,
        /// Variables of the master's environment that it may read.
        environment ? Vec<At<String>>,
        /// Whether it may keep values that outlive a call.
        storage ? bool,
        /// Whether it may send mail through the server of `[mail]`.
        mail ? bool,
        /// Builders that its steps may ask for builds: names, or patterns with `*`, `?`, `[abc]` and `{a,b}`.
        trigger ? Vec<At<String>>,
        /// Builders whose artifacts its steps may read: names, or patterns. Those of the step's own builder need no grant.
        artifacts ? Vec<At<String>>,
    }
}

raw_table! {
    /// Where a secret is found. The configuration never holds the secret itself.
    RawSecret("a secret") {
        /// File that holds it; nobody but the master's user may read it. It is read at each use.
        file ? String,
        /// Environment variable of the master that holds it.
        environment ? String,
    }
}

raw_words! {
    /// How a mail server is spoken to.
    RawMailTls {
        "starttls" => StartTls,
        "tls" => Tls,
        "none" => None,
    }
}

raw_table! {
    /// The mail server that plugins send mail through.
    RawMail("[mail]") {
        /// Name or address of the server.
        host ! String,
        /// Port. Default: 587, with `tls = "tls"` 465, with `tls = "none"` 25.
        port ? u32,
        /// "starttls", "tls" from the first byte on, or "none". Default: "starttls".
        tls ? RawMailTls,
        /// User name, where the server wants one.
        user ? String,
        /// Its password, as "{{ secret.NAME }}".
        password ? String,
        /// Who mail is from: "ci@example.org" or "Farm <ci@example.org>".
        from ! String,
    }
}

impl crate::decode::Decode for ListenAddress {
    fn decode(node: crate::tree::Node, report: &mut crate::problem::Report<'_>) -> Option<Self> {
        use crate::tree::Kind;
        let address = match &node.kind {
            Kind::Integer(port) => u16::try_from(*port)
                .ok()
                .map(|port| (std::net::Ipv4Addr::LOCALHOST, port).into()),
            Kind::String(text) => text.parse().ok(),
            _ => {
                return crate::decode::expected(
                    &node,
                    "an address like \"127.0.0.1:8010\", or a port",
                    report,
                );
            }
        };
        if address.is_none() {
            report
                .at(node.span, "this is not an address and a port")
                .help("write it like \"127.0.0.1:8010\", or \"[::]:8010\" for every network");
        }
        address.map(Self)
    }
}

impl schemars::JsonSchema for ListenAddress {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ListenAddress".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": 65535 },
            { "type": "string", "pattern": ":\\d+$" }
        ] })
    }
}
