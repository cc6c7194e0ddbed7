//! What somebody may be allowed to do.

macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Something that somebody may be allowed to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action { $($(#[doc = $doc])+ $variant,)+ }

        impl Action {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name in the configuration and in the audit log.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

actions! {
    /// Look at something, and hear of it.
    View = "view",
    /// Ask for a build with a form.
    Force = "force",
    /// Stop a build.
    Stop = "stop",
    /// Ask for a build like another one.
    Rebuild = "rebuild",
    /// Take a request from the queue.
    Cancel = "cancel",
    /// Give a request another priority.
    SetPriority = "set-priority",
    /// Give a worker no new builds.
    Pause = "pause",
    /// Give a worker builds again.
    Unpause = "unpause",
    /// Let a worker end when its builds have.
    StopWorker = "stop-worker",
    /// Tell a worker to end at once.
    KillWorker = "kill-worker",
    /// Let a scheduler make build sets, or not.
    EnableScheduler = "enable-scheduler",
    /// Have a scheduler pass over an event.
    SkipEvent = "skip-event",
    /// Send reports again.
    Resend = "resend",
    /// Give up a report.
    Discard = "discard",
    /// Have the plugin directory looked at.
    ReloadPlugins = "reload-plugins",
    /// Make an earlier version of a plugin the live one.
    RollbackPlugin = "rollback-plugin",
    /// See and revoke the tokens of others.
    ManageTokens = "manage-tokens",
    /// Read who did what.
    ReadAudit = "read-audit",
}

impl Action {
    /// The action of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|action| action.name() == name)
    }

    /// Whether it makes the farm do something.
    #[must_use]
    pub const fn is_control(self) -> bool {
        !matches!(self, Self::View | Self::ManageTokens | Self::ReadAudit)
    }
}
